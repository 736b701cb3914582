"""Which users and groups are held at this moment, and how their waiting jobs are throttled. Knows no limits.

The keeper of the limits looks every few seconds and writes down whom it holds; whoever activates jobs obeys that at once,
so that an account at its cap puts nothing more before pilots until the next look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from core.accounts.limits import ACCOUNT_OF_JOB, NAME_OF_JOB, USER_LABELS, Account
from core.database import Database, Transaction
from core.states import JobStatus
from core.taskbuffer.transitions import advance_jobs

USER_CAP = "userCap"
"""Sub status of a job that is throttled because of its account."""
PERSON = "person"
"""Kind of an account that is all work of a user, also what counts for working groups: that of whoever is banned."""


@dataclass(frozen=True)
class Hold:
    """Why the waiting jobs of an account are held."""

    account: Account
    reason: str
    covers_all_work: bool = False
    """Not only the users' own."""


# a handful of rows, which are written only when they change
_NOTE = """
WITH holds AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(names)s::text[], %(reasons)s::text[], %(covers)s::boolean[])
        AS n (kind, name, reason, covers_all_work)
), gone AS (
    DELETE FROM account_holds h WHERE NOT EXISTS (SELECT 1 FROM holds n WHERE n.kind = h.kind AND n.name = h.name)
)
INSERT INTO account_holds (kind, name, reason, covers_all_work) SELECT * FROM holds
ON CONFLICT (kind, name) DO UPDATE SET reason = excluded.reason, covers_all_work = excluded.covers_all_work
WHERE (account_holds.reason, account_holds.covers_all_work) IS DISTINCT FROM (excluded.reason, excluded.covers_all_work)
"""
# primary keys of both
_OF_HELD_ACCOUNTS = f"""
SELECT DISTINCT ON (j.panda_id) j.panda_id, h.reason
FROM jobs_live j JOIN account_holds h
    ON (h.kind, h.name) IN (({ACCOUNT_OF_JOB}, {NAME_OF_JOB}), ('{PERSON}', j.prod_user_name))
WHERE j.panda_id = ANY(%(panda_ids)s) AND (h.covers_all_work OR j.prod_source_label = ANY(%(labels)s))
ORDER BY j.panda_id, h.kind
"""
# primary key
_MARK = """
UPDATE jobs_live SET job_sub_status = %(mark)s WHERE panda_id = ANY(%(panda_ids)s) AND job_status = 'throttled'
"""


def note_holds(database: Database, holds: Sequence[Hold]) -> None:
    """From now on these accounts are held, and no others."""
    values = {
        "kinds": [hold.account.kind for hold in holds],
        "names": [hold.account.name for hold in holds],
        "reasons": [hold.reason for hold in holds],
        "covers": [hold.covers_all_work for hold in holds],
    }
    database.execute(_NOTE, values)


def hold_jobs(transaction: Transaction, panda_ids: Sequence[int], reason: str) -> list[int]:
    """Throttle those of these jobs that are activated, and return them."""
    held = advance_jobs(transaction, panda_ids, JobStatus.THROTTLED, reason=f"{USER_CAP}: {reason}"[:500])
    mark(transaction, held, USER_CAP)
    return held


def hold_back(transaction: Transaction, panda_ids: Sequence[int]) -> None:
    """Throttle those of jobs just activated whose account is held."""
    by_reason: dict[str, list[int]] = defaultdict(list)
    rows = transaction.fetch(_OF_HELD_ACCOUNTS, {"panda_ids": list(panda_ids), "labels": list(USER_LABELS)})
    for row in rows:
        by_reason[row["reason"]].append(row["panda_id"])
    for reason, members in sorted(by_reason.items()):
        hold_jobs(transaction, members, reason)


def mark(transaction: Transaction, panda_ids: Sequence[int], sub_status: str) -> None:
    """Give throttled jobs a sub status, or take it from them."""
    if panda_ids:
        transaction.execute(_MARK, {"panda_ids": list(panda_ids), "mark": sub_status})
