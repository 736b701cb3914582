"""Kills jobs: which, what that would mean, and doing it by the server's own command. Knows jobs, no incident's state.

A kill is not taken back. Killing again what is told to end already, or has ended, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.database import Row, Transaction
from core.monitor.reading import read
from core.monitor.selection import JOB_GRAMMAR
from core.states import ON_WORKER_NODE
from core.taskbuffer.killing import Killer, kill_in
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

WAITING, WITH_PILOT = "waiting", "with_pilot"
_AGAIN_CODE = 51
"""Closed, and its input is given to other jobs (core.taskbuffer.killing)."""
_LIMIT_S = 3.0
_HEARTBEAT_MIN = 30

# an index of jobs_live by what is asked for: primary key, ix_jobs_live_task, ix_jobs_live_status, ix_jobs_live_user
_LIVE = "SELECT panda_id, job_status, prod_user_name FROM jobs_live WHERE {where} ORDER BY panda_id LIMIT %(most)s"
# primary key of incident_breakdown; a trouble of one queue or node concerns the jobs of its tasks there
_OF_INCIDENTS = """
EXISTS (SELECT 1 FROM incidents i JOIN incident_breakdown b USING (incident_id)
        WHERE i.incident_id = ANY(%(incidents)s::bigint[]) AND b.dimension = 'jedi_task_id'
          AND b.value = jobs_live.jedi_task_id::text
          AND (i.verdict NOT IN ('site', 'node') OR jobs_live.computing_site = i.computing_site))
"""
# primary key
_COUNTS = """
SELECT count(*) FILTER (WHERE NOT job_status = ANY(%(held)s)) AS waiting,
       count(*) FILTER (WHERE job_status = ANY(%(held)s)) AS running,
       coalesce(sum(extract(epoch FROM clock_timestamp() - start_time) * greatest(core_count, 1))
                FILTER (WHERE job_status = ANY(%(held)s) AND start_time IS NOT NULL), 0)::bigint AS core_s,
       count(DISTINCT jedi_task_id) AS tasks, count(DISTINCT prod_user_name) AS users
FROM jobs_live WHERE panda_id = ANY(%(ids)s)
"""
# ix_task_files_job
_INPUTS = """
SELECT count(*) AS inputs, count(*) FILTER (WHERE attempt_nr < max_attempt) AS with_attempts
FROM task_files WHERE panda_id = ANY(%(ids)s) AND status = 'running'
"""

_CHOICES = {
    "jobs": "panda_id = ANY(%(jobs)s::bigint[])",
    "incidents": _OF_INCIDENTS,
    "tasks": "jedi_task_id = ANY(%(tasks)s::bigint[])",
    "queues": "computing_site = ANY(%(queues)s)",
}


class JobWork:
    """The action on jobs."""

    page = 500

    def resolve(
        self, transaction: Transaction, action: str, selector: Selector, actor: Actor, *, lock: bool
    ) -> list[Target]:
        """The live jobs that were meant: given by id, by filter, or of the tasks that incidents cover."""
        where, values = chosen(selector, JOB_GRAMMAR, "job", _CHOICES)
        statement = _LIVE.format(where=where) + (" FOR UPDATE" if lock else "")
        rows = transaction.fetch(statement, {**values, "most": MOST_TARGETS + 1})
        check_size(len(rows), "job")
        return [_target(row, actor) for row in rows]

    def consequences(
        self, around: Surroundings, action: str, targets: Sequence[Target], parameters: Mapping[str, Any]
    ) -> list[Consequence]:
        """What ends at once, what ends later, what was for nothing, whose it is, and what becomes of the input."""
        mine = [int(target.key) for target in targets if not target.refusal]
        others = len(targets) - len(mine)
        values = {"ids": mine, "held": sorted(status.value for status in ON_WORKER_NODE)}
        [found] = read(around.database, _COUNTS, values, limit_s=_LIMIT_S)
        [inputs] = read(around.database, _INPUTS, values, limit_s=_LIMIT_S)
        waiting, running = found["waiting"], found["running"]
        hours = round(found["core_s"] / 3600)
        said = [
            Consequence("ends_at_once", waiting, f"{counted(waiting, 'job')} without a pilot: ended at once"),
            Consequence(
                "ends_later",
                running,
                f"{counted(running, 'job')} with a pilot: told to end with its next heartbeat,"
                f" usually within {_HEARTBEAT_MIN} min",
            ),
            Consequence("lost_core_hours", hours, f"{counted(hours, 'core-hour')} of work lost so far"),
            Consequence("tasks", found["tasks"], f"of {counted(found['tasks'], 'task')}"),
            Consequence("users", found["users"], f"of {counted(found['users'], 'user')}"),
            *_inputs(inputs, str(parameters.get("input", "cancel"))),
        ]
        if others:
            said.append(Consequence("not_yours", others, f"{are(others, 'job')} of somebody else: left alone"))
        return said

    def carry_out(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str]) -> list[Outcome]:
        """End jobs, or have their pilots told."""
        ids = [int(key) for key in keys]
        again = deed.parameters.get("input") == "again"
        # the code speaks for the task engine: who it was has to be said
        because = " ".join(part for part in (f"{deed.who}:" if again else "", deed.reason) if part)
        owners = {row["panda_id"]: row["prod_user_name"] for row in transaction.fetch(_OWNERS, {"ids": ids})}
        killer = Killer(deed.who, deed.actor.is_manager)
        accepted = kill_in(transaction, ids, killer, _AGAIN_CODE if again else None, because=because)
        return [_outcome(panda_id, accepted, owners, killer) for panda_id in ids]

    def undo(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str], changed: Mapping[str, Row]) -> None:
        """Never: ended is ended."""
        raise NotUndoable("a killed job cannot be brought back", field="deed_id", remedy="retry its task")


# primary key; locked in order, as the kill after it does
_OWNERS = """
SELECT panda_id, prod_user_name FROM jobs_live WHERE panda_id = ANY(%(ids)s) ORDER BY panda_id FOR UPDATE
"""


def _target(row: Row, actor: Actor) -> Target:
    state = WITH_PILOT if row["job_status"] in ON_WORKER_NODE else WAITING
    is_mine = actor.is_manager or row["prod_user_name"] == actor.user_name
    return Target(str(row["panda_id"]), state, "" if is_mine else f"belongs to {row['prod_user_name']}")


def _outcome(panda_id: int, accepted: set[int], owners: Mapping[int, str], killer: Killer) -> Outcome:
    if panda_id in accepted:
        return Outcome(str(panda_id), DONE)
    if panda_id in owners and not killer.is_manager and owners[panda_id] != killer.user_name:
        return Outcome(str(panda_id), REFUSED, f"belongs to {owners[panda_id]}")
    return Outcome(str(panda_id), GONE, "had ended by then")


def _inputs(found: Row, what: str) -> list[Consequence]:
    inputs, again = found["inputs"], found["with_attempts"] if what == "again" else 0
    left = inputs - again
    how = "its attempts are used up: failed" if what == "again" else "cancelled until the task is retried"
    said = []
    if again:
        said.append(Consequence("input_again", again, f"{counted(again, 'input file')} given to other jobs"))
    if left:
        said.append(Consequence("input_lost", left, f"{counted(left, 'input file')}: {how}"))
    return said
