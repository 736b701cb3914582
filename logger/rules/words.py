"""How measures say spans of time and counts to people."""

from __future__ import annotations


def span(seconds: float) -> str:
    """A span of time in the unit that people would use."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86_400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} d"


def counted(count: int, one: str, many: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {one if count == 1 else many}"
