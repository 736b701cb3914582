"""Whether a few jobs of a task go first, and how many of them must succeed. Knows keys, not what scouts do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.taskengine.dialects import fields


def uses_scouts(parameters: Mapping[str, Any], *, by_default: bool) -> bool:
    """skipScout and useScout; `by_default` when neither is there. Raises InvalidInput when both are asked for."""
    skips, wants = fields.flag(parameters, "skipScout"), fields.flag(parameters, "useScout")
    if skips and wants:
        raise InvalidInput("useScout is asked for too", field="skipScout", remedy="leave one of them out")
    if parameters.get("useScout") is not None:
        return wants
    return by_default and not skips


def scout_success_rate(parameters: Mapping[str, Any]) -> float | None:
    """scoutSuccessRate, in tenths on this wire, as a part of one; None when not stated. Raises InvalidInput."""
    tenths = fields.number(parameters, "scoutSuccessRate", (0, 10))
    return None if tenths is None else tenths / 10
