"""Who is calling and what that allows. Knows headers and roles; does not know what an operation does."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from api.identity.issuer import Issuer
from core.configuration import Settings
from core.database import Database
from core.errors import NotAllowed, Unavailable
from core.identity import refused_identities

SESSION_COOKIE = "panda_session"
_REFUSED_AGE_S = 10.0
_CACHE_SIZE = 10_000


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


_ROLES_FOR: dict[Access, frozenset[str]] = {
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

    @property
    def is_known(self) -> bool:
        """Whether a valid token came with the request."""
        return bool(self.user_name)

    def may(self, access: Access) -> bool:
        """Whether one of the caller's roles grants `access` (PILOT, PRODUCTION, OPERATOR, ADMIN)."""
        return bool(self.roles & _ROLES_FOR[access])


NOBODY = Caller()


class Gate:
    """Turns headers into a Caller and refuses who may not pass. Shared by the threads of one process."""

    def __init__(self, issuer: Issuer, database: Database, settings: Settings) -> None:
        self._issuer = issuer
        self._database = database
        self._monitor_is_open = settings.monitor_is_open
        self._callers: dict[str, Caller] = {}
        self._refused: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        self._refused_until = 0.0
        self._lock = threading.Lock()

    def identify(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Caller:
        """The caller of a request; NOBODY without a token. Raises NotAllowed for a bad, expired, revoked or banned one."""
        text = _bearer(headers) or cookies.get(SESSION_COOKIE, "")
        if not text:
            return NOBODY
        caller = self._callers.get(text)
        if caller is None or caller.expiry_time < time.time():
            caller = _caller_of(self._issuer.verify(text))
            if len(self._callers) >= _CACHE_SIZE:
                self._callers.clear()
            self._callers[text] = caller
        tokens, users = self._refused_lists()
        if caller.token_id in tokens:
            raise NotAllowed("the token was revoked", field="Authorization", remedy="ask for a new one")
        if caller.user_name in users:
            raise NotAllowed(
                f"user {caller.user_name} is disabled", field="Authorization", remedy="ask an administrator"
            )
        return caller

    def admit(self, caller: Caller, access: Access) -> None:
        """Raise NotAllowed unless `caller` may use an operation with this policy."""
        if access is Access.OPEN or (access is Access.READER and (self._monitor_is_open or caller.is_known)):
            return
        if not caller.is_known:
            raise NotAllowed(
                "a token is needed",
                field="Authorization",
                remedy="send 'Authorization: Bearer <token>' (panda token create)",
            )
        if access in _ROLES_FOR and not caller.may(access):
            roles = " or ".join(sorted(_ROLES_FOR[access]))
            raise NotAllowed(
                f"this needs the role {roles}", field="Authorization", remedy="ask for a token with that role"
            )

    def _refused_lists(self) -> tuple[frozenset[str], frozenset[str]]:
        """Revocations and bans, at most some seconds old; the last known ones while the database is away."""
        now = time.monotonic()
        if now >= self._refused_until:
            with self._lock:
                if now >= self._refused_until:
                    self._refused_until = now + _REFUSED_AGE_S
                    try:
                        self._refused = refused_identities(self._database)
                    except Unavailable:
                        self._refused_until = now + 1.0
        return self._refused


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _caller_of(claims: dict[str, Any]) -> Caller:
    roles = claims.get("roles", [])
    return Caller(
        user_name=str(claims.get("name") or claims["sub"]),
        vo=str(claims.get("vo", "")),
        roles=frozenset(str(role) for role in roles) if isinstance(roles, list) else frozenset(),
        token_id=str(claims.get("jti", "")),
        expiry_time=float(claims["exp"]),
    )
