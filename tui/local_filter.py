"""The `/` filter of lists that are loaded whole: `text`, `!text` (not), `key=value`, `~fuzzy`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches(row: Mapping[str, Any], wanted: str) -> bool:
    """Does a row satisfy the filter? An empty filter lets everything through."""
    wanted = wanted.strip()
    if wanted.startswith("!"):
        return len(wanted) == 1 or not matches(row, wanted[1:])
    if not wanted:
        return True
    if wanted.startswith("~"):
        return any(_is_subsequence(wanted[1:].lower(), text) for text in _texts(row))
    name, equals, value = wanted.partition("=")
    if equals and name in row:
        return value.lower() in str(row[name] if row[name] is not None else "").lower()
    return any(wanted.lower() in text for text in _texts(row))


def _texts(row: Mapping[str, Any]) -> list[str]:
    return [
        str(value).lower() for value in row.values() if isinstance(value, str | int) and not isinstance(value, bool)
    ]


def _is_subsequence(wanted: str, text: str) -> bool:
    remaining = iter(text)
    return all(character in remaining for character in wanted)
