"""Bodies: gzip with or without saying so, never more than the limit, refused with a sentence."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bodies import gathered, parse_form, parse_json, parse_multipart, refuse_nul
from core.errors import InvalidInput
from tests.support.system import RunningSystem, running_system

STATUS = "/api/v1/job/get_description"


@pytest.fixture(scope="module")
def small(module_database_url, tmp_path_factory):
    """A server that takes a megabyte at most."""
    directory = tmp_path_factory.mktemp("small")
    with running_system(module_database_url, directory, agents=False, request_body_limit_mb=1) as system:
        yield system


@pytest.fixture(scope="module")
def client(small: RunningSystem) -> httpx.Client:
    return small.client("alice", "operator")


def v1(client: httpx.Client, body: bytes, **headers: str) -> dict[str, object]:
    response = client.post(STATUS, content=body, headers={"Content-Type": "application/json", **headers})
    assert response.status_code == 200, response.text
    return response.json()


def control(client: httpx.Client, body: bytes) -> tuple[int, dict[str, object]]:
    response = client.put("/api/control/queue/Q", content=body)
    assert response.headers["content-type"] in ("application/json", "application/problem+json")
    return response.status_code, response.json()


GOOD = json.dumps({"job_ids": [1]}).encode()


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}], ids=["unsaid", "said"])
def test_gzip_is_understood_whether_or_not_it_is_said(client, headers):
    assert v1(client, gzip.compress(GOOD), **headers)["success"]


FORM = "application/x-www-form-urlencoded"
BOUNDARY = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="job_ids"\r\n\r\n%s\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="extra"; filename="f"\r\n\r\nx\r\n'
UNDERSTOOD = [
    (FORM, b"job_ids=1&job_ids=2"),
    ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", b"job_ids=1&job_ids=2"),
    ("", b"job_ids=1&job_ids=2"),
    ("text/plain", b"job_ids=1&job_ids=2"),
    (BOUNDARY, PART % b"1" + FILE + PART % b"2" + b"--x--\r\n"),
    ("application/json; charset=utf-8", b'{"job_ids": [1, 2]}'),
    ("", b'{"job_ids": [1, 2]}'),
    ("text/plain", b' {"job_ids": [1, 2]}'),
    (FORM, b'{"job_ids": [1, 2]}'),  # curl -d
]


@pytest.mark.parametrize(("content_type", "body"), UNDERSTOOD, ids=range(len(UNDERSTOOD)))
def test_a_body_is_understood_in_any_form(client, content_type, body):
    answer = v1(client, body, **{"Content-Type": content_type})
    assert answer["data"] == [None, None], answer


REFUSED_FORMS = [
    (FORM, b"job_ids=1&more=%ff", "more: not UTF-8"),
    (FORM, b"job_ids=1&more=\xff", "more: not UTF-8"),
    (FORM, b"job_ids=1&%ff=1", "body: not UTF-8"),
    (FORM, b"job_ids=1&more=a%00b", "more: holds a NUL character"),
    (FORM, b"&".join([b"a=1"] * 10_001), "body: not a form: "),
    (BOUNDARY, PART % b"\xff" + b"--x--\r\n", "job_ids: not UTF-8"),
    (BOUNDARY, (PART % b"1") * 10_001 + b"--x--\r\n", "body: more than 10000 fields"),
    (BOUNDARY, b"no form", "body: the form is broken: "),
    ("multipart/form-data", PART % b"1" + b"--x--\r\n", "body: the form is broken: "),
    ("application/json", b"job_ids=1", "body: not JSON: "),
    ("application/json", b"null", "body: not a JSON object"),
    ("application/json", b" ", "Argument error: missing a required argument: 'job_ids'"),
]


@pytest.mark.parametrize(("content_type", "body", "complaint"), REFUSED_FORMS, ids=range(len(REFUSED_FORMS)))
def test_what_is_wrong_in_a_form_is_named(client, content_type, body, complaint):
    answer = v1(client, body, **{"Content-Type": content_type})
    assert (answer["success"], answer["data"]) == (False, None)
    assert str(answer["message"]).startswith(complaint)


BAD = {
    "not json": b"{",
    "two documents": b"{} {}",
    "python": b"{'job_ids': [1]}",
    "not utf-8": b'{"job_ids": "\xff\xfe"}',
    "lone surrogate": b'{"job_ids": "\\ud800"}',
    "nan": b'{"job_ids": [NaN]}',
    "cut gzip": gzip.compress(GOOD * 50)[:-12],
    "two gzips": gzip.compress(GOOD) * 2,
    "broken gzip": b"\x1f\x8b" + b"\x00" * 40,
    "too deep": b"[" * 500 + b"]" * 500,
    "deep object": b'{"a":' * 65 + b"1" + b"}" * 65,
    "far too deep": b"[" * 900_000,
    "a list": b"[1]",
    "a number": b"5",
    "a text": b'"x"',
    "nul": b'{"job_ids": [1], "site": "a\\u0000b"}',
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_a_bad_body_is_refused_with_a_sentence(client, body):
    answer = v1(client, body)
    assert not answer["success"]
    assert len(str(answer["message"])) > 10
    status, problem = control(client, body)
    assert status == 422, problem
    assert problem["detail"]
    assert problem["remedy"]


def test_the_field_with_a_nul_is_named(client):
    body = b'{"comment": "fine", "parameters": {"list": [1, {"x": "a\\u0000b"}]}}'
    status, problem = control(client, body)
    assert (status, problem["field"]) == (422, "parameters.list.1.x")
    status, problem = control(client, b'{"parameters": {"a\\u0000b": 1}}')
    assert (status, problem["field"]) == (422, "parameters")


@pytest.mark.parametrize("say_length", [True, False], ids=["with its length", "in chunks"])
def test_a_body_over_the_limit_is_refused_before_it_is_read(client, say_length):
    size, piece = 3 * 2**20, b" " * 65536
    content = b" " * size if say_length else (piece for _ in range(size // len(piece)))
    try:
        answer = client.post(STATUS, content=content).json()
    except (httpx.WriteError, httpx.RemoteProtocolError):
        return  # the server hung up on the rest, which is as good
    assert not answer["success"]
    assert "larger than 1 MB" in answer["message"]


def test_who_may_not_call_hears_that_rather_than_the_size(small, client):
    bomb = gzip.compress(b" " * 2 * 2**20)
    with httpx.Client(base_url=small.url) as nobody:
        assert "SSL secure connection is required" in nobody.post(STATUS, content=bomb).json()["message"]
        assert nobody.post(STATUS, content=bomb, headers={"Authorization": "Bearer x"}).status_code == 403
    answer = small.client("alice").post("/api/v1/pilot/update_job", content=bomb).json()
    assert answer["message"] == "production or pilot role required"


def test_a_bomb_does_not_go_off(client):
    bomb = gzip.compress(b" " * 200 * 2**20)
    assert len(bomb) < 2**20
    assert "larger than 1 MB" in str(v1(client, bomb)["message"])
    status, problem = control(client, bomb)
    assert (status, problem["code"], problem["field"]) == (422, "body_too_large", "body")
    assert "request_body_limit_mb" in str(problem["remedy"])


def test_a_caller_that_hangs_up_in_the_body_does_no_harm(small, client):
    address = urlsplit(small.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
        connection.sendall(b"POST " + STATUS.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert v1(client, GOOD)["success"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    for parse in (parse_json, parse_form, lambda form: parse_multipart(b"--x\r\n" + form, BOUNDARY)):
        try:
            parse(body)
        except InvalidInput as refused:
            assert refused.field
            assert refused.remedy


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_nul_is_found_wherever_it_is(document):
    body = json.dumps(document).encode()
    holds_nul = b"\\u0000" in body and "\x00" in repr_of(document)
    try:
        parse_json(body)
    except InvalidInput as refused:
        assert holds_nul or "surrogate" in refused.detail or "NUL" not in refused.detail
    else:
        assert not holds_nul


def repr_of(document: object) -> str:
    """All texts of a document, one after the other."""
    if isinstance(document, str):
        return document
    if isinstance(document, dict):
        return "".join(key + repr_of(value) for key, value in document.items())
    return "".join(repr_of(entry) for entry in document) if isinstance(document, list) else ""


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=3)), max_size=10))
def test_repeated_keys_become_lists_in_order(pairs):
    values = gathered(pairs)
    for key in "abc":
        given_values = [value for name, value in pairs if name == key]
        expected = given_values[0] if len(given_values) == 1 else given_values
        assert values.get(key, []) == expected


def test_the_path_of_a_nul_in_the_query_is_the_name_of_the_parameter():
    with pytest.raises(InvalidInput) as refused:
        refuse_nul(gathered([("a", "x"), ("b", "y"), ("b", "\x00")]), "")
    assert refused.value.field == "b.1"


def test_a_gzip_of_the_other_kind_is_just_a_bad_body(client):
    assert not v1(client, zlib.compress(GOOD))["success"]
