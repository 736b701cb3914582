"""Gives live work the shares of the tree that is now. Knows jobs and tasks in portions, each its own transaction."""

from __future__ import annotations

from dataclasses import dataclass

from core import audit
from core.database import Database, Row, Transaction
from core.shares.ranking import ranking_of
from core.shares.tagging import ShareFacts, shares_of
from core.states import AWAITING_PILOT, FINAL_TASK_STATUSES, JobStatus

_PORTION = 1000

# primary key of tasks, from the last one on
_TASKS = """
SELECT jedi_task_id AS id, gshare, vo, prod_source_label, working_group, campaign, processing_type,
       coalesce(parameters ->> 'transPath', '') AS trans_path
FROM tasks WHERE jedi_task_id > %(after)s AND NOT status = ANY(%(ended)s) ORDER BY jedi_task_id LIMIT %(most)s FOR UPDATE
"""
_SET_TASKS = """
UPDATE tasks t SET gshare = n.share FROM unnest(%(ids)s::bigint[], %(shares)s::text[]) AS n (id, share)
WHERE t.jedi_task_id = n.id
"""
# primary key of jobs_live, from the last one on, and of tasks: a job counts against the share of its task
_JOBS = """
SELECT j.panda_id AS id, j.gshare, j.vo, j.prod_source_label, j.working_group, '' AS campaign,
       j.processing_type, j.transformation AS trans_path, t.gshare AS of_task
FROM jobs_live j LEFT JOIN tasks t ON t.jedi_task_id = j.jedi_task_id
WHERE j.panda_id > %(after)s AND j.job_status = ANY(%(statuses)s)
ORDER BY j.panda_id LIMIT %(most)s FOR UPDATE OF j
"""
_SET_JOBS = """
UPDATE jobs_live j SET gshare = n.share FROM unnest(%(ids)s::bigint[], %(shares)s::text[]) AS n (id, share)
WHERE j.panda_id = n.id
"""


@dataclass(frozen=True)
class Retagged:
    """How many tasks and jobs now count against another share than before."""

    tasks: int
    jobs: int


def retag(database: Database, *, who: str = "", running_too: bool) -> Retagged:
    """Tag live tasks and jobs anew: jobs that wait for a pilot, and with `running_too` all that are live.

    A share that somebody gave a task by hand is replaced too. Killed in between, what was done stays; run it again.
    `who`: the operator, for the audit.
    """
    statuses = [str(status) for status in JobStatus if running_too or status in AWAITING_PILOT]
    tasks = _in_portions(database, _TASKS, _SET_TASKS, {"ended": sorted(FINAL_TASK_STATUSES)})
    jobs = _in_portions(database, _JOBS, _SET_JOBS, {"statuses": statuses})
    ranking_of(database).forget()
    if who:
        with database.transaction() as transaction:
            after = {"tasks": tasks, "jobs": jobs, "running_too": running_too}
            audit.note(transaction, who, "retag", "share", "*", {}, after, via=audit.via_now())
    return Retagged(tasks, jobs)


def _in_portions(database: Database, select: str, change: str, which: dict[str, list[str]]) -> int:
    after, changed = 0, 0
    while True:
        with database.transaction() as transaction:
            rows = transaction.fetch(select, {"after": after, "most": _PORTION, **which})
            if not rows:
                return changed
            after = rows[-1]["id"]
            changed += _tag(transaction, rows, change)


def _tag(transaction: Transaction, rows: list[Row], change: str) -> int:
    own = [row for row in rows if row.get("of_task") is None]
    found = dict(zip((row["id"] for row in own), shares_of(transaction, [_facts(row) for row in own]), strict=True))
    wanted = {row["id"]: found.get(row["id"], row.get("of_task") or "") for row in rows}
    changes = {row["id"]: wanted[row["id"]] for row in rows if row["gshare"] != wanted[row["id"]]}
    if changes:
        transaction.execute(change, {"ids": list(changes), "shares": list(changes.values())})
    return len(changes)


def _facts(row: Row) -> ShareFacts:
    return ShareFacts(
        row["vo"],
        row["prod_source_label"],
        row["working_group"],
        row["campaign"],
        row["processing_type"],
        row["trans_path"],
    )
