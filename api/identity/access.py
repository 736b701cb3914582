"""Who is calling and what that allows. Knows headers and roles; does not know what an operation does."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from api.identity.caller import NOBODY, ROLES_FOR, Access, Caller
from api.identity.external import ExternalIssuers, peek
from api.identity.issuer import Issuer
from api.identity.membership import origin_of
from api.identity.principals import Forbidden, embedded_caller, external_caller
from core.configuration import Settings
from core.database import Database
from core.errors import NotAllowed, Unavailable
from core.identity import claim_user_name, refused_identities

__all__ = ["NOBODY", "SESSION_COOKIE", "Access", "Caller", "Forbidden", "Gate"]

SESSION_COOKIE = "panda_session"
_REFUSED_AGE_S = 10.0
_CACHE_SIZE = 10_000
_EXTERNAL_AGE_S = 600.0
"""A token of another issuer is checked anew so often: its keys may be withdrawn."""


class Gate:
    """Turns headers into a Caller and refuses who may not pass. Shared by the threads of one process."""

    def __init__(self, issuer: Issuer, database: Database, settings: Settings) -> None:
        self._issuer = issuer
        self._external = ExternalIssuers(settings.issuers)
        self._has_others = bool(settings.issuers)
        self._database = database
        self._monitor_is_open = settings.monitor_is_open
        self._callers: dict[tuple[str, str], tuple[Caller, float]] = {}
        self._refused: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        self._refused_until = 0.0
        self._lock = threading.Lock()

    def identify(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Caller:
        """The caller of a request; NOBODY without a token.

        Raises NotAllowed for a bad, expired or revoked one, Forbidden for a banned user and for a group that the token does
        not hold, Unavailable when its issuer must be asked and does not answer.
        """
        text = _bearer(headers) or cookies.get(SESSION_COOKIE, "")
        if not text:
            return NOBODY
        key = (text, origin_of(headers))
        known = self._callers.get(key)
        if known is None or known[1] < time.time():
            known = self._verify(*key)
            if len(self._callers) >= _CACHE_SIZE:
                self._callers.clear()
            self._callers[key] = known
        caller = known[0]
        tokens, users = self._refused_lists()
        if caller.token_id in tokens:
            raise NotAllowed("the token was revoked", field="Authorization", remedy="ask for a new one")
        if caller.user_name in users:
            raise Forbidden(
                f"user {caller.user_name} is disabled", field="Authorization", remedy="ask an administrator"
            )
        return caller

    def _verify(self, text: str, origin: str) -> tuple[Caller, float]:
        """The caller of a token, and until when that need not be looked at again (seconds since 1970)."""
        issuer = peek(text)[1].get("iss")
        if issuer == self._issuer.name or not isinstance(issuer, str) or not self._has_others:
            caller = embedded_caller(self._issuer.verify(text), origin)
            return caller, caller.expiry_time
        token = self._external.verify(text, issuer)
        caller = external_caller(token, origin)
        try:
            claim_user_name(self._database, user_name=caller.user_name, vo=caller.vo, subject=token.subject)
        except Unavailable:  # a database that is away keeps nobody out; whose name it is will be looked at again
            return caller, 0.0
        return caller, min(caller.expiry_time, time.time() + _EXTERNAL_AGE_S)

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
        if access in ROLES_FOR and not caller.may(access):
            roles = " or ".join(sorted(ROLES_FOR[access]))
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
