"""Lifts jobs of users who have little running while others have much: the priority massage (domain.md 6.2).

Falling priorities look at the moment of submission; the massage looks at what came of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.accounts.limits import ACCOUNT_OF_JOB, NAME_OF_JOB, USER_LABELS, Account
from core.database import Database, Row
from core.states import ON_WORKER_NODE

BEST_PRIORITY = 1000
"""What the best lifted job gets; the following ones one less for every `JOBS_PER_POINT`."""
JOBS_PER_POINT = 5


@dataclass(frozen=True)
class Use:
    """What an account has at a queue: jobs that run or were done lately, and jobs that wait for pilots."""

    account: Account
    queue: str
    served: int
    waiting: int


@dataclass(frozen=True)
class Lift:
    """So many jobs of an account at a queue are to be lifted."""

    account: Account
    queue: str
    count: int
    served: int
    mean: float
    """Of all accounts."""


def lifts(uses: Iterable[Use], factor: float) -> list[Lift]:
    """Whom to lift: served less than the mean of all accounts, and less than that of the accounts at the queue.

    `factor`: the mean less the own, over it, is how many jobs are lifted at each such queue, one at least.
    """
    at_queue: dict[str, list[Use]] = defaultdict(list)
    served: dict[Account, int] = defaultdict(int)
    for use in uses:
        at_queue[use.queue].append(use)
        served[use.account] += use.served
    if not served:
        return []
    mean = sum(served.values()) / len(served)
    found = []
    for queue, here in sorted(at_queue.items()):
        mean_here = sum(use.served for use in here) / len(here)
        for use in sorted(here, key=lambda use: use.account):
            is_below = served[use.account] < mean and use.served < mean_here
            if use.waiting and is_below:
                count = max(1, int((mean - served[use.account]) / factor))
                found.append(Lift(use.account, queue, min(count, use.waiting), served[use.account], mean))
    return found


# ix_jobs_live_status; ix_jobs_archive_time for what was done in the last hour
_USES = f"""
SELECT kind, name, computing_site, sum(served) AS served, sum(waiting) AS waiting FROM (
    SELECT {ACCOUNT_OF_JOB} AS kind, {NAME_OF_JOB} AS name, j.computing_site,
           count(*) FILTER (WHERE j.job_status <> 'activated') AS served,
           count(*) FILTER (WHERE j.job_status = 'activated') AS waiting
    FROM jobs_live j WHERE j.job_status = ANY(%(statuses)s) AND j.prod_source_label = ANY(%(labels)s) GROUP BY 1, 2, 3
    UNION ALL
    SELECT {ACCOUNT_OF_JOB}, {NAME_OF_JOB}, j.computing_site, count(*), 0
    FROM jobs_archive j
    WHERE j.state_change_time > clock_timestamp() - make_interval(secs => %(window_s)s)
      AND j.job_status = 'finished' AND j.prod_source_label = ANY(%(labels)s) GROUP BY 1, 2, 3
) u GROUP BY 1, 2, 3
"""
# ix_jobs_live_user or ix_jobs_live_group; locked in order of PandaID, those a pilot takes at this moment are left alone
_LIFT = """
WITH best AS (
    SELECT j.panda_id, row_number() OVER (ORDER BY j.current_priority DESC, j.panda_id) AS place FROM jobs_live j
    WHERE j.job_status = 'activated' AND j.computing_site = %(queue)s AND j.prod_source_label = ANY(%(labels)s)
      AND (%(kind)s = 'user' AND j.prod_user_name = %(name)s AND j.working_group = ''
           OR %(kind)s = 'group' AND j.working_group = %(name)s AND j.working_group <> '')
    ORDER BY j.current_priority DESC, j.panda_id LIMIT %(count)s
), locked AS (
    SELECT j.panda_id, b.place FROM jobs_live j JOIN best b USING (panda_id)
    WHERE j.job_status = 'activated' ORDER BY j.panda_id FOR UPDATE OF j SKIP LOCKED
)
UPDATE jobs_live j SET current_priority = %(best)s - (l.place - 1) / %(per_point)s
FROM locked l WHERE j.panda_id = l.panda_id AND j.current_priority < %(best)s - (l.place - 1) / %(per_point)s
"""


def massage(database: Database, *, factor: float, window_s: float) -> dict[Account, int]:
    """Lift the jobs that are due and return how many, by account. `window_s`: how long done jobs count."""
    statuses = [*sorted(ON_WORKER_NODE), "activated"]
    common: Mapping[str, object] = {"labels": list(USER_LABELS)}
    rows = database.fetch(_USES, {**common, "statuses": statuses, "window_s": window_s})
    lifted: dict[Account, int] = defaultdict(int)
    for lift in lifts(map(_use, rows), factor):
        where = {"kind": lift.account.kind, "name": lift.account.name, "queue": lift.queue, "count": lift.count}
        lifted[lift.account] += database.execute(
            _LIFT, {**common, **where, "best": BEST_PRIORITY, "per_point": JOBS_PER_POINT}
        )
    return {account: number for account, number in lifted.items() if number}


def _use(row: Row) -> Use:
    return Use(Account(row["kind"], row["name"]), row["computing_site"], int(row["served"]), int(row["waiting"]))
