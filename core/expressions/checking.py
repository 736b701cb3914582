"""What can be said against an expression by looking at it. What only the database knows, it is asked (`core.patterns`)."""

from __future__ import annotations

import re

from core.errors import InvalidInput
from core.expressions.languages import can_match

_BACK_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]")
"""The one thing with which regular expressions of the database run away, on work that comes long after the edit."""


def check_expression(expression: str, field: str, *, whole: bool) -> None:
    """Raise InvalidInput naming `field` for an expression that may run away, or that certainly matches no text.

    `whole`: it has to match all of a text, else its beginning.
    """
    if _BACK_REFERENCE.search(expression):
        raise InvalidInput(
            "refers back to a group, which may take minutes to match",
            field=field,
            remedy="write out what is to be repeated",
        )
    if not can_match(expression, whole=whole):
        raise InvalidInput(
            f"{expression[:100]!r} can match no text at all",
            field=field,
            remedy="look for a ^ after or a $ before something, and for look-aheads that contradict",
        )
