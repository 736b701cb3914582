"""Who a verified token speaks for: owner name, organisation and roles, out of its claims and what Origin asks for.

Tokens of the embedded issuer carry their organisation and roles, and Origin may only repeat what they hold. Tokens of others
carry groups, and Origin says in which of them the caller acts (client-wire.md 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.identity.caller import Caller
from api.identity.external import Verified, is_robot
from api.identity.issuer import refused
from api.identity.membership import Membership, asked_membership, groups_of, memberships_of
from api.identity.names import is_usable_name, user_name_of
from core.errors import NotAllowed
from core.issuers import ExternalIssuer


class Forbidden(NotAllowed):
    """The token is good, its bearer may not: nothing that another token of the same person would change."""


def embedded_caller(claims: Mapping[str, Any], origin: str) -> Caller:
    """The caller of a token of ours. Raises Forbidden when `origin` asks for a group it does not hold."""
    groups = groups_of(claims)
    vo = str(claims.get("vo", ""))
    if origin:
        vo = _asked(origin, memberships_of(groups) | {Membership(vo)}).vo
    roles = claims.get("roles", [])
    return Caller(
        user_name=_name_in(claims),
        vo=vo,
        roles=frozenset(str(role) for role in roles) if isinstance(roles, list) else frozenset(),
        token_id=str(claims.get("jti", "")),
        expiry_time=float(claims["exp"]),
        nickname=str(claims.get("preferred_username") or ""),
        groups=tuple(groups),
    )


def external_caller(token: Verified, origin: str) -> Caller:
    """The caller of a token of another issuer. Raises Forbidden without an Origin, or when it asks for what the token or the
    settings do not give."""
    claims = token.claims
    if not origin:
        raise Forbidden(
            "a token of this issuer needs to be told for which organisation it is used",
            field="Origin",
            remedy="send 'Origin: <vo>' or 'Origin: <vo>:<role>' with it",
        )
    profile = token.entries[0].jwt_profile
    groups = groups_of(claims, profile)
    robots = [entry for entry in token.entries if is_robot(claims, entry)]
    held = memberships_of(groups) | {
        membership
        for entry in robots
        for membership in (Membership(entry.vo), *(Membership(entry.vo, role) for role in entry.auto_roles))
    }
    asked = _asked(origin, held)
    _entry_for(token.entries, asked)
    granted = {role for entry in robots if entry.vo == asked.vo for role in entry.auto_roles}
    return Caller(
        user_name=_name_in(claims),
        vo=asked.vo,
        roles=frozenset(granted | {asked.role} if asked.role else granted),
        token_id=f"{claims['iss']}#{claims.get('jti', '')}",
        expiry_time=float(claims["exp"]),
        nickname=str(claims.get("preferred_username") or ""),
        groups=tuple(groups),
    )


def _name_in(claims: Mapping[str, Any]) -> str:
    name = user_name_of(claims)
    if not is_usable_name(name):
        raise refused(f"{name[:40]!r} cannot be the name of a user")
    return name


def _asked(origin: str, held: frozenset[Membership]) -> Membership:
    try:
        return asked_membership(origin, held)
    except NotAllowed as error:
        raise Forbidden(error.detail, field=error.field, remedy=error.remedy) from error


def _entry_for(entries: tuple[ExternalIssuer, ...], asked: Membership) -> ExternalIssuer:
    """The entry of the settings for what is asked: a provider of one VO may know groups that are named like another."""
    for entry in sorted(entries, key=lambda known: known.role != asked.role):
        if entry.vo == asked.vo and entry.role in ("", asked.role):
            return entry
    raise Forbidden(
        f"the token was made for a client that is not one of '{asked}' here",
        field="Origin",
        remedy="sign in with that organisation's client, see GET /auth/<vo>_auth_config.json",
    )
