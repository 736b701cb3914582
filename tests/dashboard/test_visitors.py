"""Who a page's client speaks as: the visitor, and nobody else."""

from __future__ import annotations

import httpx
import pytest

from dashboard.signin import claims
from dashboard.visitors import token_of, visitor_clients


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, ""),
        ({"cookie": "panda_session=a.b.c; other=1"}, "a.b.c"),
        ({"authorization": "Bearer x.y.z", "cookie": "panda_session=a.b.c"}, "x.y.z"),
        ({"authorization": "Basic abc", "cookie": "panda_session=a.b.c"}, "a.b.c"),
        ({"cookie": '"; ;;=\x01=,'}, ""),
    ],
)
def test_the_token_is_the_visitors(headers, token):
    assert token_of(headers) == token


async def _answer_with_headers(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"authorization": request.headers.get("authorization", "")})


@pytest.mark.parametrize(("headers", "sent"), [({}, ""), ({"cookie": "panda_session=a.b.c"}, "Bearer a.b.c")])
def test_an_anonymous_visitor_never_borrows_the_servers_own_token(monkeypatch, headers, sent):
    import asyncio

    monkeypatch.setenv("PANDA_URL", "http://here.invalid")
    monkeypatch.setenv("PANDA_TOKEN", "the.servers.own")
    clients = visitor_clients("http://here.invalid", httpx.MockTransport(_answer_with_headers))

    async def ask() -> str:
        async with clients(headers) as client:
            return str((await client.summary())["authorization"])

    assert asyncio.run(ask()) == sent


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.!!.c", "..", "a.bnVsbA.c", "a.e30.c"])
def test_what_is_no_token_claims_nothing(token):
    assert claims(token) == {}
