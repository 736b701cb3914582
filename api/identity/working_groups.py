"""Who may submit in the name of a working group, and with which role (domain.md 2.6, 6.2, 14). Knows callers, no request."""

from __future__ import annotations

from api.identity.caller import Access, Caller
from core.errors import NotAllowed


def check_working_group(caller: Caller, group: str, field: str) -> None:
    """Raise NotAllowed naming `field` unless `caller` may work for `group`: with the production role, or as its member.

    Work of a group has limits, priorities and a share of its own, so its name cannot be anybody's to give. A token names
    the groups of its bearer as `higgs`, `vo/higgs`, `/vo/higgs/Role=production`.
    """
    _check_member(caller, group, "working group", field)


def check_country_group(caller: Caller, country: str, field: str) -> None:
    """The same of the country whose resources are asked for: what is kept for its members is not anybody's to take."""
    _check_member(caller, country, "country group", field)


def _check_member(caller: Caller, group: str, what: str, field: str) -> None:
    if not group or caller.may(Access.PRODUCTION) or any(group in _names(entry) for entry in caller.groups):
        return
    raise NotAllowed(
        f"{caller.user_name} is no member of the {what} {group[:64]!r}",
        field=field,
        remedy="leave it out, or use a token that names the group or has the production role",
    )


def has_group_production_role(caller: Caller, group: str) -> bool:
    """Whether `caller` submits for `group` with its production role: that of the VO, or `/vo/higgs/Role=production`."""
    of_group = (entry for entry in caller.groups if entry.endswith("/Role=production") and group in _names(entry))
    return bool(group) and (caller.may(Access.PRODUCTION) or any(of_group))


def production_groups(caller: Caller) -> frozenset[str]:
    """The working groups whose production role the token of `caller` names."""
    return frozenset(name for entry in caller.groups if entry.endswith("/Role=production") for name in _names(entry))


def _names(entry: str) -> list[str]:
    """The groups in a path: without the VO in front of others, and without the role at its end."""
    parts = entry.strip("/").split("/")
    return [part for part in (parts[1:] or parts) if not part.startswith("Role=")]
