"""Who the person at the console is to the server, and what that person may not even try. The server alone decides the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pandascope.client import AsyncClient
from pandascope.errors import Refused
from tui.keys import BY_ACTION

_OPERATORS = frozenset({"operator", "admin"})
_FOR_EVERYBODY = frozenset({"kill", "retry", "preview"})
"""What people may do to what is theirs, and asking what would follow."""


@dataclass(frozen=True)
class Caller:
    """The person as the server has it; without a name a guest."""

    name: str = ""
    roles: frozenset[str] = frozenset()

    def why_not(self, action: str) -> str:
        """Why an action of the key table, or `preview`, is not for this person; empty when it may be tried."""
        key = BY_ACTION.get(action)
        if key is not None and not key.changes_state:
            return ""
        if not self.name:
            return "you are a guest here; quit, set PANDA_TOKEN (`panda token create` makes one), start again"
        if action in _FOR_EVERYBODY or self.roles & _OPERATORS:
            return ""
        return f"this needs the role operator or admin, which {self.name} has not"


EVERYBODY = Caller("somebody", _OPERATORS)
"""Who the person is as long as the server has not said: it refuses what must not be."""
Renewal = Callable[[], tuple[AsyncClient, str] | None]
"""Gives a client with another token than the one that is refused, and the words for whose it is; None where there is none."""


async def caller_of(client: AsyncClient) -> Caller:
    """Ask the server. Raises ClientError when it cannot be asked."""
    try:
        answer = await client.caller()
    except Refused:  # nobody without a token has attributes
        return Caller()
    return Caller(str(answer.get("user_name") or ""), frozenset(map(str, answer.get("roles") or [])))
