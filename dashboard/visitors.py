"""Clients that speak as the visitor of a page, never as the process that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

import httpx

from dashboard.context import SESSION_COOKIE, ClientFactory
from pandascope.client import AsyncClient
from pandascope.transport import Manners

_MANNERS = Manners(timeout_s=15.0, tries=2, longest_pause_s=0.5)
"""A page shall say soon that the server is away; the live channel brings it back."""


def visitor_clients(url: str, transport: httpx.AsyncBaseTransport | None = None) -> ClientFactory:
    """A factory of clients for the API at `url`, or behind `transport` (the API in the same process)."""

    def client_for(headers: Mapping[str, str]) -> AsyncClient:
        # an empty token, not None: the client must not look for the one of the account that runs the server
        return AsyncClient(url, token_of(headers), via="web", manners=_MANNERS, transport=transport)

    return client_for


def token_of(headers: Mapping[str, str]) -> str:
    """The token in a visitor's headers: the bearer, else the session cookie; empty for nobody."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie is not None else ""
