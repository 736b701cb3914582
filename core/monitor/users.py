"""Users and working groups: what they run, what they may, what they used. Knows no page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from core.accounts.limits import ACCOUNT_OF_JOB, NAME_OF_JOB, Account, Limits, LimitTable, decided_of, read_limits
from core.accounts.quotas import cpu_by_day, quotas_of
from core.database import Database, Row
from core.errors import UnknownObject
from core.monitor.filters import text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import envelope, read
from core.states import AWAITING_PILOT, FINAL_TASK_STATUSES, ON_WORKER_NODE, TaskStatus

USER_GRAMMAR = Grammar(
    filters={
        "kind": text_column("kind"),
        "name": text_column("name"),
        # other pages link to people by these
        "user_name": text_column("user_name", "name"),
        "prod_user_name": text_column("prod_user_name", "name"),
    }
)
DAYS = 30
_UNDER_WAY = sorted(set(TaskStatus) - FINAL_TASK_STATUSES)

# jobs_live whole; usage_days by primary key from a day on; ix_tasks_status; account_limits whole: it is short
_ACCOUNTS = f"""
SELECT kind, name, sum(running)::bigint AS running_jobs, sum(cores)::bigint AS running_cores,
       sum(queued)::bigint AS queued_jobs, sum(held)::bigint AS held_jobs, sum(tasks)::bigint AS active_tasks,
       sum(hours_1)::float AS cpu_hours_1d, sum(hours_7)::float AS cpu_hours_7d, sum(hours_30)::float AS cpu_hours_30d,
       sum(wall_30)::float AS wall_core_hours_30d, sum(failed_30)::float AS failed_core_hours_30d,
       sum(power_30)::float AS power_hours_30d, sum(ended_30)::bigint AS ended_jobs_30d
FROM (
    SELECT {ACCOUNT_OF_JOB} AS kind, {NAME_OF_JOB} AS name,
           count(*) FILTER (WHERE j.job_status = ANY(%(on_node)s)) AS running,
           sum(j.core_count) FILTER (WHERE j.job_status = ANY(%(on_node)s)) AS cores,
           count(*) FILTER (WHERE j.job_status = ANY(%(queued)s)) AS queued,
           count(*) FILTER (WHERE j.job_status = 'throttled' AND j.job_sub_status = 'userCap') AS held,
           0 AS tasks, 0 AS hours_1, 0 AS hours_7, 0 AS hours_30, 0 AS wall_30, 0 AS failed_30, 0 AS power_30,
           0 AS ended_30
    FROM jobs_live j GROUP BY 1, 2
    UNION ALL
    SELECT CASE WHEN working_group <> '' THEN 'group' ELSE 'user' END,
           CASE WHEN working_group <> '' THEN working_group ELSE user_name END, 0, 0, 0, 0, 0,
           sum(cpu_s) FILTER (WHERE day > %(today)s::date - 1) / 3600,
           sum(cpu_s) FILTER (WHERE day > %(today)s::date - 7) / 3600, sum(cpu_s) / 3600, sum(wall_core_s) / 3600,
           sum(failed_wall_core_s) / 3600, sum(power_s) / 3600, sum(jobs_finished + jobs_failed + jobs_cancelled)
    FROM usage_days WHERE day > %(today)s::date - {DAYS} GROUP BY 1, 2
    UNION ALL
    SELECT CASE WHEN working_group <> '' THEN 'group' ELSE 'user' END,
           CASE WHEN working_group <> '' THEN working_group ELSE user_name END, 0, 0, 0, 0, count(*),
           0, 0, 0, 0, 0, 0, 0
    FROM tasks WHERE status = ANY(%(under_way)s) GROUP BY 1, 2
    UNION ALL
    SELECT kind, name, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM account_limits WHERE kind <> 'default'
) accounts WHERE {{where}} GROUP BY kind, name
ORDER BY running_jobs DESC, queued_jobs DESC, cpu_hours_30d DESC, kind, name LIMIT %(limit)s
"""


def user_list(database: Database, question: Question) -> dict[str, Any]:
    """Accounts that have, had or may something of their own, the busiest first, with the limits in force."""
    rows = _accounts(database, question.where(), question.parameters, question.as_of, question.limit)
    limits = read_limits(database)
    users = [_with_limits(row, limits, question.as_of) for row in rows]
    default = _shown(limits.default, question.as_of)
    return envelope(question.as_of, count=len(users), warnings=question.warnings, users=users, default_limits=default)


def _accounts(
    database: Database, where: str, parameters: Mapping[str, object], as_of: datetime, limit: int
) -> list[Row]:
    values = {
        "on_node": sorted(ON_WORKER_NODE),
        "queued": sorted(AWAITING_PILOT),
        "under_way": _UNDER_WAY,
        "today": as_of.date(),
        "limit": limit,
    }
    rows = read(database, _ACCOUNTS.format(where=where), {**parameters, **values})
    return [{name: value if value is not None else 0 for name, value in row.items()} for row in rows]


def _with_limits(row: Row, limits: LimitTable, now: datetime) -> dict[str, Any]:
    own = limits.of(Account(row["kind"], row["name"]))
    return {**row, "limits": _shown(own, now)}


def _shown(limits: Limits, now: datetime) -> dict[str, Any]:
    """The limits in force; boosts and bans only while they last."""
    boost = limits.boost(now)
    is_banned = limits.is_banned(now)
    return {
        "max_running_jobs": limits.max_running_jobs,
        "max_running_cores": limits.max_running_cores,
        "max_active_tasks": limits.max_active_tasks,
        "cpu_hours_1d": limits.cpu_hours_1d,
        "cpu_hours_7d": limits.cpu_hours_7d,
        "cpu_hours_30d": limits.cpu_hours_30d,
        "quota_mode": limits.quota_mode,
        "jobs_per_priority_point": limits.jobs_per_priority_point,
        "boost_priority": boost,
        "boost_until": limits.boost_until if boost is not None else None,
        "is_privileged": limits.is_privileged,
        "is_banned": is_banned,
        "banned_until": limits.banned_until if is_banned else None,
        "reason": limits.reason,
    }


_OF_ACCOUNT = """(%(kind)s = 'user' AND user_name = %(name)s AND working_group = ''
        OR %(kind)s = 'group' AND working_group = %(name)s AND working_group <> '')"""
# ix_usage_days_user, ix_usage_days_group
_BY_DAY = f"""
SELECT day, sum(cpu_s) / 3600 AS cpu_hours, sum(wall_core_s) / 3600 AS wall_core_hours, sum(power_s) / 3600 AS power_hours,
       sum(failed_wall_core_s) / 3600 AS failed_core_hours, sum(jobs_finished)::bigint AS jobs_finished,
       sum(jobs_failed)::bigint AS jobs_failed, sum(jobs_cancelled)::bigint AS jobs_cancelled
FROM usage_days WHERE day > %(since)s AND {_OF_ACCOUNT} GROUP BY day ORDER BY day
"""
_BY_QUEUE = f"""
SELECT computing_site, prod_source_label, sum(cpu_s) / 3600 AS cpu_hours, sum(wall_core_s) / 3600 AS wall_core_hours,
       sum(power_s) / 3600 AS power_hours, sum(failed_wall_core_s) / 3600 AS failed_core_hours,
       sum(jobs_finished)::bigint AS jobs_finished, sum(jobs_failed)::bigint AS jobs_failed,
       sum(jobs_cancelled)::bigint AS jobs_cancelled
FROM usage_days WHERE day > %(since)s AND {_OF_ACCOUNT} GROUP BY 1, 2 ORDER BY wall_core_hours DESC, 1, 2 LIMIT 100
"""
# ix_tasks_user; of groups the newest that are under way, ix_tasks_status
_TASKS_OF_USER = """
SELECT jedi_task_id, task_name, status, n_jobs, n_finished, n_failed, n_cancelled, modification_time FROM tasks
WHERE user_name = %(name)s AND working_group = '' ORDER BY jedi_task_id DESC LIMIT 20
"""
_TASKS_OF_GROUP = """
SELECT jedi_task_id, task_name, status, n_jobs, n_finished, n_failed, n_cancelled, modification_time FROM tasks
WHERE status = ANY(%(under_way)s) AND working_group = %(name)s ORDER BY jedi_task_id DESC LIMIT 20
"""


def user_page(database: Database, account: Account, as_of: datetime) -> dict[str, Any]:
    """One account: what it runs and may, its quotas, its use by day and by queue, its tasks. Raises UnknownObject."""
    decided = decided_of(database, account)
    key: dict[str, object] = {"kind": account.kind, "name": account.name}
    rows = _accounts(database, "kind = %(kind)s AND name = %(name)s", key, as_of, 1)
    tasks = read(
        database, _TASKS_OF_USER if account.kind == "user" else _TASKS_OF_GROUP, {**key, "under_way": _UNDER_WAY}
    )
    if not rows and not tasks:
        raise UnknownObject(f"nothing is known of {account}", field="name", remedy="see `panda accounts` for the names")
    limits = read_limits(database, [account])
    row = rows[0] if rows else _nothing(account)
    since = {**key, "since": as_of.date() - timedelta(days=DAYS)}
    used = cpu_by_day(database, [account], as_of.date())[account]
    return envelope(
        as_of,
        count=1,
        user=_with_limits(row, limits, as_of),
        decided=decided,
        default_limits=_shown(limits.default, as_of),
        quotas=[
            {"days": quota.days, "allowed": quota.allowed, "used": quota.used, "free_again": quota.free_again}
            for quota in quotas_of(limits.of(account), used, as_of.date())
        ],
        days=_every_day(read(database, _BY_DAY, since), as_of.date()),
        queues=read(database, _BY_QUEUE, since),
        tasks=tasks,
    )


_MEASURES = ("cpu_hours", "wall_core_hours", "power_hours", "failed_core_hours")
_COUNTS = ("jobs_finished", "jobs_failed", "jobs_cancelled")


def _every_day(rows: list[Row], today: date) -> list[dict[str, Any]]:
    """One row for each of the last days, those without use too, so that a plot has no gaps."""
    found = {row["day"]: row for row in rows}
    nothing = {**dict.fromkeys(_MEASURES, 0.0), **dict.fromkeys(_COUNTS, 0)}
    days = [today - timedelta(days=age) for age in reversed(range(DAYS))]
    return [{"day": day, **nothing, **found.get(day, {})} for day in days]


def _nothing(account: Account) -> Row:
    counts = ("running_jobs", "running_cores", "queued_jobs", "held_jobs", "active_tasks", "ended_jobs_30d")
    hours = ("cpu_hours_1d", "cpu_hours_7d", "cpu_hours_30d", "wall_core_hours_30d", "failed_core_hours_30d")
    zero = {**dict.fromkeys(counts, 0), **dict.fromkeys((*hours, "power_hours_30d"), 0.0)}
    return {"kind": account.kind, "name": account.name, **zero}
