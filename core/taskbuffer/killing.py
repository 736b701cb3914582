"""Kills jobs: at once where no pilot holds them, through the pilot's next heartbeat where one does (domain.md 2.4)."""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Database, Row, Transaction
from core.states import ON_WORKER_NODE, JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs

TO_BE_KILLED = "tobekilled"
GROUP_LABELS = frozenset({"managed", "test"})
"""Work of a group that its production role answers for; analysis stays its user's (server-api.md 5.4)."""


@dataclass(frozen=True)
class KillCode:
    """What a kill code does (server-api.md 5.4)."""

    meaning: str
    status: JobStatus = JobStatus.CANCELLED
    sub_status: str = ""
    task_buffer_code: int = 100
    is_forced: bool = False
    """Ends even a running job at once, without waiting for its pilot."""


KILL_CODES: dict[int, KillCode] = {
    2: KillCode("expired", JobStatus.CLOSED, "toreassign", 102),
    3: KillCode("aborted", task_buffer_code=103),
    4: KillCode("expired while waiting", JobStatus.CLOSED, "toreassign", 102),
    7: KillCode("retried by the server", task_buffer_code=106),
    8: KillCode("rebrokered", sub_status="toreassign", task_buffer_code=105),
    9: KillCode("killed by force", is_forced=True),
    10: KillCode("queue overloaded", JobStatus.CLOSED, "", 130),
    50: KillCode("killed by the task engine"),
    51: KillCode("reassigned by the task engine", JobStatus.CLOSED, "toreassign"),
    52: KillCode("killed by force by the task engine", is_forced=True),
    55: KillCode("the task is done", JobStatus.CLOSED, "taskdone"),
    60: KillCode("the pilot ended without work", JobStatus.CLOSED),
    91: KillCode("killed by the production manager"),
    99: KillCode("killed by force by the production manager", is_forced=True),
}
USER_KILL = KillCode("killed")


@dataclass(frozen=True)
class Killer:
    """Who asks for a kill."""

    user_name: str
    is_manager: bool
    """Holds the production, operator or admin role, and may end jobs of others."""
    groups: frozenset[str] = frozenset()
    """Working groups whose production role it holds: their jobs of production are its own to end (domain.md 2.4)."""

    def may(self, job: Row) -> bool:
        """Whether the jobs with this prod_user_name, working_group and prod_source_label are the killer's to end."""
        if self.is_manager or job["prod_user_name"] == self.user_name:
            return True
        return job["working_group"] in self.groups and job["prod_source_label"] in GROUP_LABELS


_FIND = """
SELECT panda_id, job_status, prod_user_name, working_group, prod_source_label, command_to_pilot FROM jobs_live
WHERE panda_id = ANY(%(panda_ids)s) ORDER BY panda_id FOR UPDATE
"""

_COMMAND = """
UPDATE jobs_live SET command_to_pilot = %(command)s, kill_code = %(code)s, task_buffer_error_code = %(error_code)s,
                     task_buffer_error_diag = %(diag)s
WHERE panda_id = ANY(%(panda_ids)s)
"""


def kill_jobs(database: Database, panda_ids: list[int], killer: Killer, code: int | None = None) -> list[bool]:
    """Ask for the end of jobs; one answer per id: True when it ended or its pilot will be told.

    False: unknown, ended before, or not the caller's. Another kill of a job that waits for its pilot is True again.
    """
    with database.transaction() as transaction:
        accepted = kill_in(transaction, panda_ids, killer, code)
    return [panda_id in accepted for panda_id in panda_ids]


def kill_in(
    transaction: Transaction,
    panda_ids: list[int],
    killer: Killer,
    code: int | None = None,
    *,
    because: str = "",
    at_once: bool = False,
) -> set[int]:
    """`kill_jobs` inside a transaction of the caller; returns the accepted PandaIDs.

    `because` is told with the code; `at_once` ends jobs on worker nodes without waiting for their pilots.
    """
    kill = _kill_of(code)
    is_forced = at_once or kill.is_forced
    diag = f"{kill.meaning} by {killer.user_name}" if kill is USER_KILL else f"{kill.meaning} (code {code})"
    diag = f"{diag}: {because}" if because else diag
    found = transaction.fetch(_FIND, {"panda_ids": panda_ids})
    mine = [row for row in found if killer.may(row)]
    here = [row for row in mine if is_forced or not _is_with_pilot(row)]
    by_pilot = [row["panda_id"] for row in mine if not is_forced and _is_with_pilot(row)]
    error = JobError("task_buffer", kill.task_buffer_code, diag)
    ended = end_jobs(
        transaction,
        [Ending(row["panda_id"], kill.status, diag, kill.sub_status, error) for row in here],
    )
    transaction.execute(
        _COMMAND,
        {
            "panda_ids": by_pilot,
            "command": TO_BE_KILLED,
            "code": code,
            "error_code": kill.task_buffer_code,
            "diag": diag,
        },
    )
    return set(ended) | set(by_pilot)


def ending_of_killed(job: Row, how: str) -> Ending | None:
    """How a job ends that was told to stop and did not finish before; None when nobody asked for its end.

    `job`: panda_id, command_to_pilot, kill_code; `how`: what ended it in the end. The error stands in the row already.
    """
    if job["command_to_pilot"] != TO_BE_KILLED:
        return None
    kill = _kill_of(job["kill_code"])
    return Ending(job["panda_id"], kill.status, f"{kill.meaning}; {how}", kill.sub_status)


def _kill_of(code: int | None) -> KillCode:
    return USER_KILL if code is None else KILL_CODES.get(code, USER_KILL)


def _is_with_pilot(row: Row) -> bool:
    return JobStatus(row["job_status"]) in ON_WORKER_NODE
