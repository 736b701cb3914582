"""Why a job does not run yet, in one clause, for pages that have no room for more. Knows no page."""

from __future__ import annotations

from datetime import datetime

from core.database import Row, Transaction
from core.states import AWAITING_PILOT
from core.why.job_case import JobCase
from core.why.job_statements import WAITING
from core.why.reason import true_reasons


def waiting_reason(transaction: Transaction, job: Row, as_of: datetime) -> str:
    """What keeps a job from a pilot: brokerage's reason, missing input, its queue's trouble. `job`: all its columns.

    A clause without a full stop that stays the same while nothing changes. Empty when the job does not wait or nothing
    is known.
    """
    if job["job_status"] not in AWAITING_PILOT:
        return ""
    first = next(true_reasons(WAITING, JobCase(transaction, job, as_of)), None)
    return first.clause if first else ""
