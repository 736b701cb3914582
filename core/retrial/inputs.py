"""Less input for later jobs of a task whose jobs fail because they have too much (domain.md 3.6, 15)."""

from __future__ import annotations

from typing import Any

from core.retrial.effects import Effects
from core.retrial.facts import Case

DEFAULT_MAX_FILES = 200
"""What a job gets at most when the task says nothing (domain.md 3.4)."""
_REMEMBERED = "input_before_reduction"
"""Under `measured` of the task: what it was before the first reduction."""


def reduce_input(case: Case, parameters: dict[str, Any], effects: Effects) -> tuple[str, bool]:
    """Give later jobs of the task 1/2, 1/4 or 1 of the first values, by the number of the next attempt.

    Returns what happened in words, and whether anything changed. `parameters`: steps, excluded_rules.
    """
    task = case.task
    setters = [name for name in parameters["excluded_rules"] if task.settings.get(name) not in (None, "", 0, False)]
    if setters:
        return f"left alone: the task sets {setters[0]}", False
    attempt = case.held.attempt_nr + 1
    part = sum(attempt >= step for step in parameters["steps"])
    if part == 0:
        return f"left alone until attempt {parameters['steps'][0]}", False
    before = effects.measured.get(task.task_id, {}).get(_REMEMBERED) or task.measured.get(_REMEMBERED)
    first = before if isinstance(before, dict) else _first(case)
    wanted = {name: _reduced(float(value), part, name) for name, value in first.items()}
    present = {name: effects.setting(task, name) for name in wanted}
    changes = {name: value for name, value in wanted.items() if value < (present[name] or first[name])}
    if not changes:
        return "left alone: jobs are as small already", False
    effects.set_of_task(task, changes, {_REMEMBERED: first})
    words = ", ".join(f"{name} from {_shown(first[name])} to {_shown(value)}" for name, value in changes.items())
    return f"later jobs of the task are smaller: {words}", True


def _first(case: Case) -> dict[str, float]:
    first = {"nMaxFilesPerJob": case.task.number("nMaxFilesPerJob") or DEFAULT_MAX_FILES}
    # a job never had more files than it had
    if not case.task.number("nMaxFilesPerJob"):
        first["nMaxFilesPerJob"] = min(DEFAULT_MAX_FILES, max(1, case.held.n_files))
    if case.task.number("nGBPerJob") > 0:
        first["nGBPerJob"] = case.task.number("nGBPerJob")
    return first


def _reduced(first: float, part: int, name: str) -> float:
    """`part`: 1 for a half, 2 for a quarter, 3 for one file, or a GB if a quarter is more."""
    if name == "nGBPerJob":
        return round(first / 2 if part == 1 else min(first / 4, first if part == 2 else 1.0), 3)
    return max(1, int(first) // 2 if part == 1 else int(first) // 4 if part == 2 else 1)


def _shown(value: float) -> str:
    return f"{value:g}"
