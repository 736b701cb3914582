"""The actions that rules may name, and the parameters each takes. Knows words and ranges; does not know what they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import InvalidInput

MAX_ATTEMPTS = 1000
_MAX_NAME = 60


@dataclass(frozen=True)
class Parameter:
    """One parameter of an action."""

    name: str
    kind: Literal["number", "numbers", "names"]
    sentence: str
    default: Any = None
    """None: it must be given."""


@dataclass(frozen=True)
class Action:
    """What a rule can do."""

    name: str
    sentence: str
    parameters: tuple[Parameter, ...] = ()
    is_about_needs: bool = False
    """Memory or CPU time: one such rule is enough for a job (domain.md 15, rule 4)."""


_STEPS = Parameter("steps", "numbers", "attempts from which jobs get 1/2, 1/4 and 1 of the input", (2, 4, 7))
_EXCLUDED = Parameter(
    "excluded_rules", "names", "the task is left alone when it sets one of these", ("nEventsPerJob", "nFilesPerJob")
)

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action("no_retry", "the input of the job is not tried again"),
        Action(
            "limit_retry",
            "the input of the job gets no more than maxAttempt attempts in all",
            (Parameter("maxAttempt", "number", f"attempts in all, 1 to {MAX_ATTEMPTS}"),),
        ),
        Action(
            "increase_memory",
            "the next attempt gets the next of 1000, 2000, 3000, 4000, 6000, 8000 MB per core",
            is_about_needs=True,
        ),
        Action(
            "increase_memory_xtimes",
            "the next attempt gets more memory by the task's retryRamStep, at most its retryRamMax",
            is_about_needs=True,
        ),
        Action(
            "increase_cputime",
            "the task's CPU time per event is raised by what its jobs were seen to need",
            is_about_needs=True,
        ),
        Action("reduce_input_per_job", "later jobs of the task get less input each", (_STEPS, _EXCLUDED)),
    )
}


def read_parameters(action: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a rule, checked, with the defaults of what is left out. Raises InvalidInput naming the field."""
    known = ACTIONS.get(action)
    if known is None:
        raise InvalidInput(f"unknown action {action[:50]!r}", field="action", remedy="one of " + ", ".join(ACTIONS))
    names = [parameter.name for parameter in known.parameters]
    for name in given:
        if name not in names:
            takes = "it takes " + ", ".join(names) if names else "leave it out"
            raise InvalidInput(f"{action} takes no such parameter", field=f"parameters.{str(name)[:50]}", remedy=takes)
    return {parameter.name: _read(parameter, given.get(parameter.name)) for parameter in known.parameters}


def _read(parameter: Parameter, value: Any) -> Any:
    if value is None and parameter.default is not None:
        return list(parameter.default)
    readable = {"number": _is_attempt, "numbers": _are_steps, "names": _are_names}[parameter.kind]
    if not readable(value):
        raise InvalidInput(
            f"{str(value)[:50]!r} will not do", field=f"parameters.{parameter.name}", remedy=parameter.sentence
        )
    return value


def _is_attempt(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_ATTEMPTS


def _are_steps(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(_is_attempt(step) for step in value)
        and value == sorted(set(value))
    )


def _are_names(value: Any) -> bool:
    """Of parameters of tasks."""
    return (
        isinstance(value, list)
        and len(value) <= 20
        and all(isinstance(name, str) and name.isidentifier() and len(name) <= _MAX_NAME for name in value)
    )
