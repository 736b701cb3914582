"""What workers fetch by fixed addresses: files with ranges and ETags, queues and storage as the production pilot reads them."""

from __future__ import annotations

import subprocess
from typing import Any

import httpx
import pytest

from api.transformations import TRANSFORMATIONS
from core.queues import set_endpoint, set_queue
from tests.support.system import RunningSystem, eventually

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def descriptions_are_read_often(monkeypatch):
    """What a test changed is waited for; how old a description may be is none of their statements."""
    monkeypatch.setattr("api.cache._FRESH_S", 0.2)


@pytest.fixture(scope="module")
def web(shared_system: RunningSystem) -> httpx.Client:
    """A worker: no token."""
    with httpx.Client(base_url=shared_system.url) as client:
        yield client


@pytest.fixture(scope="module")
def file(shared_system: RunningSystem) -> str:
    response = shared_system.client("alice").post(
        "/api/v1/file_server/upload_cache_file", files={"file": ("jobO.paths.tar", CONTENT)}
    )
    assert response.json()["success"]
    return "/cache/jobO.paths.tar"


def test_a_file_is_served_as_it_is(web, file):
    response = web.get(file, headers={"Accept-Encoding": "gzip"})
    assert response.status_code == 200
    assert response.content == CONTENT
    assert "content-encoding" not in response.headers
    assert response.headers["content-length"] == str(len(CONTENT))
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["x-content-type-options"] == "nosniff"
    head = web.head(file)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(CONTENT)))


@pytest.mark.parametrize(
    ("range_", "status", "expected"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=10000-", 206, CONTENT[10000:]),
        ("bytes=-5", 206, CONTENT[-5:]),
        ("bytes=999999-", 416, None),
    ],
)
def test_a_part_of_a_file_is_served(web, file, range_, status, expected):
    response = web.get(file, headers={"Range": range_, "Accept-Encoding": "gzip"})
    assert response.status_code == status
    if expected is not None:
        assert response.content == expected


def test_a_file_the_caller_has_is_not_sent_again(web, file):
    tag = web.get(file).headers["etag"]
    for known in (tag, f'W/"x", {tag}', f"W/{tag}"):
        response = web.get(file, headers={"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b"")
    assert web.get(file, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/cache/",
            "/cache",
            "/cache/files",
            "/cache/files/jobO.paths.tar",
            "/cache/..%2f..%2fpanda.toml",
            "/cache/%2e%2e",
        ),
        *(
            "/cache/..%5c..%5cx",
            "/cache/%2fetc%2fpasswd",
            "/cache/a%00b",
            "/cache/.hidden",
            "/cache/nothing",
            "/cache/%ff",
        ),
        *("/cache/jedilog/", "/cache/jedilog/nothing", "/cache/jedilog/..%2ffiles%2fjobO.paths.tar", "/cache/incoming"),
        *("/cache/" + "x" * 1024, "/trf/user/", "/cache/schedconfig/"),
    ],
)
def test_nothing_else_is_served(web, file, path):
    response = web.get(path, follow_redirects=True)
    assert response.status_code == 404
    assert response.headers["content-type"] in ("application/problem+json", "application/json")


def test_a_file_cannot_be_put_or_posted_at_its_address(web, file):
    for method in ("POST", "DELETE", "PATCH"):
        assert web.request(method, file, content=b"evil").status_code >= 400
    assert web.get(file).content == CONTENT


# --- queues


def described(web: httpx.Client, name: str) -> dict[str, Any]:
    response = web.get(f"/cache/schedconfig/{name}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return dict(response.json())


def test_a_queue_is_described_as_the_pilot_needs_it(web, shared_system):
    set_endpoint(shared_system.database, "PILOT_DISK", mover="cp", path="/pool/", is_deterministic=True)
    set_queue(
        shared_system.database,
        "PILOT_Q",
        {
            "site": "SITE",
            "storage_endpoint": "PILOT_DISK",
            "max_ram_mb": 4000,
            "max_walltime_s": 3600,
            "max_disk_mb": 500,
            "max_core_count": 8,
        },
    )
    queue = described(web, "PILOT_Q.all.json")
    for key, value in {
        "nickname": "PILOT_Q",
        "panda_resource": "PILOT_Q",
        "atlas_site": "SITE",
        "gstat": "SITE",
        "state": "ACTIVE",
        "status": "online",
        "type": "unified",
        "maxrss": 4000,
        "maxtime": 3600,
        "maxwdir": 500,
        "corecount": 8,
        "timefloor": 0,
        "copytools": {"mv": {"setup": ""}},
        "acopytools": {"pr": ["mv"], "pw": ["mv"], "pl": ["mv"]},
        "catchall": "mv_final_destination",
        "params": {"internet_protocol_version": "IPv4"},
    }.items():
        assert queue[key] == value, key
    assert queue["astorages"]["write_lan"] == ["PILOT_DISK"]
    assert described(web, "PILOT_Q.pilot.json") == queue
    assert described(web, "all.json")["PILOT_Q"] == queue


def test_a_queue_without_limits_is_no_queue_of_limit_zero(web, shared_system):
    set_queue(shared_system.database, "FREE_Q", {})
    queue = described(web, "FREE_Q.all.json")
    assert queue["maxwdir"] > 10**6  # the pilot would kill every job at 0
    assert (queue["maxrss"], queue["maxtime"], queue["corecount"], queue["maxinputsize"]) == (0, 0, 1, -1)
    assert queue["astorages"] == {}


def test_parameters_set_by_an_operator_replace_ours_key_by_key(web, shared_system):
    operator = shared_system.client("olga", "operator")
    parameters = {
        "copytools": {"rucio": {}},
        "timefloor": 60,
        "params": {"internet_protocol_version": "IPv6"},
        "tier": "T2",
    }
    response = operator.put("/api/control/queue/OWN_Q", json={"parameters": {**parameters, "nickname": "OTHER"}})
    assert response.status_code == 200, response.text
    queue = described(web, "OWN_Q.all.json")
    assert {key: queue[key] for key in parameters} == parameters
    assert queue["acopytools"] == {"pr": ["mv"], "pw": ["mv"], "pl": ["mv"]}
    assert queue["nickname"] == "OWN_Q"
    operator.put("/api/control/queue/OWN_Q", json={"parameters": {"timefloor": 5}})
    eventually(lambda: described(web, "OWN_Q.all.json")["timefloor"] == 5)
    assert described(web, "OWN_Q.all.json")["copytools"] == {"mv": {"setup": ""}}


def test_a_parameter_the_pilot_would_take_for_a_failure_is_refused(shared_system):
    operator = shared_system.client("olga", "operator")
    response = operator.put("/api/control/queue/BAD_Q", json={"parameters": {"error": "x"}})
    assert response.status_code == 422
    assert response.json()["field"] == "parameters.error"


@pytest.mark.parametrize(
    "name",
    ["NOWHERE.all.json", "NOWHERE.pilot.json", "NOWHERE.json", "NOWHERE", ".all.json", "a%00b.all.json", "ü.all.json"],
)
def test_an_unknown_queue_is_an_error_the_pilot_understands(web, name):
    response = web.get(f"/cache/schedconfig/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert answer["error"]
    assert answer["remedy"]


def test_a_queue_made_a_moment_ago_is_known(web, shared_system):
    described(web, "all.json")
    set_queue(shared_system.database, "NEW_Q", {})
    assert described(web, "NEW_Q.all.json")["nickname"] == "NEW_Q"


def test_a_description_the_caller_has_is_not_sent_again(web):
    tag = web.get("/cache/schedconfig/LOCAL.all.json").headers["etag"]
    response = web.get("/cache/schedconfig/LOCAL.all.json", headers={"If-None-Match": tag})
    assert (response.status_code, response.content) == (304, b"")


# --- storage


def test_storage_is_described_as_the_pilot_needs_it(web, shared_system):
    set_endpoint(shared_system.database, "RULED", mover="cp", path="/pool/", is_deterministic=True)
    set_endpoint(shared_system.database, "CLOSED", mover="cp", path="/", state="offline")
    set_queue(shared_system.database, "RULED_Q", {"site": "SITE", "storage_endpoint": "RULED"})

    def read() -> dict[str, Any]:
        answer = web.get("/cache/ddmendpoints.json").json()
        return dict(answer) if "CLOSED" in answer and answer["RULED"]["site"] == "SITE" else {}

    endpoints = eventually(read)
    ruled = endpoints["RULED"]
    assert (ruled["name"], ruled["state"], ruled["is_deterministic"]) == ("RULED", "ACTIVE", True)
    [protocol] = ruled["arprotocols"]["write_lan"]
    assert (protocol["endpoint"], protocol["path"], protocol["flavour"]) == ("file://localhost", "/pool/", "POSIX")
    assert set(ruled["arprotocols"]) >= {"read_lan", "write_lan", "read_wan", "write_wan"}
    assert ruled["rprotocols"][str(ruled["id"])] == protocol
    assert endpoints["CLOSED"]["state"] == "INACTIVE"
    assert endpoints["CLOSED"]["arprotocols"]["read_lan"][0]["path"] == "/"
    assert endpoints["LOCAL_DISK"]["is_deterministic"] is False
    assert len({endpoint["id"] for endpoint in endpoints.values()}) == len(endpoints)
    assert web.get("/cache/schedconfig/ddmendpoints.json").json() == endpoints


# --- transformations


@pytest.mark.parametrize("name", sorted(TRANSFORMATIONS))
def test_a_transformation_is_served_as_it_is(web, name):
    response = web.get(f"/trf/user/{name}", headers={"Accept-Encoding": "gzip"})
    assert response.status_code == 200
    assert response.content == TRANSFORMATIONS[name]()
    assert response.content.startswith(b"#!")
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("name", ["nothing", "$(touch owned)", "'; touch owned; '", "a%0atouch owned", "ü", "%00"])
def test_a_missing_transformation_is_a_program_that_says_so_and_fails(web, tmp_path, name):
    response = web.get(f"/trf/user/{name}")
    assert response.status_code == 404
    program = tmp_path / "trf"
    program.write_bytes(response.content)
    program.chmod(0o755)
    done = subprocess.run([str(program)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 200
    assert "there is no transformation" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["trf"]
