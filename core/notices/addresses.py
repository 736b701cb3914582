"""Where a user gets mail. Knows names only; a name that could be something else is no address."""

from __future__ import annotations

import re

_LONGEST = 254
_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*")


def address_of(user_name: str, domain: str) -> str:
    """The address of a user: the name itself if it is one, else the name at `domain`; empty where neither makes one."""
    if len(user_name) > _LONGEST:
        return ""
    if _ADDRESS.fullmatch(user_name):
        return user_name
    found = f"{user_name}@{domain}" if domain and _LOCAL.fullmatch(user_name) else ""
    return found if _ADDRESS.fullmatch(found) else ""
