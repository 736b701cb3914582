"""Who asked and where: the addresses of a request as this server sees them. Knows no operation."""

from __future__ import annotations

from functools import lru_cache

from starlette.datastructures import URL
from starlette.requests import Request


def base_url_of(request: Request) -> str:
    """Scheme, host and port under which the client found us, since a server may be known by several names."""
    scope = request.scope
    return _base_url(scope.get("scheme", "http"), request.headers.get("host"), scope.get("server"))


@lru_cache(maxsize=256)
def _base_url(scheme: str, host: str | None, server: tuple[str, int | None] | None) -> str:
    """Kept: every call asks, and what makes no sense must be told from what does each time."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    url = URL(scope={"scheme": scheme, "server": server, "path": "/", "headers": headers})
    return f"{url.scheme}://{url.netloc}"


def address_of(request: Request) -> str:
    """Where a request comes from, as far as this server can tell."""
    return request.client.host if request.client is not None else ""
