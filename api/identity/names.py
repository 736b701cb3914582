"""What a user is called: the owner name of jobs and tasks out of the claims of a token. Knows no header and no database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_USER_NAME = 200
_LEFT_OUT = re.compile(r"[()\[\]{}<>'\"`]")


def user_name_of(claims: Mapping[str, Any]) -> str:
    """The name as the real client shows it (client-wire.md 2.1): each word of `name` capitalised, brackets, quotes and words of
    digits dropped; the subject when there is no name.

    A name equal to the account (`preferred_username` or `sub`) is no person's name and stays as it is.
    """
    subject = str(claims.get("sub") or "")
    name = claims.get("name")
    if not isinstance(name, str) or not name.strip():
        return subject
    if name in (claims.get("preferred_username"), subject):
        return name
    words = [word for word in _LEFT_OUT.sub("", name).split() if not word.isdigit()]
    return " ".join(word[:1].upper() + word[1:].lower() for word in words) or subject


def is_usable_name(name: str) -> bool:
    """Whether a name can be kept, shown and compared: not empty, not endless, no control characters, no half characters."""
    return 0 < len(name) <= MAX_USER_NAME and name.isprintable() and name == name.strip()
