"""Puts values into a command line so that each stays what it is, whatever quotes stand around it. Knows no placeholder.

Both readers of the text must see the same: a POSIX shell, and the production pilot, which splits and quotes again
(pilot-wire.md 3: Python's shlex, where a backslash protects nothing but quotes and itself).
"""

from __future__ import annotations

import re
import shlex

# what no shell takes apart; brackets and commas too, since compacted names hold them
_PLAIN = re.compile(r"[\w@%+=:,./\[\]-]*", re.ASCII)
_SPECIAL_IN_DOUBLE_QUOTES = re.compile(r"[$`]")


class QuoteState:
    """Follows a command line from the left and knows the quotes that are open."""

    def __init__(self) -> None:
        self._open = ""
        self._is_escaped = False

    def read(self, text: str) -> None:
        """Go on over literal text."""
        for character in text:
            if self._is_escaped:
                self._is_escaped = False
            elif character == "\\" and self._open != "'":
                self._is_escaped = True
            elif self._open:
                self._open = "" if character == self._open else self._open
            elif character in "'\"":
                self._open = character

    def protect(self, value: str) -> str:
        """`value` as it must be written here."""
        if self._open == "'":
            return value.replace("'", "'\"'\"'")
        if self._open == '"':
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return _SPECIAL_IN_DOUBLE_QUOTES.sub(lambda found: f"\"'{found.group()}'\"", escaped)
        return value if _PLAIN.fullmatch(value) else shlex.quote(value)
