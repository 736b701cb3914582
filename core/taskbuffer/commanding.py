"""What people tell a running job through its pilot's next heartbeat, and jobs sent back to brokerage. Knows no HTTP.

A command stays until it is replaced, so an answer that gets lost on the way is repeated; pilots take a repetition as the
same command (pilot-wire.md 2.2).
"""

from __future__ import annotations

from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from core.states import JobStatus
from core.taskbuffer.killing import TO_BE_KILLED, Killer
from core.taskbuffer.transitions import advance_jobs

LONGEST_COMMAND = 250
DEBUG = "debug"
DEBUG_FLAGS = frozenset({DEBUG, "dm"})
"""In specialHandling: ours, and the two letters of direct submissions (domain.md 2.1)."""

# primary key
_FIND = """
SELECT panda_id, job_status, command_to_pilot, special_handling FROM jobs_live WHERE panda_id = %(id)s FOR UPDATE
"""
_SET = """
UPDATE jobs_live SET command_to_pilot = %(command)s, special_handling = %(handling)s WHERE panda_id = %(id)s
"""


def set_command(database: Database, panda_id: int, command: str) -> None:
    """Leave a command for the pilot of a job. Raises InvalidInput, UnknownObject, Conflict when it is being killed."""
    if not command.strip() or len(command) > LONGEST_COMMAND:
        raise InvalidInput(
            f"{len(command)} characters", field="command", remedy=f"between 1 and {LONGEST_COMMAND} characters"
        )
    with database.transaction() as transaction:
        job = _live_job(transaction, panda_id)
        _store(transaction, job, command, str(job["special_handling"]))


def set_debug_mode(database: Database, panda_id: int, is_on: bool) -> None:
    """Have the pilot show what the payload writes, or take the wish back. Raises UnknownObject, Conflict.

    A job that waits is given to its pilot in debug mode. The real pilot knows no way out of it once it has begun.
    """
    with database.transaction() as transaction:
        job = _live_job(transaction, panda_id)
        flags = [flag for flag in str(job["special_handling"]).split(",") if flag and flag not in DEBUG_FLAGS]
        command = str(job["command_to_pilot"])
        if is_on:
            flags.append(DEBUG)
            command = command or DEBUG
        elif command == DEBUG:
            command = ""
        _store(transaction, job, command, ",".join(flags))


def _live_job(transaction: Transaction, panda_id: int) -> Row:
    job = transaction.fetch_one(_FIND, {"id": panda_id})
    if job is None:
        raise UnknownObject(f"there is no live job {panda_id}", field="job_id", remedy="only live jobs take commands")
    if job["command_to_pilot"] == TO_BE_KILLED:
        raise Conflict(f"job {panda_id} is being killed", field="job_id", remedy="no further command reaches it")
    return job


def _store(transaction: Transaction, job: Row, command: str, handling: str) -> None:
    transaction.execute(_SET, {"id": job["panda_id"], "command": command, "handling": handling})


# primary key; jobs that were brokered lately would otherwise rest for a while
_FOUND = """
SELECT panda_id, prod_user_name, working_group, prod_source_label FROM jobs_live
WHERE panda_id = ANY(%(ids)s) AND job_status = ANY(%(statuses)s) ORDER BY panda_id FOR UPDATE
"""
_AT_ONCE = "UPDATE jobs_live SET brokerage_time = NULL WHERE panda_id = ANY(%(ids)s)"


def reassign_jobs(database: Database, panda_ids: list[int], who: Killer) -> list[int]:
    """Set jobs that no pilot has up anew and return which ones; those of others and later ones are left alone.

    Pending jobs wait for the task engine (a build job, say), so only managers release them (server-api.md 1.1).
    """
    statuses = [JobStatus.DEFINED, JobStatus.WAITING, JobStatus.ASSIGNED, *([JobStatus.PENDING] * who.is_manager)]
    with database.transaction() as transaction:
        found = transaction.fetch(_FOUND, {"ids": panda_ids, "statuses": statuses})
        mine = [row["panda_id"] for row in found if who.may(row)]
        advance_jobs(transaction, mine, JobStatus.DEFINED, reason=f"reassigned by {who.user_name}")
        transaction.execute(_AT_ONCE, {"ids": mine})
    return mine
