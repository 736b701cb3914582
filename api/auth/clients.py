"""Client ids of the embedded issuer: one for each organisation and role, so that a request says what it is for."""

from __future__ import annotations

from api.identity.membership import Membership
from core.configuration import Settings
from core.database import Database
from core.identity import has_embedded_users

_PREFIX = "pandascope:"


def client_id_of(asked: Membership) -> str:
    """The client that programs use for tokens of `asked`."""
    return f"{_PREFIX}{asked.vo}:{asked.role}" if asked.role else f"{_PREFIX}{asked.vo}"


def membership_of(client_id: str) -> Membership | None:
    """What a client is for; None for one that is not ours."""
    vo, _, role = client_id.removeprefix(_PREFIX).partition(":")
    return Membership(vo, role) if client_id.startswith(_PREFIX) and vo else None


def is_served(settings: Settings, database: Database, vo: str) -> bool:
    """Whether the embedded issuer gives tokens to members of `vo`."""
    return vo == settings.vo or has_embedded_users(database, vo)
