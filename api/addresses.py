"""Who asked and where: the addresses of a request as this server sees them. Knows no operation."""

from __future__ import annotations

from starlette.requests import Request


def base_url_of(request: Request) -> str:
    """Scheme, host and port under which the client found us, since a server may be known by several names."""
    return f"{request.url.scheme}://{request.url.netloc}"


def address_of(request: Request) -> str:
    """Where a request comes from, as far as this server can tell."""
    return request.client.host if request.client is not None else ""
