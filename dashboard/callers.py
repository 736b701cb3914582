"""Who may end and retry what: its owner, and those who manage the work of others. Only for what a page offers.

The API decides each time anew (docs/actions.md). Knows no page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.context import visitor_headers
from dashboard.visitors import token_of
from pandascope.errors import NotAuthorised

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

_MANAGERS = frozenset({"production", "operator", "admin"})


@dataclass(frozen=True)
class Caller:
    """Who looks at a page, as the server names people; nobody without a token."""

    name: str = ""
    roles: frozenset[str] = frozenset()

    def may_end(self, owner: str | None) -> bool:
        """Whether it makes sense to offer to kill or retry what is `owner`'s."""
        return bool(self.roles & _MANAGERS) or bool(self.name and self.name == owner)


async def caller(client: AsyncClient) -> Caller:
    """Who is looking; nobody is asked for without a token."""
    if not token_of(visitor_headers()):
        return Caller()
    try:
        found = await client.caller()
    except NotAuthorised:
        return Caller()
    return Caller(str(found.get("user_name") or ""), frozenset(map(str, found.get("roles") or [])))
