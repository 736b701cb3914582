"""The identity behind a request and what its roles allow. Knows no header and no token."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Access(StrEnum):
    """Who may call an operation. Every operation states one (style.md: a policy that cannot be forgotten)."""

    OPEN = "open"
    READER = "reader"
    """Anybody when the monitor is open, else any valid token."""
    USER = "user"
    PILOT = "pilot"
    PRODUCTION = "production"
    OPERATOR = "operator"
    ADMIN = "admin"


ROLES_FOR: dict[Access, frozenset[str]] = {
    Access.PILOT: frozenset({"pilot", "production", "admin"}),
    Access.PRODUCTION: frozenset({"production", "admin"}),
    Access.OPERATOR: frozenset({"operator", "admin"}),
    Access.ADMIN: frozenset({"admin"}),
}


@dataclass(frozen=True)
class Caller:
    """The identity behind a request; `user_name` is empty for nobody."""

    user_name: str = ""
    vo: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    token_id: str = ""
    expiry_time: float = 0.0
    nickname: str = ""
    """What the names of the user's output datasets begin with, after `user.`"""
    groups: tuple[str, ...] = ()
    """As the token names them."""

    @property
    def is_known(self) -> bool:
        """Whether a valid token came with the request."""
        return bool(self.user_name)

    def may(self, access: Access) -> bool:
        """Whether one of the caller's roles grants `access` (PILOT, PRODUCTION, OPERATOR, ADMIN)."""
        return bool(self.roles & ROLES_FOR[access])


NOBODY = Caller()
