"""What every page may use: who to ask, as whom, and where the monitor lives. Holds no data of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dash import ctx

from dashboard.links import Links

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

SESSION_COOKIE = "panda_session"
"""The cookie in which the API expects a browser's token (api/identity/access.py says the same)."""

ClientFactory = Callable[[Mapping[str, str]], "AsyncClient"]
"""Makes a client that speaks as the visitor whose request headers it is given ('cookie', 'authorization')."""


@dataclass(frozen=True)
class Monitor:
    """One mounted monitor."""

    client_factory: ClientFactory
    links: Links
    stream_path: str

    def client(self) -> AsyncClient:
        """A client with the identity of the visitor whose callback is running."""
        return self.client_for(visitor_headers())

    def client_for(self, headers: Mapping[str, str]) -> AsyncClient:
        """A client with the identity that these headers carry."""
        return self.client_factory(headers)


def visitor_headers() -> dict[str, str]:
    """The headers of the running callback's request that say who asks."""
    given = {str(name).lower(): str(value) for name, value in dict(ctx.headers).items()}
    return {name: given[name] for name in ("cookie", "authorization") if name in given}
