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

from api.bodies import gathered, parse_form, parse_json, refuse_nul
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


def test_a_form_is_understood(client):
    answer = client.post(
        STATUS, content="job_ids=1&job_ids=2", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.json()["data"] == [None, None]


def test_a_content_type_is_not_needed(client):
    assert client.post(STATUS, content=GOOD).json()["success"]


BAD = {
    "not json": b"{",
    "two documents": b"{} {}",
    "python": b"{'job_ids': [1]}",
    "not utf-8": b'{"job_ids": "\xff\xfe"}',
    "lone surrogate": b'{"job_ids": "\\ud800"}',
    "nan": b'{"job_ids": [NaN]}',
    "cut gzip": gzip.compress(GOOD * 50)[:-12],
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
    for parse in (parse_json, parse_form):
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
