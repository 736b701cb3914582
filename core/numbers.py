"""Numbers as people and other systems write them. Knows no unit and no limit."""

from __future__ import annotations


def as_number(value: object) -> float | None:
    """A number, also one written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if read == read else None  # noqa: PLR0124  (not a number)
