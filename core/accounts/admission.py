"""Who may submit now: bans, quotas that refuse, too many tasks under way (domain.md 6.2). Knows no HTTP.

Asked in the transaction that submits, before anything is written.
"""

from __future__ import annotations

from datetime import UTC, datetime

from core.accounts.limits import FOREVER, USER_LABELS, Account, Limits, account_of, read_limits
from core.accounts.quotas import cpu_by_day, quotas_of, used_up
from core.database import Transaction
from core.errors import Conflict, NotAllowed
from core.states import FINAL_TASK_STATUSES, TaskStatus
from core.wording import counted

_UNDER_WAY = sorted(set(TaskStatus) - FINAL_TASK_STATUSES)


class TooManyTasks(Conflict):
    """The account has as many tasks under way as it may; the same submission works when some have ended."""

    code = "too_many_tasks"


def check_submission(
    transaction: Transaction, *, user_name: str, working_group: str, label: str, now: datetime | None = None
) -> None:
    """Refuse the submission of a banned user or group, and of one beyond its quota in mode `reject`.

    Quotas of users concern their own work (labels user and panda, no group); those of a group all that names it.
    Raises NotAllowed, which says until when.
    """
    now = now or datetime.now(UTC)
    user, account = account_of(user_name, ""), account_of(user_name, working_group)
    limits = read_limits(transaction, {user, account})
    for one in dict.fromkeys((user, account)):
        _check_ban(one, limits.of(one), now)
    if account != user or label in USER_LABELS:
        _check_quota(transaction, account, limits.of(account), now)


# ix_tasks_status or ix_tasks_user: tasks under way are few beside those that ended
_ACTIVE_OF_USER = """
SELECT count(*) AS n FROM (
    SELECT 1 FROM tasks
    WHERE status = ANY(%(under_way)s) AND user_name = %(name)s AND working_group = ''
      AND prod_source_label = ANY(%(labels)s)
    LIMIT %(limit)s
) t
"""
_ACTIVE_OF_GROUP = """
SELECT count(*) AS n FROM (
    SELECT 1 FROM tasks WHERE status = ANY(%(under_way)s) AND working_group = %(name)s LIMIT %(limit)s
) t
"""


def check_active_tasks(transaction: Transaction, *, user_name: str, working_group: str, label: str) -> None:
    """Raise TooManyTasks when the account has as many tasks under way as it may (upstream's code 10)."""
    account = account_of(user_name, working_group)
    limits = read_limits(transaction, {account})
    if account.kind == "user" and label not in USER_LABELS:
        return
    limit = limits.of(account).max_active_tasks
    active = _count_active(transaction, account, limit)
    if active >= limit:
        raise TooManyTasks(
            f"{account} has {counted(active, 'task')} under way, and {limit} {'is' if limit == 1 else 'are'} allowed",
            field="max_active_tasks",
            remedy="wait until some have ended, finish or kill some, or ask an operator",
        )


def _count_active(transaction: Transaction, account: Account, limit: int) -> int:
    statement = _ACTIVE_OF_USER if account.kind == "user" else _ACTIVE_OF_GROUP
    values = {"name": account.name, "under_way": _UNDER_WAY, "labels": list(USER_LABELS), "limit": limit}
    row = transaction.fetch_one(statement, values)
    return int(row["n"]) if row else 0


def _check_ban(account: Account, limits: Limits, now: datetime) -> None:
    if not limits.is_banned(now):
        return
    end = limits.banned_until or FOREVER
    raise NotAllowed(
        f"{account} is banned {until_words(end)}: {limits.reason}",
        field="working_group" if account.kind == "group" else "user_name",
        remedy="ask an operator",
    )


def _check_quota(transaction: Transaction, account: Account, limits: Limits, now: datetime) -> None:
    if limits.quota_mode != "reject" or not limits.quotas:
        return
    used = cpu_by_day(transaction, [account], now.date())[account]
    quota = used_up(quotas_of(limits, used, now.date()))
    if quota is not None:
        raise NotAllowed(
            f"{account} has used {quota.used:.1f} of {quota.allowed} CPU hours in {quota.days} "
            f"{'day' if quota.days == 1 else 'days'}; refused {until_words(quota.free_again or FOREVER)}",
            field=f"cpu_hours_{quota.days}d",
            remedy="wait until then, or ask an operator",
        )


def until_words(end: datetime) -> str:
    """`until 2026-01-31 00:00 UTC`, or `for good`."""
    return "for good" if end >= FOREVER else f"until {end:%Y-%m-%d %H:%M} UTC"
