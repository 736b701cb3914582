"""HTML attributes whose names hold a dash, which Python's keywords cannot."""

from __future__ import annotations

from typing import Any


def attributes(**values: str | None) -> dict[str, Any]:
    """`aria_label="x", data_key="u"` as 'aria-label', 'data-key'; those that are None are left out."""
    return {name.replace("_", "-"): value for name, value in values.items() if value is not None}
