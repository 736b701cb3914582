"""PanDA's way of calling: casting, refusals with HTTP 200, 403 for unknown methods and bad tokens."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.panda.casting import cast, describe
from api.panda.kernel import Auth, Call, Refusal, Success, bind, endpoint
from tests.support.builders import everything
from tests.support.system import RunningSystem


@endpoint("POST")
def sample(
    call: Call,
    number: int,
    name: str,
    flag: bool = False,
    share: float | None = None,
    ids: list[int] | None = None,
    names: list[str] | None = None,
    options: dict[str, Any] | None = None,
    either: str | list[Any] | None = None,
    anything: Any = None,
) -> Success:
    """An endpoint with a parameter of every kind."""
    return Success([number, name, flag, share, ids, names, options, either, anything])


SAMPLE = sample.__panda__  # type: ignore[attr-defined]
NEEDED = {"number": 1, "name": "x"}

GOOD = [
    (int, 5, 5),
    (int, "5", 5),
    (int, " -5 ", -5),
    (int, "+5", 5),
    (int, "12.0", 12),
    (int, 12.0, 12),
    (int, True, 1),
    (int, 2**53 + 1, 2**53 + 1),
    (int, 2**63 - 1, 2**63 - 1),
    (float, "1.5", 1.5),
    (float, 3, 3.0),
    (bool, "true", True),
    (bool, "True", True),
    (bool, "1", True),
    (bool, "false", False),
    (bool, "0", False),
    (bool, "", False),
    (bool, 1, True),
    (str, 5, "5"),
    (str, "", ""),
    (str | None, None, None),
    (str | None, "None", None),
    (str | None, "null", None),
    (str | None, "", ""),
    (int | None, "", None),
    (int | None, "NULL", None),
    (int | None, "7", 7),
    (list[int], 5, [5]),
    (list[int], "5", [5]),
    (list[int], ["5", 6], [5, 6]),
    (list[int], "[5, 6]", [5, 6]),
    (list[int], [], []),
    (list[str], "a", ["a"]),
    (dict[str, Any], {"a": 1}, {"a": 1}),
    (dict[str, Any], '{"a": 1}', {"a": 1}),
    (dict[str, Any], [], {}),
    (list[Any], "[1]", [1]),
    (list[Any], {"a": 1}, [{"a": 1}]),
    (list[Any], [], []),
    (str | list[Any], [1, {"a": 2}], [1, {"a": 2}]),
    (str | list[Any], "[1]", "[1]"),
    (str | dict[str, Any] | None, {"a": 1}, {"a": 1}),
    (Any, {"a": [None]}, {"a": [None]}),
]


@pytest.mark.parametrize(
    ("kind", "given_", "meant"), GOOD, ids=[f"{describe(kind)}: {value!r}" for kind, value, _ in GOOD]
)
def test_what_clients_send_is_understood(kind, given_, meant):
    result = cast(given_, kind)
    assert result == meant
    assert type(result) is type(meant)


BAD = [
    *[
        (int, value)
        for value in ("x", "", "1.5", 1.5, None, [1], {}, "1e400", "inf", "nan", float("inf"), 2**63, "²", "9" * 5000)
    ],
    *[(float, value) for value in ("x", None, [], 10**400, "nan", "-inf", "1e400")],
    *[(list[Any], value) for value in ("x", "", 5, None, True, "[1", "{}")],
    *[(bool, value) for value in ("yes", None, 1.5, [], "2")],
    *[(str, value) for value in (None, [], {})],
    *[(list[int], value) for value in (["x"], "x", None, "[1, 'x']", "[1", [None])],
    *[(dict[str, Any], value) for value in ("x", "[1]", 5, None, [1], "[" * 100 + "]" * 100)],
    *[(str | list[Any], value) for value in ({},)],
]


@pytest.mark.parametrize(("kind", "given_"), BAD, ids=[f"{describe(kind)}: {str(value)[:20]!r}" for kind, value in BAD])
def test_nonsense_is_no_value(kind, given_):
    if kind == (str | list[Any]):
        assert cast(given_, kind) == [given_]  # a lone object is a list of one
        return
    with pytest.raises((TypeError, ValueError)):
        cast(given_, kind)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*SAMPLE.hints, "unknown", "call", "return", ""]), json_values))
def test_any_parameters_are_bound_or_refused(values):
    bound = bind(SAMPLE, values)
    if isinstance(bound, Refusal):
        assert bound.message.startswith(("Argument error: missing a required argument: '", "Type error: '"))
        assert len(bound.message) < 300
    else:
        assert set(bound) <= set(SAMPLE.hints)
        assert isinstance(bound["number"], int)
        assert isinstance(bound["name"], str)
        assert abs(bound["number"]) < 2**63
        SAMPLE.function(None, **bound)


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from(["number", "text", "padded"]))
def test_every_whole_number_survives_in_any_form(number, form):
    given_ = {"number": number, "text": str(number), "padded": f" {number} "}[form]
    assert cast(given_, int) == number


def test_a_missing_argument_is_named():
    refusal = bind(SAMPLE, {"number": 1})
    assert isinstance(refusal, Refusal)
    assert refusal.message == "Argument error: missing a required argument: 'name'"


def test_what_is_missing_is_said_before_what_is_wrong():
    refusal = bind(SAMPLE, {"number": "x"})
    assert isinstance(refusal, Refusal)
    assert refusal.message == "Argument error: missing a required argument: 'name'"


def test_a_wrong_type_is_named_with_what_was_wanted():
    refusal = bind(SAMPLE, {**NEEDED, "ids": ["x" * 500]})
    assert isinstance(refusal, Refusal)
    assert refusal.message.startswith("Type error: 'ids' must be a list of an integer, got ['xxxx")
    assert len(refusal.message) < 200


def test_unknown_parameters_are_ignored_and_defaults_kept():
    assert bind(SAMPLE, {**NEEDED, "more": object()}) == NEEDED


def test_nothing_in_words_for_a_choice_is_its_default():
    for text in ("None", "NULL", "null"):
        assert bind(SAMPLE, {**NEEDED, "flag": text}) == NEEDED
    for nonsense in (None, "yes", ["true", "false"], [True], {}):
        refusal = bind(SAMPLE, {**NEEDED, "flag": nonsense})
        assert isinstance(refusal, Refusal)
        assert refusal.message.startswith("Type error: 'flag' must be true or false")


def test_an_endpoint_says_who_may_call_it():
    assert SAMPLE.auth is Auth.SECURE
    assert SAMPLE.methods == ("POST",)


# over HTTP


@pytest.fixture(scope="module")
def client(shared_system: RunningSystem) -> httpx.Client:
    return shared_system.client("alice")


@pytest.fixture(scope="module")
def nobody(shared_system: RunningSystem):
    with httpx.Client(base_url=shared_system.url, timeout=30) as nobody:
        yield nobody


def refused(response: httpx.Response, status: int = 200) -> str:
    assert response.status_code == status, response.text
    answer = response.json()
    assert set(answer) == {"success", "message", "data"}
    assert answer["success"] is False
    assert answer["message"]
    return str(answer["message"])


@pytest.mark.parametrize("name", ["v1", "latest"])
def test_both_addresses_of_the_api_answer(nobody, name):
    response = nobody.get(f"/api/{name}/system/is_alive")
    assert response.json() == {"success": True, "message": "", "data": None}
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path", ["job/nothing", "nothing/submit", "job/cast", "pilot/take_jobs", "job/_records", "job/__doc__"]
)
def test_an_unknown_method_is_forbidden(client, path):
    name = path.split("/")[1]
    for response in (client.get(f"/api/v1/{path}"), client.post(f"/api/v1/{path}", json={})):
        assert refused(response, 403) == f"ERROR : method {name} is forbidden"


def test_a_call_without_a_token_is_refused_with_the_remedy(nobody):
    assert "Authorization: Bearer" in refused(nobody.get("/api/v1/job/get_status", params={"job_ids": 1}))


def test_a_bad_token_is_forbidden_even_where_none_is_needed(nobody):
    for path in ("job/get_status?job_ids=1", "system/is_alive"):
        message = refused(nobody.get(f"/api/v1/{path}", headers={"Authorization": "Bearer nonsense"}), 403)
        assert "panda token create" in message


def test_a_role_that_is_missing_is_named(client):
    message = refused(client.post("/api/v1/pilot/update_job", json={"job_id": 1, "job_status": "running"}))
    assert message == "production or pilot role required"


def test_the_wrong_http_method_is_a_refusal(client):
    assert refused(client.get("/api/v1/job/submit")) == "expecting POST, received GET"
    assert refused(client.post("/api/v1/job/get_status", json={"job_ids": [1]})) == "expecting GET, received POST"


def test_get_and_post_of_one_method_answer_alike(client):
    by_get = client.get("/api/v1/job/get_description", params=[("job_ids", 5), ("job_ids", 6)]).json()
    by_post = client.post("/api/v1/job/get_description", json={"job_ids": [5, 6]}).json()
    assert by_get == by_post == {"success": True, "message": "", "data": [None, None]}


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("", "Argument error: missing a required argument: 'job_ids'"),
        ("job_ids=x", "Type error: 'job_ids' must be a list of an integer, got 'x'"),
        ("job_ids=1&job_ids=x", "Type error: 'job_ids' must be a list of an integer, got ['1', 'x']"),
        ("job_ids=inf", "Type error: 'job_ids'"),
        ("job_ids=9223372036854775808", "Type error: 'job_ids'"),
        ("job_ids=%00", "job_ids: holds a NUL character"),
        ("job_ids=1&more=%00", "more: holds a NUL character"),
        ("job_ids=%ff", "job_ids: not UTF-8"),
        ("job_ids=1&more=%ff", "more: not UTF-8"),
        ("job_ids=" + "1&job_ids=" * 5500 + "1", "job_ids: more than 5500 at once"),
    ],
    ids=range(10),
)
def test_what_is_wrong_in_a_question_is_named(client, query, complaint):
    assert refused(client.get(f"/api/v1/job/get_status?{query}")).startswith(complaint)


def test_a_method_of_http_that_nobody_uses_is_the_wrong_one(client):
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        assert refused(client.request(method, "/api/v1/job/submit")) == f"expecting POST, received {method}"
        both = client.request(method, "/api/v1/job/get_description", params={"job_ids": 1})
        assert refused(both) == f"expecting GET or POST, received {method}"
    assert client.head("/api/v1/system/is_alive").status_code == 200


def test_a_path_that_is_no_module_and_function_is_an_unknown_method(client):
    for path in ("job", "job/get_status/more", "", "job//get_status", "/job/get_status", "%2e%2e/x"):
        name = path.rpartition("/")[2]
        assert refused(client.get(f"/api/v1/{path}"), 403) == f"ERROR : method {name} is forbidden"
    assert client.get("/api/v1/job/get_status/", params={"job_ids": 1}).json()["success"]


def test_who_may_not_call_hears_that_before_anything_else(nobody, client):
    assert "SSL secure connection" in refused(nobody.post("/api/v1/job/submit", content=b"{"))
    assert refused(client.post("/api/v1/pilot/update_job", content=b"{")) == "production or pilot role required"
    assert refused(client.post("/api/v1/task/kill", json={})).startswith("Argument error")
    assert refused(client.post("/api/v1/task/kill", json={"task_id": "x"})).startswith("Type error")
    assert refused(client.post("/api/v1/task/kill", json={"task_id": 9})) == "not the task owner or no production role"


def test_parameters_that_are_ignored_are_named_where_no_client_trips_over_them(client):
    response = client.post("/api/v1/job/get_description", json={"job_ids": [5], "n_jobs": 1, "é\r\nX: y": None})
    assert response.json() == {"success": True, "message": "", "data": [None]}
    assert response.headers["X-Panda-Warning"] == "ignored unknown parameters: n_jobs, ???X??y"
    for path in ("job/get_description?job_ids=5", "system/get_attributes?anything=1"):
        assert "X-Panda-Warning" not in client.get(f"/api/v1/{path}").headers


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "x:99999", "x:y", "é", "", "u@[h", "a/b?c#d"])
def test_a_host_that_makes_no_sense_harms_nobody(client, host):
    paths = ("system/get_attributes", "job/generate_offline_execution_script?job_id=1", "job/get_status?job_ids=1")
    for path in paths:
        response = client.get(f"/api/v1/{path}", headers={"Host": host.encode()})
        assert response.status_code == 200, response.text
    found = client.post(
        "/api/v1/file_server/validate_cache_file", json={"file_size": 1, "checksum": 1}, headers={"Host": host.encode()}
    )
    assert refused(found) == "NOTFOUND"


def test_refusals_change_nothing(client, shared_system):
    before = everything(shared_system.database)
    for path in ("job/submit", "job/kill", "task/submit", "task/kill", "pilot/acquire_jobs", "pilot/update_job"):
        refused(client.post(f"/api/v1/{path}", json={}))
        refused(client.post(f"/api/v1/{path}", content=b"\xff"))
    assert everything(shared_system.database) == before


def test_the_order_of_a_union_counts_and_not_which_was_asked_first():
    assert cast("[]", list[Any] | str) == []
    assert cast("[]", str | list[Any]) == "[]"
    assert cast("{}", dict[str, Any] | str) == {}
    assert cast("{}", str | dict[str, Any]) == "{}"
