"""What accounts used against what they may: CPU hours of the last 1, 7 and 30 days (domain.md 6.2). Knows no job.

A day is a day of UTC, and today counts: a quota of one day is free again at midnight. So an end can be named for every
quota that is used up: the midnight at which enough old use is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from core.accounts.limits import FOREVER, Account, Limits
from core.database import Database, Transaction

QUOTA_DAYS = (1, 7, 30)
_LONGEST = max(QUOTA_DAYS)

CpuByDay = Mapping[date, float]
"""CPU hours by day."""


@dataclass(frozen=True)
class Quota:
    """A quota and its use, in CPU hours."""

    days: int
    allowed: int
    used: float
    free_again: datetime | None
    """When enough of it will be forgotten; None while there is room."""

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left."""
        return self.free_again is not None

    @property
    def part(self) -> float:
        """Used over allowed; a quota of nothing counts as used up tenfold."""
        return self.used / self.allowed if self.allowed else 10.0


# ix_usage_days_user, ix_usage_days_group
_USED = """
SELECT a.kind, a.name, u.day, sum(u.cpu_s) / 3600 AS hours
FROM unnest(%(kinds)s::text[], %(names)s::text[]) AS a (kind, name)
CROSS JOIN LATERAL (
    SELECT day, cpu_s FROM usage_days
    WHERE a.kind = 'user' AND user_name = a.name AND working_group = '' AND day > %(since)s
    UNION ALL
    SELECT day, cpu_s FROM usage_days
    WHERE a.kind = 'group' AND working_group = a.name AND working_group <> '' AND day > %(since)s
) u GROUP BY a.kind, a.name, u.day
"""


def cpu_by_day(
    database: Database | Transaction, accounts: Collection[Account], today: date
) -> dict[Account, dict[date, float]]:
    """CPU hours of the last thirty days by account and day."""
    if not accounts:
        return {}
    rows = database.fetch(
        _USED,
        {
            "kinds": [account.kind for account in accounts],
            "names": [account.name for account in accounts],
            "since": today - timedelta(days=_LONGEST),
        },
    )
    used: dict[Account, dict[date, float]] = {account: {} for account in accounts}
    for row in rows:
        used[Account(row["kind"], row["name"])][row["day"]] = float(row["hours"])
    return used


def quotas_of(limits: Limits, used: CpuByDay, today: date) -> list[Quota]:
    """The quotas of an account with what was used of them."""
    return [_quota(days, allowed, used, today) for days, allowed in limits.quotas.items()]


def _quota(days: int, allowed: int, used: CpuByDay, today: date) -> Quota:
    counted = {day: hours for day, hours in used.items() if today - timedelta(days=days) < day <= today}
    total = sum(counted.values())
    if total < allowed:
        return Quota(days, allowed, total, None)
    rest = total
    for day in sorted(counted):
        rest -= counted[day]
        if rest < allowed:
            return Quota(days, allowed, total, _midnight(day + timedelta(days=days)))
    # a quota of nothing, which no midnight frees
    return Quota(days, allowed, total, FOREVER)


def used_up(quotas: Collection[Quota]) -> Quota | None:
    """The one that stays used up longest, of those that are."""
    full = [quota for quota in quotas if quota.free_again is not None]
    return max(full, key=lambda quota: quota.free_again or datetime.min.replace(tzinfo=UTC), default=None)


def used_part(quotas: Collection[Quota]) -> float:
    """The largest part that is used of any quota; 0 without quotas."""
    return max((quota.part for quota in quotas), default=0.0)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
