"""How a task ends whose input is through: one rule, for people in Python and for the end of jobs in SQL.

Knows counts and flags; does not know jobs, nor whether a task is through.
"""

from __future__ import annotations

from core.states import TaskStatus
from core.taskengine.dialects.definition import Goal
from core.taskengine.dialects.goals import ALLOWS_PARTIAL, EXHAUSTS_BELOW, FAILS_BELOW

_PARENTS_THAT_STOP = ("failed", "broken", "aborted")

_NO_GOAL = Goal()


def end_status(
    n_files: int, n_finished: int, parent: str = "", goal: Goal = _NO_GOAL, *, is_asked_for: bool = False
) -> TaskStatus:
    """The state in which a task ends, by the counts of its master input (server-api.md 5.7, domain.md 3.3).

    `parent`: the status of the parent task, empty without one: what a parent did not make, its child cannot have got.
    `is_asked_for`: a person, or the watchdog in place of one, wants the end, so nobody needs to be asked again.
    """
    if n_finished <= 0 or parent in _PARENTS_THAT_STOP:
        return TaskStatus.FAILED
    if n_finished >= n_files:
        return TaskStatus.DONE if parent in ("", "done") else TaskStatus.FINISHED
    if goal.allows_partial or is_goal_reached(n_files, n_finished, goal):
        return TaskStatus.FINISHED
    if goal.exhausts_below and not is_asked_for:
        return TaskStatus.EXHAUSTED
    return TaskStatus.FAILED if goal.fails_below else TaskStatus.FINISHED


def is_goal_reached(n_files: int, n_finished: int, goal: Goal = _NO_GOAL) -> bool:
    """Whether enough of the input has succeeded."""
    return n_files > 0 and n_finished * 1000 >= n_files * goal.per_mille


def end_status_sql(files: str, finished: str, parent: str, task: str = "t") -> str:
    """The same rule as an expression of type text, for ends that nobody asked for.

    `files`, `finished`, `parent`: expressions for the counts and the status of the parent, NULL or '' without one.
    `task`: the alias of the row of `tasks`; its parameters are looked into only below a goal.
    """
    return f"""CASE
        WHEN {finished} <= 0 OR {parent} IN ('failed', 'broken', 'aborted') THEN 'failed'
        WHEN {finished} >= {files} THEN
            CASE WHEN coalesce({parent}, '') IN ('', 'done') THEN 'done' ELSE 'finished' END
        WHEN {finished} * 1000 >= {files} * {task}.goal OR {_flag(ALLOWS_PARTIAL, task)} THEN 'finished'
        WHEN {_flag(EXHAUSTS_BELOW, task)} THEN 'exhausted'
        WHEN {_flag(FAILS_BELOW, task)} THEN 'failed'
        ELSE 'finished' END"""


def _flag(names: tuple[str, ...], task: str) -> str:
    """Whether one of these parameters is set, in any of the spellings that the dialects take for true."""
    values = (f"lower(coalesce({task}.split_rule ->> '{name}', {task}.parameters ->> '{name}', ''))" for name in names)
    return "(" + " OR ".join(f"{value} IN ('true', '1')" for value in values) + ")"
