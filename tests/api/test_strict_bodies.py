"""Every body of our own operations, made wrong in every place: refused with the field and a remedy, and nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from api.control import HANDLERS
from api.operations import Context, operation, operations_of
from api.strict import StrictBody
from core.database import Database
from tests.api.test_garbage import check, nearly, quick
from tests.support.builders import make_dataset, make_queue
from tests.support.system import RunningSystem, running_system

TIME = "2099-01-01T00:00:00Z"
COPY = {"endpoint": "Q_DISK", "pfn": "/x"}
FILE = {
    "lfn": "a",
    "size_bytes": 1,
    "checksum": "ad:0a1b2c3d",
    "guid": "g",
    "replicas": [COPY],
    "n_events": 1,
    "boundary_id": "lb1",
}
SHARE = {
    **dict.fromkeys(("vo", "working_group", "campaign", "processing_type", "trans_path", "rtype"), "x"),
    **{
        "parent": "",
        "value": 1.5,
        "position": 7,
        "prod_source_label": "user",
        "max_queued_jobs": 3,
        "description": "d",
    },
}
PATTERN = {"error_source": "pilot", "error_code": 1305, "error_diag": "x", "is_active": True, "description": "d"}
RULE = {
    **PATTERN,
    **{"architecture": "x86_64", "release": "24.0", "gshare": "Undefined", "action": "limit_retry"},
    **{"parameters": {"maxAttempt": 3}, "expiration_time": TIME},
}
ACTION = {"action": "no_retry"}
CLASS = {**PATTERN, "error_class": "user"}
ALARM = {
    **{"kind": "absence", "title": "t", "parameters": {"limit_s": 60.5, "queues": "Q"}, "severity_floor": "error"},
    **{"is_active": False, "via": "cli"},
}
NEW_ALARM = {"name": "alarm", "evaluator": "silent_queue", **ALARM}
ROUTE = {
    **{"name": "route", "position": 7, "matcher": {"kind": "data"}, "channel": "webhook", "target": "https://x/y"},
    **{"secret_name": "s", "options": {"may_repeat": True}, "changes": ["opened"], "group_by": ["kind"]},
    **{"group_wait_s": 1, "max_per_hour": 3, "is_active": False, "is_final": False, "via": "cli"},
}
WHICH_SHIFT = {"shift_id": 1, "name": "shift", "via": "cli"}

RIGHT: dict[str, dict[str, Any]] = {
    "POST /api/control/datasets": {"name": "new", "scope": "s", "kind": "input", "files": [FILE], "is_open": True},
    "POST /api/control/datasets/files": {"dataset": "in", "files": [FILE]},
    "POST /api/control/datasets/status": {"dataset": "in", "status": "closed"},
    "POST /api/control/replicas": {"replicas": [{"dataset": "in", "lfn": "a.txt", **COPY}]},
    "PUT /api/control/queue/Q": {
        **{"site": "s", "status": "online", "comment": "c", "max_ram_mb": 1, "max_disk_mb": 1, "max_core_count": 1},
        **{"max_walltime_s": 1, "storage_endpoint": "Q_DISK", "parameters": {}, "reason": "r", "release": False},
    },
    "PUT /api/control/endpoint/E": {
        **{"mover": "cp", "path": "/x", "state": "online", "is_deterministic": False, "kind": "disk"},
        **{"is_nucleus": False, "free_mb": 1, "total_mb": 2},
    },
    "PUT /api/control/shares": {"shares": [{"name": "All", **SHARE}]},
    "PUT /api/control/share/One": SHARE,
    "POST /api/control/shares/retag": {"running_too": False},
    "POST /api/control/worker/ended": {"worker_id": "w", "exit_code": 1, "signal": 9, "diagnosis": "d"},
    "PUT /api/control/user/ursula": {"status": "active", "permissions": "p", "subject": "s"},
    "PUT /api/control/account/user/ursula": {
        **dict.fromkeys(("max_running_jobs", "max_running_cores", "max_active_tasks", "cpu_hours_1d"), 1),
        **dict.fromkeys(("cpu_hours_7d", "cpu_hours_30d", "jobs_per_priority_point", "boost_priority"), 1),
        **{"quota_mode": "hold", "boost_until": TIME, "banned_until": "forever", "reason": "r", "is_privileged": False},
    },
    "POST /api/control/retry-rules": RULE,
    "POST /api/control/retry-rules/try": {**RULE, "days": 1.5},
    "PUT /api/control/retry-rule/{rule}": RULE,
    "PUT /api/control/retry-action/no_retry": {"is_active": True, "description": "d"},
    "POST /api/control/error-classes": CLASS,
    "PUT /api/control/error-class/{class}": CLASS,
    "POST /api/control/incident-rules": NEW_ALARM,
    "PUT /api/control/incident-rule/{alarm}": {"version": 1, "restore": 1, **ALARM},
    "POST /api/control/incident-rules/try": {**NEW_ALARM, "rule_id": 4, "days": 1.5},
    "POST /api/control/notice-routes": ROUTE,
    "PUT /api/control/notice-route/{route}": {"version": 1, **ROUTE},
    "POST /api/control/incident/1/acknowledge": {"comment": "c", "via": "cli"},
    "POST /api/control/incident/1/resolve": {"comment": "c", "reason": "fixed", "via": "cli"},
    "POST /api/control/incident/1/reopen": {"comment": "c", "via": "cli"},
    "POST /api/control/incident/1/assign": {"who": "ann", "comment": "c", "via": "cli"},
    "POST /api/control/incident/1/comment": {"comment": "c", "via": "cli"},
    "POST /api/control/incident/1/hold": {"comment": "c", "via": "cli"},
    "POST /api/control/incident/1/release": {"comment": "c", "via": "cli"},
    "POST /api/control/incident/1/severity": {"severity": "critical", "comment": "c", "via": "cli"},
    "POST /api/control/incident/1/links": {"links": [{"title": "t", "url": "https://x"}], "comment": "c", "via": "cli"},
    "POST /api/control/incidents": {
        **{"kind": "manual", "title": "t", "severity": "error", "queue": "Q", "task": 1, "text": "x"},
        "panda_ids": [1],
        "via": "cli",
    },
    "POST /api/control/incident/1/merge": {"into": 2, "comment": "c", "via": "cli"},
    "POST /api/control/incident/1/split": {"dimension": "computing_site", "value": "Q", "comment": "c", "via": "cli"},
    "POST /api/control/incident/1/silence": {
        "until_kind": "time",
        "until": "2h",
        "reason": "r",
        "comment": "c",
        "via": "cli",
    },
    "POST /api/control/silences": {
        **{
            "matcher": {"kind": "data"},
            "until_kind": "time",
            "until": "2h",
            "reason": "r",
            "comment": "c",
            "via": "cli",
        }
    },
    "POST /api/control/actions/preview": {
        **{"action": "kill", "incidents": [1], "jobs": [1], "tasks": [1], "queues": ["Q"], "reason": "r", "via": "cli"},
        **{"filter": {"job_status": "running"}, "parameters": {"input": "cancel"}, "accept_ended": True},
    },
    "POST /api/control/actions/confirm": {"token": "t" * 43, "reason": "r", "via": "cli"},
    "POST /api/control/deed/1/undo": {"reason": "r", "via": "cli"},
    "POST /api/control/deed/1/cancel-revert": {"reason": "r", "via": "cli"},
    "POST /api/control/shift/start": {"name": "shift", "people": ["ann"], "via": "cli"},
    "POST /api/control/shift/note": {"text": "x", "incident_id": 1, **WHICH_SHIFT},
    "POST /api/control/shift/draft": {"draft": "x", "seen": TIME, **WHICH_SHIFT},
    "POST /api/control/shift/sign-out": {"digest": "d", **WHICH_SHIFT},
    "POST /api/control/shift/sign-in": {"people": ["ann"], "digest": "d", **WHICH_SHIFT},
}
"""What would be taken, with every field that there is."""

NUMBERS_AS_SOMETHING_ELSE = [True, "5", "", [5], {"a": 5}, 10**25, 1e308, -(2**63), 2**63]
WRONG: dict[type, list[Any]] = {
    int: [*NUMBERS_AS_SOMETHING_ELSE, 1.5, 3.0],
    float: NUMBERS_AS_SOMETHING_ELSE,
    bool: [0, 1, "true", "", [True], {}],
    str: [5, True, ["x"], {"a": "x"}, "a\x00b"],
    list: [{}, "x", 5, True],
    dict: [[], "x", 5, True],
}
"""By the type of what is right."""
WRONG_TIMES = [5, "5", "", True, "yesterday", [TIME], "2099-13-01T00:00:00Z", "2026-01-01T00:00:00+99:00"]
MAY_BE_NEGATIVE = {"boost_priority", "error_code", "exit_code"}

TABLES = (
    *("datasets", "files", "replicas", "queues", "queue_status_history", "storage_endpoints", "global_shares", "users"),
    *("account_limits", "retry_rules", "retry_actions", "error_classes", "retry_changes", "incidents"),
    *("incident_activity", "incident_rules", "incident_rule_versions", "notice_routes", "fingerprint_links"),
    *("silences", "previews", "deeds", "deed_targets", "shifts", "shift_notes", "audit"),
)
ALONE = {"PUT /api/control/incident-rule/{alarm}": "restore"}
"""What is taken only when nothing else of the body is given."""


@pytest.fixture(scope="module")
def house(module_database_url, tmp_path_factory) -> Iterator[RunningSystem]:
    """A server whose agents rest: whatever changes was changed by a call."""
    with running_system(module_database_url, tmp_path_factory.mktemp("house"), agents=False) as system:
        make_queue(system.database, "Q")
        make_dataset(system.database, "in", ["a.txt"])
        yield system


@pytest.fixture(scope="module")
def admin(house: RunningSystem) -> httpx.Client:
    return house.client("ada", "admin")


@pytest.fixture(scope="module")
def numbers(admin: httpx.Client) -> dict[str, int]:
    """A rule, a class, a rule of incidents and a route that can be changed."""
    rule = admin.post("/api/control/retry-rules", json=RULE)
    error_class = admin.post("/api/control/error-classes", json=CLASS)
    assert (rule.status_code, error_class.status_code) == (201, 201), (rule.text, error_class.text)
    alarm = admin.post("/api/control/incident-rules", json={**NEW_ALARM, "name": "present"})
    route = admin.post("/api/control/notice-routes", json={**ROUTE, "name": "present"})
    assert (alarm.status_code, route.status_code) == (201, 201), (alarm.text, route.text)
    return {
        **{"rule": rule.json()["rule"]["rule_id"], "class": error_class.json()["error_class"]["class_id"]},
        **{"alarm": alarm.json()["rule"]["rule_id"], "route": route.json()["route"]["route_id"]},
    }


def stored(database: Database) -> dict[str, list[Any]]:
    return {table: database.fetch(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}


def places(document: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The way to every value inside a document, and the value."""
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield (*way, key), value
        yield from places(value, (*way, key))


def changed(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return copy


def wrong_bodies(right: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Bodies with one wrong value, and where it is."""
    for way, value in places(right):
        name = next(key for key in reversed(way) if isinstance(key, str))
        is_time = value == TIME or name.endswith("_until")
        worse = WRONG_TIMES if is_time else WRONG[type(value)]
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in MAY_BE_NEGATIVE:
            worse = [*worse, -1]
        for entry in worse:
            yield way, changed(right, way, entry)
    for way in [(), *(way for way, value in places(right) if isinstance(value, dict) and way[-1] != "parameters")]:
        yield (*way, "colour"), changed(right, (*way, "colour"), "red")


class Door:
    """Sends bodies to one operation."""

    def __init__(self, client: httpx.Client, call: str, numbers: dict[str, int]) -> None:
        self.client = client
        method, path = call.split(" ")
        self.method, self.path = method, path.format(**numbers)

    def refuses(self, content: bytes, field: str) -> None:
        """Assert that a body is refused for `field` (of what is said of a share, the name of the share is in front)."""
        response = self.client.request(self.method, self.path, content=content)
        problem = response.json()
        said = f"{self.method} {self.path} {content[:500]!r}\n-> {response.status_code} {response.text[:500]}"
        assert response.status_code == 422, said
        assert response.headers["content-type"] == "application/problem+json", said
        # a place inside a list that is no list any more is the list
        assert problem["field"].split(".")[-1] in (field, field.rsplit(".", maxsplit=1)[-1]), said
        assert problem["detail"] and problem["remedy"], said


@pytest.mark.parametrize("call", RIGHT)
def test_whatever_is_wrong_in_a_body_is_named_and_nothing_changes(house, admin, numbers, call):
    door, right = Door(admin, call, numbers), RIGHT[call]
    before = stored(house.database)
    for way, body in wrong_bodies(right):
        if way[0] != ALONE.get(call):
            body.pop(ALONE.get(call), None)
        door.refuses(json.dumps(body).encode(), ".".join(map(str, way)))
    for document in ([], [right], "x", 5, True):
        door.refuses(json.dumps(document).encode(), "body")
    text = json.dumps(right)
    for bad in ("NaN", "Infinity", "-Infinity", "1e400", '"\\ud800"', "{'a': 1}"):
        door.refuses(f'{{"a": {bad}, {text[1:]}'.encode(), "body")
    name = next(iter(right))
    door.refuses(f'{{"{name}": null, {text[1:]}'.encode(), name)
    assert stored(house.database) == before


@pytest.mark.parametrize("call", [call for call in RIGHT if "/datasets" not in call])
def test_a_body_with_anything_wrong_in_it_is_refused_with_a_sentence_or_taken(admin, numbers, call):
    door = Door(admin, call, numbers)

    @quick
    @given(sent=nearly(RIGHT[call]))
    def throw(sent: dict[str, Any]) -> None:
        response = admin.request(door.method, door.path, json=sent)
        check(response, sent)
        if response.status_code >= 400:
            assert response.json()["field"], (sent, response.text)

    throw()


signs = st.lists(
    st.sampled_from([*"ab1^$.*+?|()[]{}\\,-", "(?=", "(?!", "(?:", "{1,", "[^", r"\d", r"\1", "***"]), max_size=9
)


@quick
@given(expression=signs.map("".join))
def test_any_expression_is_taken_or_refused_by_name(admin, expression):
    answers = [
        (admin.put("/api/control/shares", json={"shares": [{"name": "S", "vo": expression}]}), "S.vo"),
        (
            admin.post("/api/control/retry-rules/try", json={**PATTERN, "error_diag": expression, **ACTION}),
            "error_diag",
        ),
    ]
    for response, field in answers:
        check(response, expression)
        assert response.status_code == 200 or response.json()["field"] == field, response.text


REQUIRED = [
    ("POST /api/control/datasets", ("name",)),
    ("POST /api/control/datasets", ("files",)),
    ("POST /api/control/datasets", ("files", 0, "lfn")),
    ("POST /api/control/datasets", ("files", 0, "size_bytes")),
    ("POST /api/control/datasets", ("files", 0, "checksum")),
    ("POST /api/control/datasets", ("files", 0, "replicas", 0, "endpoint")),
    ("POST /api/control/replicas", ("replicas",)),
    ("POST /api/control/replicas", ("replicas", 0, "dataset")),
    ("POST /api/control/replicas", ("replicas", 0, "lfn")),
    ("POST /api/control/replicas", ("replicas", 0, "endpoint")),
    ("PUT /api/control/shares", ("shares",)),
    ("PUT /api/control/shares", ("shares", 0, "name")),
    ("POST /api/control/worker/ended", ("worker_id",)),
    ("POST /api/control/actions/preview", ("action",)),
    ("POST /api/control/actions/confirm", ("token",)),
    ("POST /api/control/shift/note", ("text",)),
]


@pytest.mark.parametrize(("call", "way"), REQUIRED, ids=[f"{call} {way[-1]}" for call, way in REQUIRED])
def test_what_has_to_be_given_is_asked_for(house, admin, numbers, call, way):
    door, before = Door(admin, call, numbers), stored(house.database)
    body = json.loads(json.dumps(RIGHT[call]))
    inner = body
    for key in way[:-1]:
        inner = inner[key]
    del inner[way[-1]]
    field = ".".join(map(str, way))
    door.refuses(json.dumps(body).encode(), field)
    door.refuses(json.dumps(changed(RIGHT[call], way, None)).encode(), field)
    if isinstance(way[-1], str) and way[-1] not in (
        "files",
        "replicas",
        "shares",
        "records",
        "size_bytes",
        "endpoint",
        "dataset",
    ):
        door.refuses(json.dumps(changed(RIGHT[call], way, "")).encode(), field)
    assert stored(house.database) == before


def test_every_field_of_every_body_is_among_these():
    models = {f"{entry.method} {entry.path}": entry.body_model for entry in operations_of(HANDLERS) if entry.body_model}
    seen = set()
    for call, right in RIGHT.items():
        [declared] = [name for name in models if _fits(name, call)]
        assert set(right) == set(models[declared].model_fields), call
        seen.add(declared)
    assert seen == set(models)


def _fits(declared: str, call: str) -> bool:
    parts, given = declared.split("/"), call.split("/")
    return len(parts) == len(given) and all(
        one == other or one.startswith("{") for one, other in zip(parts, given, strict=True)
    )


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for inner in get_args(annotation):
        yield from models_in(inner)


def test_every_part_of_every_body_is_strict():
    found = [model for entry in operations_of(HANDLERS) for model in models_in(entry.body_model)]
    assert len(found) > 20
    assert [model for model in found if not issubclass(model, StrictBody) or not model.model_config["strict"]] == []


def test_no_other_body_can_be_declared():
    class Loose(BaseModel):
        count: int

    def handler(context: Context, body: Loose) -> dict[str, Any]:
        return {}

    handler.__annotations__ = {"context": Context, "body": Loose, "return": dict[str, Any]}
    with pytest.raises(TypeError, match="StrictBody"):
        operation("POST", "/x", access=operations_of(HANDLERS)[0].access)(handler)
