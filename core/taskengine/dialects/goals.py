"""What a submitter says of the end of a task: how much must succeed, who decides, who is told. Knows keys only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.taskengine.dialects import fields

_FAILS_BELOW = ("failGoalUnreached", "failWhenGoalUnreached")
"""The name of the rule and that of upstream's task parameter."""


def ending(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the definition that concern the end: goal, disableAutoFinish and noEmail.

    Raises InvalidInput naming the key, also for what contradicts: allowPartialFinish beside failGoalUnreached or
    useExhausted.
    """
    fails = any(fields.flag(parameters, name) for name in _FAILS_BELOW)
    exhausts = fields.flag(parameters, "useExhausted")
    if fields.flag(parameters, "allowPartialFinish") and (fails or exhausts):
        raise InvalidInput(
            f"{'failGoalUnreached' if fails else 'useExhausted'} is asked for too",
            field="allowPartialFinish",
            remedy="a part is welcome or it is not: leave one of them out",
        )
    return {
        "goal": _per_mille(parameters),
        "finishes_by_itself": not fields.flag(parameters, "disableAutoFinish"),
        "sends_mail": not fields.flag(parameters, "noEmail"),
    }


def _per_mille(parameters: Mapping[str, Any]) -> int:
    value = parameters.get("goal")
    if value is None or value == "":
        return 1000
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:
        given = str(parameters["goal"])[:50]
        raise InvalidInput(f"{given!r} will not do", field="goal", remedy="percent, more than 0 and at most 100")
    return max(1, round(value * 10))
