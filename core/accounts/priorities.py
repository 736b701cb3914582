"""The priority a new job gets: falling with the live jobs of its account, so that small users get through (domain.md 2.6).

Called for all jobs of an insertion at once: one statement counts, whatever their number. Knows NewJob, no agent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Protocol

from core.accounts.limits import GROUP, USER_LABELS, Account, Limits, LimitTable, account_of, read_limits
from core.accounts.quotas import cpu_by_day, quotas_of, used_part
from core.database import Transaction

ORDINARY = 1100
"""Higher priorities (build jobs 2000, merging 5000, ...) are given on purpose and stay."""
GROUP_PRODUCTION_OFFSET = 2000
"""What the production role of a privileged group adds: more than `ORDINARY`, so live jobs do not lower it (domain.md 2.6)."""
MOST_COUNTED = 5000
"""Live jobs that are counted at most: further ones get the priority of the last that was, and their age decides."""
_MOST_QUOTAS = 10.0
"""A user far beyond the quota loses so many times 100 points, at most."""


class JobToBe(Protocol):
    """What is looked at of a job that is to be inserted."""

    prod_source_label: str
    prod_user_name: str
    working_group: str
    special_handling: str
    current_priority: int


# ix_jobs_live_user and ix_jobs_live_group, the newest first; never more than the limit of them. Two bounds instead of an
# equation keep the name in the order, which only these indexes have: else the planner reads the primary key backwards
_COUNT = """
SELECT a.kind, a.name, (
    SELECT count(*) FROM (
        SELECT prod_source_label FROM jobs_live
        WHERE prod_user_name >= a.name AND prod_user_name <= a.name
        ORDER BY prod_user_name DESC, panda_id DESC LIMIT %(most)s
    ) j WHERE a.kind = 'user' AND j.prod_source_label = ANY(%(labels)s)
) + (
    SELECT count(*) FROM (
        SELECT prod_source_label FROM jobs_live
        WHERE working_group >= a.name AND working_group <= a.name AND working_group <> ''
        ORDER BY working_group DESC, panda_id DESC LIMIT %(most)s
    ) j WHERE a.kind = 'group' AND j.prod_source_label = ANY(%(labels)s)
) AS live
FROM unnest(%(kinds)s::text[], %(names)s::text[]) AS a (kind, name)
"""


def priorities_of(transaction: Transaction, jobs: Sequence[JobToBe], now: datetime | None = None) -> list[int]:
    """The priorities of jobs that are inserted next, in their order (domain.md 2.6, 6.2).

    Jobs of users fall by one for each `jobs_per_priority_point` live jobs of their account, those before them in `jobs`
    included, and by 100 for a quota that is used up in mode `lower`. Boosted accounts have a fixed priority. Scouts,
    and whatever has more than 1100 or another label, keep what they were given.
    """
    now = now or datetime.now(UTC)
    accounts = {account_of(job.prod_user_name, job.working_group) for job in jobs if _falls(job)}
    if not accounts:
        return [job.current_priority for job in jobs]
    limits = read_limits(transaction, accounts)
    live = _live_jobs(transaction, sorted(a for a in accounts if limits.of(a).boost(now) is None))
    lowered = _lowered_by_quota(transaction, accounts, limits, now.date())
    position: dict[Account, int] = defaultdict(int)
    priorities = []
    for job in jobs:
        if not _falls(job):
            priorities.append(job.current_priority)
            continue
        account = account_of(job.prod_user_name, job.working_group)
        number = min(MOST_COUNTED, live.get(account, 0) + position[account])
        position[account] += 1
        priorities.append(_priority(job.current_priority, limits.of(account), number, lowered.get(account, 0), now))
    return priorities


def group_offset(transaction: Transaction, working_group: str, label: str) -> int:
    """Points more for users' work that the production role of a privileged group submits; 0 for all else (domain.md 2.6)."""
    account = account_of("", working_group)
    if account.kind != GROUP or label not in USER_LABELS:
        return 0
    return GROUP_PRODUCTION_OFFSET if read_limits(transaction, {account}).of(account).is_privileged else 0


def _falls(job: JobToBe) -> bool:
    is_scout = "scout" in job.special_handling.split(",")
    return job.prod_source_label in USER_LABELS and job.current_priority <= ORDINARY and not is_scout


def _priority(given: int, limits: Limits, number: int, lowered: int, now: datetime) -> int:
    boost = limits.boost(now)
    if boost is not None:
        return boost
    step = limits.jobs_per_priority_point
    return given - lowered - (number // step if step else 0)


def _live_jobs(transaction: Transaction, accounts: Sequence[Account]) -> dict[Account, int]:
    if not accounts:
        return {}
    names = {"kinds": [account.kind for account in accounts], "names": [account.name for account in accounts]}
    rows = transaction.fetch(_COUNT, {**names, "most": MOST_COUNTED, "labels": list(USER_LABELS)})
    return {Account(row["kind"], row["name"]): row["live"] for row in rows}


def _lowered_by_quota(
    transaction: Transaction, accounts: set[Account], limits: LimitTable, today: date
) -> dict[Account, int]:
    """Points less for accounts with quotas in mode `lower`: int(100 x used / allowed)."""
    concerned = [a for a in accounts if limits.of(a).quotas and limits.of(a).quota_mode == "lower"]
    used = cpu_by_day(transaction, concerned, today)
    return {
        account: int(100 * min(_MOST_QUOTAS, used_part(quotas_of(limits.of(account), used[account], today))))
        for account in concerned
    }
