"""How a task ends whose input is through: the one rule, for the last job and for every command (server-api.md 5.7).

Knows counts and what the submitter said of the goal; knows no table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from core.states import TaskStatus

LOST_PARENTS = frozenset({TaskStatus.FAILED, TaskStatus.BROKEN, TaskStatus.ABORTED})
WHOLE = 1000
"""Per mille: the goal of a task that does not say."""


def final_status(
    n_files: int,
    n_finished: int,
    parent: str = "",
    *,
    goal: int = WHOLE,
    fails_below: bool = False,
    exhausts_below: bool = False,
    merges: Collection[str] = (),
) -> TaskStatus:
    """The status in which a task with these counts of its master input rests (domain.md 3.3).

    `parent`: the status of the parent task, empty without one: what a parent did not make, its child cannot have got.
    `goal`: per mille of the input that must succeed; below it the task fails (`fails_below`) or waits for a person as
    exhausted (`exhausts_below`). `merges`: statuses that occur among what was to be merged: what could not be is not there.
    """
    lost = bool(set(merges) - {"finished"})
    if n_finished <= 0 or parent in LOST_PARENTS or (lost and "finished" not in merges):
        return TaskStatus.FAILED
    if n_finished >= n_files:
        return TaskStatus.DONE if parent in ("", "done") and not lost else TaskStatus.FINISHED
    if n_finished * WHOLE < goal * n_files:
        if fails_below:
            return TaskStatus.FAILED
        if exhausts_below:
            return TaskStatus.EXHAUSTED
    return TaskStatus.FINISHED


def is_set(parameters: Mapping[str, Any], *names: str) -> bool:
    """Whether a flag is on in parameters that were checked when the task came; any of its names will do."""
    return any(str(parameters.get(name)).lower() in ("true", "1") for name in names)


def final_status_of(task: Mapping[str, Any], parent: str = "", *, by_command: bool = False) -> TaskStatus:
    """`final_status` of a row of tasks (n_files, n_files_finished, goal, parameters, split_rule, merges if it does).

    A task without input ends as one that did all of it where its submitter allows that. `by_command`: a person ends it
    with what is done, so it does not wait for a person.
    """
    said = {**task["parameters"], **task["split_rule"]}
    if not task["n_files"] and is_set(said, "allowEmptyInput"):
        return final_status(1, 1, parent)
    return final_status(
        task["n_files"],
        task["n_files_finished"],
        parent,
        goal=task["goal"],
        fails_below=is_set(said, "failGoalUnreached", "failWhenGoalUnreached"),
        exhausts_below=is_set(said, "useExhausted") and not by_command,
        merges=task.get("merges") or (),
    )
