"""The organisation and role a caller asks to act in (`Origin: <vo>[:role]`), and whether the token's groups allow it.

Knows the forms of group names (client-wire.md 2.1); does not know who issued the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import NotAllowed


@dataclass(frozen=True)
class Membership:
    """A VO, and a role in it or none."""

    vo: str
    role: str = ""

    def __str__(self) -> str:
        """The group as PanDA's tokens name it."""
        return f"{self.vo}/{self.role}" if self.role else self.vo


def origin_of(headers: Mapping[str, str]) -> str:
    """What the Origin header asks for; empty when there is none or it is a browser's, which names a site."""
    origin = headers.get("origin", "")
    return "" if origin == "null" or "://" in origin else origin.strip()


def split_origin(text: str) -> Membership:
    """`<vo>:<role>` or `<vo>.<role>`; a VO that begins with `vo.` is split at the colon only."""
    mark = ":" if ":" in text or text.startswith("vo.") else "."
    vo, _, role = text.partition(mark)
    return Membership(vo, role)


def memberships_of(groups: object) -> frozenset[Membership]:
    """VOs and roles in a claim of groups: `vo`, `/vo`, `vo/role`, `/vo/role`, `/vo/Role=role`. Deeper groups make a member of
    the VO, without a role of it."""
    found = set()
    for group in groups if isinstance(groups, list) else []:
        vo, *further = str(group).strip().removeprefix("/").split("/")
        found.add(Membership(vo))
        if len(further) == 1:
            found.add(Membership(vo, further[0].removeprefix("Role=")))
    return frozenset(entry for entry in found if entry.vo)


def groups_of(claims: Mapping[str, Any], profile: str = "") -> list[str]:
    """The groups a token names; `profile` wlcg has them elsewhere."""
    groups = claims.get("wlcg.groups" if profile == "wlcg" else "groups")
    return [str(group) for group in groups] if isinstance(groups, list) else []


def asked_membership(origin: str, held: frozenset[Membership]) -> Membership:
    """The membership that `origin` asks for. Raises NotAllowed saying which group is missing."""
    whole = Membership(origin)
    if whole in held:  # a VO may have a dot in its name
        return whole
    asked = split_origin(origin)
    for needed in (Membership(asked.vo), asked):
        if needed not in held:
            raise missing_group(needed)
    return asked


def missing_group(needed: Membership) -> NotAllowed:
    """The refusal for a group the token does not hold."""
    return NotAllowed(
        f"the token holds no group '{needed}'",
        field="Origin",
        remedy="ask to be added to it, or send 'Origin: <vo>[:role]' with one that it holds",
    )
