"""Which lines of a log speak of an error, and where a search matches. Pure functions over plain lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ERROR = re.compile(
    r"\b(error|exception|traceback|fatal|critical|failed|failure|abort(ed)?|segmentation fault|killed|panic"
    r"|no such file|permission denied|cannot|out of memory|core dumped)\b|\w+(Error|Exception)\b",
    re.IGNORECASE,
)
_WARNING = re.compile(r"\bwarn(ing)?\b", re.IGNORECASE)


def error_lines(lines: Sequence[str]) -> list[int]:
    """Positions (from 0) of lines that look like an error."""
    return [position for position, line in enumerate(lines) if _ERROR.search(line)]


def level(line: str) -> str:
    """`error`, `warning` or nothing: how the line is coloured."""
    if _ERROR.search(line):
        return "error"
    return "warning" if _WARNING.search(line) else ""


def matching_lines(lines: Sequence[str], wanted: str) -> list[int]:
    """Positions of lines that contain `wanted`; small letters match both cases, a capital makes the search exact."""
    if not wanted:
        return []
    if wanted.islower() or not any(character.isalpha() for character in wanted):
        folded = wanted.lower()
        return [position for position, line in enumerate(lines) if folded in line.lower()]
    return [position for position, line in enumerate(lines) if wanted in line]


def next_position(positions: Sequence[int], current: int, direction: int) -> int | None:
    """The next of sorted `positions` after (+1) or before (-1) `current`, going round at the ends."""
    if not positions:
        return None
    if direction > 0:
        return next((position for position in positions if position > current), positions[0])
    return next((position for position in reversed(positions) if position < current), positions[-1])
