"""pandascope: the Python client of PanDA (`Client`, `AsyncClient`) and, below `cli`, the `panda` command.

Importing it is cheap: HTTP and its libraries are loaded when a client is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandascope.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from pandascope import client

        return getattr(client, name)
    raise AttributeError(f"module 'pandascope' has no attribute '{name}'")
