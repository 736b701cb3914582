"""Retries tasks: which, what would be opened again, and doing it by the task engine's own command. Knows no incident's state.

A retry is not taken back. Each task is a transaction of its own: the command locks the live jobs of the task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core import audit
from core.database import Row, Transaction
from core.errors import PandaError, Unavailable
from core.monitor.reading import read
from core.monitor.tasks import TASK_GRAMMAR
from core.states import TaskStatus
from core.taskengine.commands.going_on import REEXECUTABLE
from core.taskengine.commands.locking import Issuer, JobsCameMeanwhile, LockedTask, lock_task_with_jobs
from core.taskengine.commands.table import COMMANDS
from core.wording import are, counted
from logger.deeds.base import (
    DONE,
    GONE,
    REFUSED,
    Actor,
    Consequence,
    DeedRow,
    NotUndoable,
    Outcome,
    Selector,
    Surroundings,
    Target,
)
from logger.deeds.selecting import MOST_TARGETS, check_size, chosen

_RETRY = COMMANDS["retry"]
_TRIES = 5
_LIMIT_S = 3.0

# primary key of tasks, or their list; ix_incident_jobs_residue for those whose work incidents lost
_TASKS = """
SELECT jedi_task_id, status, user_name, n_files_failed FROM tasks WHERE {where} ORDER BY jedi_task_id LIMIT %(most)s
"""
_OF_INCIDENTS = """
jedi_task_id IN (SELECT jedi_task_id FROM incident_jobs
                 WHERE incident_id = ANY(%(incidents)s::bigint[]) AND is_residue AND jedi_task_id IS NOT NULL)
"""
# ix_task_files_status, ix_task_datasets_task, primary key of tasks; ix_incident_jobs_task
_FILES = """
SELECT t.jedi_task_id, t.n_jobs, greatest(t.n_files, 1) AS n_files, f.files, f.others
FROM tasks t CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.is_meant) AS files, count(*) FILTER (WHERE NOT c.is_meant) AS others FROM (
        SELECT %(incident)s::bigint IS NULL OR f.panda_id IN (
                   SELECT j.panda_id FROM incident_jobs j
                   WHERE j.jedi_task_id = t.jedi_task_id AND j.incident_id = %(incident)s) AS is_meant
        FROM task_files f JOIN task_datasets d USING (dataset_id)
        WHERE f.jedi_task_id = t.jedi_task_id AND f.status IN ('failed', 'cancelled')
          AND d.type IN ('input', 'pseudo_input', 'merge_input')) c
) f WHERE t.jedi_task_id = ANY(%(ids)s)
"""
# ix_incident_jobs_task
_LOST_BY = "SELECT panda_id FROM incident_jobs WHERE jedi_task_id = %(task)s AND incident_id = %(incident)s"
# primary key of incidents, ix_incident_jobs_task
_STILL_OPEN = """
SELECT count(DISTINCT i.incident_id) AS count FROM incident_jobs j JOIN incidents i USING (incident_id)
WHERE j.jedi_task_id = ANY(%(ids)s) AND i.state NOT IN ('resolved', 'candidate')
"""
# ix_tasks_parent
_CHILDREN = """
WITH RECURSIVE family AS (
    SELECT jedi_task_id, status, user_name FROM tasks WHERE parent_tid = ANY(%(ids)s)
    UNION
    SELECT t.jedi_task_id, t.status, t.user_name FROM tasks t JOIN family f ON t.parent_tid = f.jedi_task_id
)
SELECT count(*) AS count FROM family WHERE status IN ('finished', 'failed', 'done') AND NOT jedi_task_id = ANY(%(ids)s)
  AND (%(everybodys)s OR user_name = %(user_name)s)
"""

_CHOICES = {"tasks": "jedi_task_id = ANY(%(tasks)s::bigint[])", "incidents": _OF_INCIDENTS}


class TaskWork:
    """The action on tasks."""

    page = 1

    def resolve(
        self, transaction: Transaction, action: str, selector: Selector, actor: Actor, *, lock: bool
    ) -> list[Target]:
        """The tasks that were meant: given by id, by filter, or those whose work incidents lost."""
        where, values = chosen(selector, TASK_GRAMMAR, "task", _CHOICES)
        statement = _TASKS.format(where=where) + (" FOR UPDATE" if lock else "")
        rows = transaction.fetch(statement, {**values, "most": MOST_TARGETS + 1})
        check_size(len(rows), "task")
        return [_target(row, actor) for row in rows]

    def consequences(
        self, around: Surroundings, action: str, targets: Sequence[Target], parameters: Mapping[str, Any]
    ) -> list[Consequence]:
        """How many files are opened, about how many jobs that makes, what is left alone, and whether it would help."""
        mine = [int(target.key) for target in targets if not target.refusal]
        incident = parameters.get("of_incident")
        rows = read(around.database, _FILES, {"ids": mine, "incident": incident}, limit_s=_LIMIT_S)
        files, others = sum(row["files"] for row in rows), sum(row["others"] for row in rows)
        jobs = sum(max(1, row["files"] * row["n_jobs"] // row["n_files"]) for row in rows if row["files"])
        which = "all that failed or was not reached" if incident is None else f"those that incident {incident} lost"
        [found] = read(around.database, _STILL_OPEN, {"ids": mine}, limit_s=_LIMIT_S)
        still = found["count"]
        said = [
            Consequence("tasks", len(mine), f"{counted(len(mine), 'task')} retried"),
            Consequence("files", files, f"{counted(files, 'file')} opened again, {which}"),
            Consequence("jobs", jobs, f"about {counted(jobs, 'job')} made of them"),
        ]
        if others:
            said.append(
                Consequence("other_files", others, f"{counted(others, 'file')} that failed otherwise: left alone")
            )
        if still:
            words = f"{are(still, 'incident')} still open for these tasks: they may fail again"
            said.append(Consequence("open_incidents", still, words))
        who = {"user_name": around.actor.user_name, "everybodys": around.actor.is_manager}
        [children] = read(around.database, _CHILDREN, {"ids": mine, **who}, limit_s=_LIMIT_S)
        if children["count"]:
            words = f"{counted(children['count'], 'child task')} taken up again, as they read what is made"
            said.append(Consequence("children", children["count"], words))
        for reason, count in _counted_refusals(targets).items():
            said.append(Consequence("refused", count, f"{counted(count, 'task')} left alone: {reason}"))
        return said

    def carry_out(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str]) -> list[Outcome]:
        """Retry tasks, each with its live jobs locked. Raises Unavailable when one makes jobs faster than it can be."""
        return [self._retry(transaction, deed, key) for key in keys]

    def _retry(self, transaction: Transaction, deed: DeedRow, key: str) -> Outcome:
        issuer = Issuer(deed.who, is_production=deed.actor.is_manager)
        task = _locked(transaction, int(key), issuer)
        if task is None:
            return Outcome(key, GONE, "is no task any more")
        refusal = _refusal(task.row, deed.actor)
        if refusal:
            is_theirs = not deed.actor.is_manager and task.row["user_name"] != deed.who
            return Outcome(key, REFUSED if is_theirs else GONE, refusal)
        incident = deed.parameters.get("of_incident")
        lost_by = transaction.fetch(_LOST_BY, {"task": int(key), "incident": incident}) if incident is not None else []
        only = [row["panda_id"] for row in lost_by] if incident is not None else None
        try:
            with transaction.savepoint():
                done = _RETRY.effect(task, only_jobs=only, keep=True)
        except Unavailable:
            raise
        except PandaError as error:
            return Outcome(key, REFUSED, error.detail)
        note = done.message or done.note
        after = transaction.fetch_one("SELECT status FROM tasks WHERE jedi_task_id = %(id)s", {"id": int(key)})
        audit.note(
            transaction,
            deed.who,
            deed.action,
            "task",
            key,
            {"status": task.row["status"]},
            {"status": after["status"] if after else "", "note": note},
            **deed.circumstances,
        )
        return Outcome(key, DONE, note)

    def undo(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str], changed: Mapping[str, Row]) -> None:
        """Never: the jobs exist."""
        raise NotUndoable("what a retry began is not taken back", field="deed_id", remedy="kill the jobs it made")


def _locked(transaction: Transaction, task_id: int, issuer: Issuer) -> LockedTask | None:
    """The task with its live jobs; jobs that come meanwhile have all locks given back, so that the order stays."""
    for _ in range(_TRIES):
        try:
            with transaction.savepoint():
                return lock_task_with_jobs(transaction, task_id, issuer, with_descendants=True)
        except JobsCameMeanwhile:
            continue
    raise Unavailable(f"task {task_id} makes jobs faster than it can be locked", remedy="it is tried again")


def _target(row: Row, actor: Actor) -> Target:
    # of a task under way what failed grows by itself: that is the same set
    is_at_rest = row["status"] in REEXECUTABLE
    state = f"{row['status']}:{row['n_files_failed']}" if is_at_rest else str(row["status"])
    return Target(str(row["jedi_task_id"]), state, _refusal(row, actor))


def _refusal(row: Row, actor: Actor) -> str:
    if not actor.is_manager and row["user_name"] != actor.user_name:
        return f"belongs to {row['user_name']}"
    accepted = _RETRY.accepted_in - (frozenset() if actor.is_manager else _RETRY.production_only_in)
    return "" if TaskStatus(row["status"]) in accepted else f"is {row['status']}"


def _counted_refusals(targets: Sequence[Target]) -> dict[str, int]:
    found: dict[str, int] = {}
    for target in targets:
        if target.refusal:
            found[target.refusal] = found.get(target.refusal, 0) + 1
    return dict(sorted(found.items(), key=lambda entry: -entry[1])[:5])
