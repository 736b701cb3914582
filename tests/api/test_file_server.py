"""PanDA's file server over HTTP: sandboxes come in whole or not at all, and every refusal says why, at HTTP 200."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.builders import everything
from tests.support.system import RunningSystem, running_system

PACKED = gzip.compress(b"#!/bin/sh\necho hello\n")
KB = 1 / 1024
LIMITS = {"sources_mb": 64 * KB, "outputs_mb": 16 * KB, "other_mb": 4 * KB, "log_mb": 2 * KB, "checkpoint_mb": 2 * KB}


@pytest.fixture(scope="module")
def house(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A server whose cache takes small files only."""
    directory = tmp_path_factory.mktemp("system")
    with running_system(module_database_url, directory, agents=False, cache=LIMITS) as system:
        yield system


@pytest.fixture(scope="module")
def alice(house: RunningSystem) -> httpx.Client:
    return house.client("alice")


@pytest.fixture(scope="module")
def pilot(house: RunningSystem) -> httpx.Client:
    return house.client("pilot", "pilot")


def send(client: httpx.Client, name: str, content: bytes = PACKED, *, to: str = "upload_cache_file") -> dict[str, Any]:
    response = client.post(
        f"/api/v1/file_server/{to}",
        files={"file": (name, content, "application/octet-stream")},
        headers={"Accept": "application/json"},
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert set(answer) == {"success", "message", "data"}
    return dict(answer)


def call(client: httpx.Client, name: str, **parameters: Any) -> dict[str, Any]:
    response = client.post(f"/api/v1/file_server/{name}", json=parameters)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert set(answer) == {"success", "message", "data"}
    return dict(answer)


def kept(system: RunningSystem) -> tuple[list[str], list[dict[str, Any]], dict[str, Any]]:
    """Everything a refused request must leave alone."""
    files = sorted(str(path) for path in system.settings.cache_path.rglob("*") if path.is_file())
    rows = system.database.fetch("SELECT * FROM cache_files ORDER BY file_name")
    return files, rows, everything(system.database)


def checksum(content: bytes) -> int:
    """As the client computes it (client-wire.md 4.1)."""
    return int(struct.unpack("II", content[-8:])[0])


def test_the_sequence_of_a_client(house, alice):
    packed = gzip.compress(b"the sequence")
    wanted = {"file_size": len(packed), "checksum": checksum(packed)}
    assert call(alice, "validate_cache_file", **wanted) == {"success": False, "message": "NOTFOUND", "data": None}
    assert send(alice, "jobO.sequence.tar.gz", packed) == {"success": True, "message": "", "data": None}
    found = {"success": True, "message": "FOUND:127.0.0.1:jobO.sequence.tar.gz", "data": None}
    assert call(alice, "validate_cache_file", **wanted) == found
    assert call(alice, "validate_cache_file", **{**wanted, "checksum": str(wanted["checksum"])}) == found
    assert call(house.client("bob"), "validate_cache_file", **wanted)["message"] == "NOTFOUND"
    # a worker has no token
    response = httpx.get(f"{house.url}/cache/jobO.sequence.tar.gz")
    assert (response.status_code, response.content) == (200, packed)


def test_the_host_that_is_found_is_the_one_the_client_spoke_to(house, alice):
    packed = gzip.compress(b"by another name")
    send(alice, "jobO.name.tar.gz", packed)
    answer = alice.post(
        "/api/v1/file_server/validate_cache_file",
        json={"file_size": len(packed), "checksum": checksum(packed)},
        headers={"Host": "panda.example.org:25443"},
    ).json()
    assert answer["message"] == "FOUND:panda.example.org:jobO.name.tar.gz"


@pytest.mark.parametrize(
    ("sent", "kept_as"),
    [
        ("/home/alice/grl/good runs.xml", "good runs.xml"),
        ("../../../etc/cron.d/evil", "evil"),
        ("C:\\work\\list.xml", "list.xml"),
        ("..\\..\\up.txt", "up.txt"),
    ],
)
def test_of_a_path_on_the_client_only_the_last_part_counts(house, alice, sent, kept_as):
    assert send(alice, sent, b"x")["success"]
    assert (house.settings.cache_path / "files" / kept_as).read_bytes() == b"x"
    assert {path.parent for path in house.settings.cache_path.rglob("*") if path.is_file()} == {
        house.settings.cache_path / "files"
    }


BAD_NAMES = [
    "..",
    ".",
    ".bashrc",
    "/",
    "a/",
    "a/..",
    "\\",
    "x" * 256,
    "x" * 1024,
    "é" * 128,
    "a\x7fb",
    "a\u202eb",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=[ascii(name)[:20] for name in BAD_NAMES])
@pytest.mark.parametrize("to", ["upload_cache_file", "upload_jedi_log", "update_jedi_log", "upload_hpo_checkpoint"])
def test_a_name_that_is_none_is_refused(house, pilot, name, to):
    before = kept(house)
    answer = send(pilot, name, zlib.compress(b"x"), to=to)
    assert not answer["success"]
    assert "file" in answer["message"]
    assert kept(house) == before


@pytest.mark.parametrize("name", [b"a\x00b", b"\xff\xfe", b"a\r\nb"])
def test_a_file_name_of_any_bytes_harms_nothing(house, alice, name):
    before = kept(house)[0]
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\nx\r\n--B--\r\n'
    response = alice.post(
        "/api/v1/file_server/upload_cache_file",
        content=head,
        headers={"Content-Type": "multipart/form-data; boundary=B"},
    )
    assert response.status_code == 200
    if not response.json()["success"]:
        assert kept(house)[0] == before
    assert all("\x00" not in path for path in kept(house)[0])


def test_nothing_is_overwritten_unless_the_name_says_so(house, alice):
    assert send(alice, "jobO.first.tar.gz")["success"]
    before = kept(house)
    for client in (alice, house.client("bob")):
        answer = send(client, "jobO.first.tar.gz", gzip.compress(b"evil"))
        assert not answer["success"]
        assert answer["message"].startswith("ERROR: cannot overwrite file")
    assert kept(house) == before
    for content in (b"one", b"two"):
        assert send(alice, "settings.__ow__", content)["success"]
    assert not send(house.client("bob"), "settings.__ow__", b"evil")["success"]
    assert (house.settings.cache_path / "files" / "settings.__ow__").read_bytes() == b"two"


@pytest.mark.parametrize(
    ("name", "limit_kb"), [("jobO.large.tar.gz", 4), ("large.out", 16), ("sources.large.tar.gz", 64), ("large", 4)]
)
def test_a_file_that_is_too_large_is_refused_with_both_sizes(house, alice, name, limit_kb):
    before = kept(house)
    answer = send(alice, name, b"x" * (limit_kb * 1024 + 1))
    assert not answer["success"]
    assert f"ERROR: upload failure. Exceeded size limit {limit_kb * 1024 + 1}>{limit_kb * 1024}." in answer["message"]
    assert kept(house) == before
    assert send(alice, name, b"x" * (limit_kb * 1024))["success"]


DAMAGED = [PACKED[:-1], PACKED[:-8] + b"\0" * 8, PACKED[:12] + b"\xff" + PACKED[13:], PACKED[:2]]


@pytest.mark.parametrize("content", DAMAGED, ids=["cut", "wrong checksum", "wrong byte", "beginning only"])
def test_a_damaged_archive_is_refused(house, alice, content):
    before = kept(house)
    answer = send(alice, "jobO.damaged.tar.gz", content)
    assert not answer["success"]
    assert "damaged" in answer["message"]
    assert kept(house) == before


def post_raw(
    client: httpx.Client, body: bytes, content_type: str = "multipart/form-data; boundary=B"
) -> dict[str, Any]:
    response = client.post(
        "/api/v1/file_server/upload_cache_file", content=body, headers={"Content-Type": content_type}
    )
    assert response.status_code == 200
    return dict(response.json())


_PART = b'--B\r\nContent-Disposition: form-data; name="file"; filename="jobO.raw.tar"\r\n\r\n'
_OTHER = b'--B\r\nContent-Disposition: form-data; name="other"\r\n\r\nvalue\r\n'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        _PART + b"half of it",
        _PART[:-2],
        _OTHER + b"--B--\r\n",
        b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext, no file\r\n--B--\r\n',
        b"--WRONG\r\n" + _PART,
        b"\x00\xff" * 100,
    ],
    ids=["empty", "cut in the file", "cut in the header", "no file", "text for file", "boundary", "noise"],
)
def test_a_broken_form_is_refused_and_leaves_nothing(house, alice, body):
    before = kept(house)
    answer = post_raw(alice, body)
    assert not answer["success"]
    assert "file" in answer["message"]
    assert kept(house) == before


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data", "text/plain", "application/x-www-form-urlencoded"]
)
def test_what_is_no_upload_is_refused_by_the_field(house, alice, content_type):
    answer = post_raw(alice, b'{"file": "x"}', content_type)
    assert not answer["success"]
    assert "file" in answer["message"]


def test_a_connection_that_ends_inside_the_file_leaves_nothing(house):
    before = kept(house)
    host, port = house.url.removeprefix("http://").split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port))) as connection:
            head = (
                "POST /api/v1/file_server/upload_cache_file HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {house.token('alice')}\r\n"
                "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 5000\r\n\r\n"
            )
            connection.sendall(head.encode() + _PART + b"half of it")
    assert send(house.client("alice"), "after.tar")["success"]
    after = kept(house)
    assert [Path(path).name for path in set(after[0]) - set(before[0])] == ["after.tar"]


def test_two_uploads_of_one_name_at_the_same_time_keep_one(house):
    begin = threading.Barrier(4)
    answers: list[dict[str, Any]] = []
    contents = [gzip.compress(os.urandom(500)) for _ in range(4)]

    def upload(number: int) -> None:
        client = house.client(f"user{number}")
        begin.wait()
        answers.append({**send(client, "jobO.race.tar.gz", contents[number]), "content": contents[number]})

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["success"] for answer in answers) == [False, False, False, True]
    [winner] = [answer["content"] for answer in answers if answer["success"]]
    assert httpx.get(f"{house.url}/cache/jobO.race.tar.gz").content == winner


def test_uploads_need_a_token_and_the_others_a_role(house, alice):
    nobody = httpx.Client(base_url=house.url)
    before = kept(house)
    for name in ("upload_cache_file", "upload_jedi_log", "update_jedi_log", "upload_hpo_checkpoint"):
        assert "SSL secure connection is required" in send(nobody, "x", to=name)["message"]
    for name in ("upload_jedi_log", "update_jedi_log"):
        assert send(alice, "x", to=name)["message"] == "production or pilot role required"
    values = {"user_name": "alice", "file_name": "x", "file_size": 1, "checksum": "1"}
    assert call(alice, "register_cache_file", **values)["message"] == "production or pilot role required"
    assert kept(house) == before


def test_a_file_is_touched_and_deleted(house, alice):
    send(alice, "jobO.touched.tar.gz")
    house.database.execute("UPDATE cache_files SET touch_time = '2020-01-01' WHERE file_name = 'jobO.touched.tar.gz'")
    assert call(alice, "touch_cache_file", file_name="/somewhere/jobO.touched.tar.gz")["success"]
    row = house.database.fetch_one("SELECT touch_time FROM cache_files WHERE file_name = 'jobO.touched.tar.gz'")
    assert row is not None
    assert row["touch_time"].year > 2020
    for name in ("nothing", "..", ""):
        answer = call(alice, "touch_cache_file", file_name=name)
        assert not answer["success"]
        assert answer["message"].startswith("Failed to touch file with: file_name:")
    assert call(house.client("bob"), "delete_cache_file", file_name="jobO.touched.tar.gz")["success"]
    assert httpx.head(f"{house.url}/cache/jobO.touched.tar.gz").status_code == 200
    for _ in range(2):
        assert call(alice, "delete_cache_file", file_name="jobO.touched.tar.gz")["success"]
        assert httpx.head(f"{house.url}/cache/jobO.touched.tar.gz").status_code == 404
    assert call(alice, "delete_cache_file", file_name="../../x")["success"]


def test_a_file_that_is_there_is_registered_as_it_is(house, pilot):
    packed = gzip.compress(b"came by another way")
    (house.settings.cache_path / "files" / "jobO.copied.tar.gz").write_bytes(packed)
    values = {"user_name": "carol", "file_name": "jobO.copied.tar.gz"}
    right = {**values, "file_size": len(packed), "checksum": str(checksum(packed))}
    before = kept(house)
    for wrong, field in (
        ({"file_size": 1}, "file_size"),
        ({"checksum": "1"}, "checksum"),
        ({"file_name": "none"}, "file_name"),
    ):
        answer = call(pilot, "register_cache_file", **{**right, **wrong})
        assert not answer["success"]
        assert field in answer["message"]
    assert kept(house) == before
    assert call(pilot, "register_cache_file", **right)["success"]
    wanted = {"file_size": len(packed), "checksum": checksum(packed)}
    assert call(house.client("carol"), "validate_cache_file", **wanted)["message"].endswith(":jobO.copied.tar.gz")


@pytest.mark.parametrize(
    ("size", "sum_"), [(0, 0), (-1, -1), (2**63 - 1, 2**63), (5, "1" * 5000), (5, "' OR 1=1 --"), (5, "")]
)
def test_content_nobody_has_is_not_found(alice, size, sum_):
    assert call(alice, "validate_cache_file", file_size=size, checksum=sum_)["message"] == "NOTFOUND"


WRONG_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("validate_cache_file", {}, "file_size"),
    ("validate_cache_file", {"file_size": 1}, "checksum"),
    ("validate_cache_file", {"file_size": "large", "checksum": 1}, "file_size"),
    ("validate_cache_file", {"file_size": 2**63, "checksum": 1}, "file_size"),
    ("validate_cache_file", {"file_size": None, "checksum": 1}, "file_size"),
    ("validate_cache_file", {"file_size": [1, 2], "checksum": 1}, "file_size"),
    ("validate_cache_file", {"file_size": 1, "checksum": {"a": 1}}, "checksum"),
    ("touch_cache_file", {}, "file_name"),
    ("touch_cache_file", {"file_name": None}, "file_name"),
    ("touch_cache_file", {"file_name": ["a", "b"]}, "file_name"),
    ("touch_cache_file", {"file_name": "a\x00b"}, "file_name"),
    ("delete_cache_file", {}, "file_name"),
    ("delete_cache_file", {"file_name": {"a": "b"}}, "file_name"),
    ("register_cache_file", {"user_name": "x"}, "file_name"),
    ("delete_hpo_checkpoint", {"task_id": "1"}, "sub_id"),
    ("delete_hpo_checkpoint", {"task_id": "../..", "sub_id": "x"}, "task_id"),
    ("upload_file_recovery_request", {}, "task_id"),
    ("upload_file_recovery_request", {"task_id": "many"}, "task_id"),
    ("upload_workflow_request", {}, "data"),
]


@pytest.mark.parametrize(("name", "values", "field"), WRONG_CALLS, ids=[f"{c[0]} {c[1]}" for c in WRONG_CALLS])
def test_a_wrong_call_is_refused_by_its_field(house, pilot, name, values, field):
    before = kept(house)
    answer = call(pilot, name, **values)
    assert not answer["success"]
    assert field in answer["message"]
    assert kept(house) == before


def test_parameters_nobody_asked_for_do_no_harm(alice):
    assert call(alice, "validate_cache_file", file_size=1, checksum=1, colour="red")["message"] == "NOTFOUND"


# --- logs of tasks


def test_a_log_is_uploaded_extended_and_read(house, pilot, alice):
    answer = send(pilot, "10000001.log", "first ü\n".encode(), to="upload_jedi_log")
    assert answer["success"]
    assert answer["data"] == f"{house.url}/cache/jedilog/10000001.log"
    assert send(pilot, "10000001.log", zlib.compress(b"second\n"), to="update_jedi_log")["success"]
    assert httpx.get(answer["data"]).text == "first ü\nsecond\n"

    def read(**values: Any) -> Any:
        return alice.get("/api/v1/file_server/download_jedi_log", params=values).json()

    assert read(log_name="10000001.log") == " first ü\nsecond\n"
    assert read(log_name="some/where/10000001.log", offset=9) == " second\n"
    assert read(log_name="10000001.log", offset=10**12) == " "
    assert read(log_name="nothing.log") == " "
    assert read(log_name="../files/after.tar") == " "
    # the newer replaces the older one
    send(pilot, "10000001.log", b"anew\n", to="upload_jedi_log")
    assert read(log_name="10000001.log") == " anew\n"


def test_a_log_that_is_not_whole_or_too_large_changes_nothing(house, pilot):
    send(pilot, "2.log", b"x" * 2000, to="upload_jedi_log")
    before = kept(house)
    assert "damaged" in send(pilot, "2.log", b"not packed", to="update_jedi_log")["message"]
    assert "size limit" in send(pilot, "2.log", zlib.compress(b"y" * 100), to="update_jedi_log")["message"]
    assert "size limit" in send(pilot, "2.log", zlib.compress(b"\0" * 10_000_000), to="update_jedi_log")["message"]
    assert "size limit" in send(pilot, "2.log", b"x" * 2049, to="upload_jedi_log")["message"]
    assert kept(house) == before


# --- checkpoints


def test_a_checkpoint_is_kept_and_deleted_by_those_who_have_to_do_with_the_task(house, alice, pilot):
    house.database.execute("INSERT INTO tasks (jedi_task_id, status, user_name) VALUES (10000077, 'running', 'alice')")
    answer = send(alice, "10000077_3", b"state", to="upload_hpo_checkpoint")
    assert answer["success"]
    assert answer["message"] == f"Successfully placed at {answer['data']}"
    assert httpx.get(f"{house.url}/cache/hpo_cp_10000077_3").content == b"state"
    bob = house.client("bob")
    assert "not the task owner" in send(bob, "10000077_3", b"evil", to="upload_hpo_checkpoint")["message"]
    assert not call(bob, "delete_hpo_checkpoint", task_id="10000077", sub_id="3")["success"]
    assert send(pilot, "10000077_3", b"newer", to="upload_hpo_checkpoint")["success"]
    assert "size limit" in send(alice, "10000077_3", b"x" * 2049, to="upload_hpo_checkpoint")["message"]
    assert httpx.get(f"{house.url}/cache/hpo_cp_10000077_3").content == b"newer"
    assert call(alice, "delete_hpo_checkpoint", task_id="10000077", sub_id="3")["success"]
    answer = call(alice, "delete_hpo_checkpoint", task_id="10000077", sub_id="3")
    assert not answer["success"]
    assert answer["message"].startswith("Failed to delete file due to")


@pytest.mark.parametrize("name", ["checkpoint", "1_2_3", "a_b", "1_", "_1", "1_a b"])
def test_a_checkpoint_without_task_and_sub_id_is_refused(house, alice, name):
    before = kept(house)
    assert "Failed to extract task and sub IDs" in send(alice, name, b"x", to="upload_hpo_checkpoint")["message"]
    assert kept(house) == before


# --- what does not exist here


def test_what_does_not_exist_here_says_so(house, alice):
    house.database.execute(
        "INSERT INTO tasks (jedi_task_id, status, user_name) VALUES (10000078, 'done', 'alice'), (10000079, 'done', 'bob')"
    )
    for name, values in (
        ("upload_file_recovery_request", {"task_id": 10000078, "reproduce_parent": True}),
        ("upload_workflow_request", {"data": "{}"}),
        ("upload_event_picking_request", {}),
    ):
        answer = call(alice, name, **values)
        assert not answer["success"]
        assert answer["data"]["code"] == "not_implemented"
    answer = call(alice, "upload_file_recovery_request", task_id=10000079)
    assert answer["message"] == "not the task owner or no production role"
    assert call(alice, "upload_file_recovery_request")["message"] == "Either task_id or dataset must be provided"


def test_a_search_for_lost_files_names_its_log(house, alice):
    house.database.execute("INSERT INTO tasks (jedi_task_id, status, user_name) VALUES (10000080, 'done', 'alice')")
    house.database.execute(
        """INSERT INTO datasets (name, scope, kind, owner, jedi_task_id)
           VALUES ('user.alice.out', 'user.alice', 'output', 'alice', 10000080), ('nobodys', '', 'input', 'alice', NULL)"""
    )
    for values in (
        {"task_id": 10000080, "dry_run": True},
        {"task_id": 10000080, "dry_run": False, "files": ["gone.txt"]},
        {"dataset": "user.alice:user.alice.out/", "force": True},
    ):
        answer = call(alice, "upload_file_recovery_request", **values)
        assert answer["success"], answer
        assert answer["message"] == "The request was accepted: nothing to make again"
        assert set(answer["data"]) == {"logFileURL"}
        log = httpx.get(answer["data"]["logFileURL"])
        assert log.status_code == 200
        assert log.text.startswith("recovery of lost files of task 10000080, asked for by alice\nlost: 0\n")
    assert (
        "not the task owner"
        in call(house.client("bob"), "upload_file_recovery_request", dataset="user.alice.out")["message"]
    )
    before = kept(house)
    for values, field in (
        ({"dataset": "nothing"}, "dataset"),
        ({"dataset": "nobodys"}, "dataset"),
        ({"task_id": 10000080, "files": ["x"] * 10_001}, "files"),
        ({"task_id": 10000080, "files": [{"a": 1}]}, "files"),
    ):
        answer = call(alice, "upload_file_recovery_request", **values)
        assert not answer["success"]
        assert field in answer["message"]
    assert kept(house) == before


def test_a_get_is_no_upload(alice):
    answer = alice.get("/api/v1/file_server/upload_cache_file").json()
    assert answer["message"] == "expecting POST, received GET"


def test_the_content_of_an_upload_is_read_from_its_beginning(house, alice):
    # larger than what stays in memory on the way
    content = gzip.compress(os.urandom(40_000))
    assert send(alice, "sources.random.tar.gz", content)["success"]
    assert gzip.GzipFile(fileobj=io.BytesIO(httpx.get(f"{house.url}/cache/sources.random.tar.gz").content)).read()
