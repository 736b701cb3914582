"""Holds back the waiting jobs of accounts that have reached their limits, and lets them go again (domain.md 6.2: userCap).

A held job is throttled with the sub status `userCap`; a paused task throttles jobs without it. So neither lets go what the
other holds: resuming a task leaves held jobs alone, and a held job of a task that is paused meanwhile loses its mark only,
and waits for the task from then on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.accounts.admission import until_words
from core.accounts.limits import (
    ACCOUNT_OF_JOB,
    FOREVER,
    NAME_OF_JOB,
    USER,
    USER_LABELS,
    Account,
    Limits,
    LimitTable,
    read_limits,
)
from core.accounts.quotas import cpu_by_day, quotas_of, used_up
from core.database import Database, Row, Transaction
from core.states import ON_WORKER_NODE, JobStatus
from core.taskbuffer.account_holds import PERSON, USER_CAP, Hold, hold_jobs, mark, note_holds
from core.taskbuffer.transitions import advance_jobs

_BATCH = 500
"""Jobs that change in one transaction: some tenths of a second."""
_MOST_AT_ONCE = 10_000
"""Jobs of one account that change in one round, so that the others are looked at meanwhile."""
_CLOSE = 0.5
"""Part of a cap from which an account may be at it a few seconds later."""


@dataclass(frozen=True)
class Load:
    """What an account has with pilots now."""

    running_jobs: int = 0
    running_cores: int = 0


@dataclass
class Held:
    """What one round did."""

    held: dict[Account, tuple[int, str]] = field(default_factory=dict)
    """Jobs that were held now, by account, and why."""
    released: dict[Account, int] = field(default_factory=dict)
    has_more: bool = False
    """Whether an account has more jobs to hold than change in one round."""
    is_close: bool = False
    """Whether an account that is not held may soon be at its cap."""

    @property
    def count(self) -> int:
        """Jobs that changed."""
        return sum(number for number, _ in self.held.values()) + sum(self.released.values())


def judge(limits: Limits, load: Load, *, account: Account, quota_reason: str, now: datetime) -> Hold | None:
    """Whether jobs of an account that wait must be held now, and why; None when they may run."""
    covers = limits.covers_all_work
    if limits.is_banned(now):
        reason = f"{account} is banned {until_words(limits.banned_until or FOREVER)}: {limits.reason}"
        # whichever account a banned user's jobs count for
        return Hold(Account(PERSON, account.name) if account.kind == USER else account, reason, covers)
    if quota_reason:
        return Hold(account, quota_reason, covers)
    for number, limit, what in (
        (load.running_jobs, limits.max_running_jobs, "jobs"),
        (load.running_cores, limits.max_running_cores, "cores"),
    ):
        if number >= limit:
            return Hold(account, f"{account} has {number} of {limit} running {what}", covers)
    return None


def is_close(limits: Limits, load: Load) -> bool:
    """Whether the account may be at a cap soon."""
    return (
        load.running_jobs >= _CLOSE * limits.max_running_jobs or load.running_cores >= _CLOSE * limits.max_running_cores
    )


def room(limits: Limits, load: Load, release_below: float) -> int:
    """How many held jobs may be let go: none before both running jobs and cores are under `release_below` of their limits."""
    is_under = (
        load.running_jobs < release_below * limits.max_running_jobs
        and load.running_cores < release_below * limits.max_running_cores
    )
    return limits.max_running_jobs - load.running_jobs if is_under else 0


# ix_jobs_live_status: all that pilots hold, some hundred thousand rows at most, every few seconds
_LOAD = f"""
SELECT {ACCOUNT_OF_JOB} AS kind, {NAME_OF_JOB} AS name, j.prod_source_label = ANY(%(labels)s) AS is_user_work,
       count(*) AS jobs, sum(j.core_count) AS cores
FROM jobs_live j WHERE j.job_status = ANY(%(statuses)s) GROUP BY 1, 2, 3
"""
# ix_jobs_live_status
_HOLDING = f"""
SELECT {ACCOUNT_OF_JOB} AS kind, {NAME_OF_JOB} AS name, count(*) AS jobs FROM jobs_live j
WHERE j.job_status = 'throttled' AND j.job_sub_status = 'userCap' AND j.prod_user_name <> ALL(%(banned)s) GROUP BY 1, 2
"""
_IS_OF_ACCOUNT = f"""
(%(kind)s = '{PERSON}' AND j.prod_user_name = %(name)s
 OR %(kind)s = 'user' AND j.prod_user_name = %(name)s AND j.working_group = ''
 OR %(kind)s = 'group' AND j.working_group = %(name)s AND j.working_group <> '')
AND (%(all)s OR j.prod_source_label = ANY(%(labels)s))
"""
# ix_jobs_live_user or ix_jobs_live_group; the best first, which pilots would take meanwhile
_WAITING = f"""
SELECT j.panda_id FROM jobs_live j WHERE j.job_status = 'activated' AND {_IS_OF_ACCOUNT}
ORDER BY j.current_priority DESC, j.panda_id LIMIT %(limit)s
"""
# ix_jobs_live_user or ix_jobs_live_group; the best first, as pilots would take them. At each queue no more are before
# pilots than there is room for: jobs that wait where nothing starts neither pile up, nor keep others elsewhere from running
_RELEASABLE = f"""
SELECT panda_id, core_count FROM (
    SELECT j.panda_id, j.core_count, j.current_priority, j.job_status,
           row_number() OVER (PARTITION BY j.computing_site
                              ORDER BY j.job_status = 'activated' DESC, j.current_priority DESC, j.panda_id) AS place
    FROM jobs_live j
    WHERE (j.job_status = 'activated' AND (%(covers)s OR j.prod_source_label = ANY(%(labels)s))
           OR j.job_status = 'throttled' AND j.job_sub_status = 'userCap' AND j.prod_user_name <> ALL(%(banned)s))
          AND {_IS_OF_ACCOUNT}
) w WHERE job_status = 'throttled' AND place <= %(room)s ORDER BY current_priority DESC, panda_id LIMIT %(limit)s
"""
_LOCK_HELD = """
SELECT panda_id FROM jobs_live
WHERE panda_id = ANY(%(panda_ids)s) AND job_status = 'throttled' AND job_sub_status = 'userCap'
ORDER BY panda_id FOR UPDATE
"""
_LOCK_PAUSED = """
SELECT jedi_task_id FROM tasks
WHERE jedi_task_id IN (SELECT jedi_task_id FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s)) AND status = 'paused'
ORDER BY jedi_task_id FOR SHARE
"""


class Holder:
    """One round over all accounts."""

    def __init__(self, database: Database, release_below: float) -> None:
        self._database = database
        self._release_below = release_below

    def round(self, now: datetime) -> Held:
        """Hold what is beyond its limits, let go what fits again."""
        limits = read_limits(self._database)
        loads = self._loads(limits)
        banned = sorted(a.name for a, own in limits.decided.items() if a.kind == USER and own.is_banned(now))
        rows = self._database.fetch(_HOLDING, {"banned": banned})
        holding = {Account(row["kind"], row["name"]) for row in rows}
        concerned = holding | set(loads) | set(limits.decided)
        beyond = over_quota(self._database, limits, concerned, now)
        holds = {
            account: judge(limits.of(account), load, account=account, quota_reason=beyond.get(account, ""), now=now)
            for account in sorted(concerned)
            for load in (loads.get(account, Load()),)
        }
        # before the jobs that wait: while these are throttled, no further ones come out
        note_holds(self._database, [hold for hold in holds.values() if hold is not None])
        done = Held()
        for account, hold in holds.items():
            own, load = limits.of(account), loads.get(account, Load())
            if hold is not None:
                self._keep_back(done, account, hold)
                continue
            done.is_close |= is_close(own, load)
            number = self._release(account, own, load, banned) if account in holding else 0
            if number:
                done.released[account] = number
        return done

    def _loads(self, limits: LimitTable) -> dict[Account, Load]:
        """What counts against the caps: all work of accounts somebody decided about, of others the users' own."""
        rows = self._database.fetch(_LOAD, {"statuses": sorted(ON_WORKER_NODE), "labels": list(USER_LABELS)})
        loads: dict[Account, Load] = {}
        for row in rows:
            account = Account(row["kind"], row["name"])
            if row["is_user_work"] or limits.of(account).covers_all_work:
                before = loads.get(account, Load())
                loads[account] = Load(before.running_jobs + row["jobs"], before.running_cores + int(row["cores"]))
        return loads

    def _keep_back(self, done: Held, account: Account, hold: Hold) -> None:
        """Hold what waits of whom `hold` is about, and note it under `account`."""
        values = _values(hold.account, covers_all_work=hold.covers_all_work)
        waiting = _ids(self._database.fetch(_WAITING, {**values, "limit": _MOST_AT_ONCE}))
        done.has_more |= len(waiting) == _MOST_AT_ONCE
        number = self._hold(waiting, hold.reason)
        if number:
            done.held[account] = (number, hold.reason)

    def _hold(self, panda_ids: Sequence[int], reason: str) -> int:
        total = 0
        for batch in _batches(panda_ids):
            with self._database.transaction() as transaction:
                total += len(hold_jobs(transaction, batch, reason))
        return total

    def _release(self, account: Account, limits: Limits, load: Load, banned: list[str]) -> int:
        number = room(limits, load, self._release_below)
        values = {**_values(account, covers_all_work=True), "covers": limits.covers_all_work, "banned": banned}
        limit = min(number, _MOST_AT_ONCE)
        found = self._database.fetch(_RELEASABLE, {**values, "room": number, "limit": limit}) if number else []
        chosen = _within_cores(found, limits.max_running_cores - load.running_cores)
        for batch in _batches(_ids(chosen)):
            with self._database.transaction() as transaction:
                _let_go(transaction, batch)
        return len(chosen)


def _batches(panda_ids: Sequence[int]) -> list[Sequence[int]]:
    return [panda_ids[start : start + _BATCH] for start in range(0, len(panda_ids), _BATCH)]


def _let_go(transaction: Transaction, panda_ids: Sequence[int]) -> None:
    """Activate held jobs; those of tasks that are paused only lose the mark."""
    held = _ids(transaction.fetch(_LOCK_HELD, {"panda_ids": list(panda_ids)}))
    # jobs are locked before tasks, as in every ending; a pause or resume that runs meanwhile waits, or is waited for
    paused = {row["jedi_task_id"] for row in transaction.fetch(_LOCK_PAUSED, {"panda_ids": held})}
    mark(transaction, held, "")
    free = _not_of(transaction, held, paused)
    advance_jobs(transaction, free, JobStatus.ACTIVATED, reason=f"{USER_CAP}: under the limits again")


def _not_of(transaction: Transaction, panda_ids: list[int], tasks: Collection[int]) -> list[int]:
    if not tasks:
        return panda_ids
    statement = """
    SELECT panda_id FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s) AND NOT coalesce(jedi_task_id, 0) = ANY(%(tasks)s)
    """
    return _ids(transaction.fetch(statement, {"panda_ids": panda_ids, "tasks": sorted(tasks)}))


def _within_cores(rows: Sequence[Row], cores: int) -> list[Row]:
    """The first of these jobs that fit into so many cores, one at least."""
    chosen: list[Row] = []
    for row in rows:
        cores -= row["core_count"]
        if chosen and cores < 0:
            break
        chosen.append(row)
    return chosen


def over_quota(
    database: Database | Transaction, limits: LimitTable, accounts: Collection[Account], now: datetime
) -> dict[Account, str]:
    """Accounts whose quota is used up and holds their jobs, and the reason in words."""
    concerned = [a for a in accounts if limits.of(a).quotas and limits.of(a).quota_mode == "hold"]
    used = cpu_by_day(database, concerned, now.date())
    reasons = {}
    for account in concerned:
        quota = used_up(quotas_of(limits.of(account), used[account], now.date()))
        if quota is not None:
            days = "1 day" if quota.days == 1 else f"{quota.days} days"
            reasons[account] = (
                f"{account} has used {quota.used:.1f} of {quota.allowed} CPU hours in {days}, "
                f"held {until_words(quota.free_again or FOREVER)}"
            )
    return reasons


def _values(account: Account, *, covers_all_work: bool) -> dict[str, object]:
    labels = list(USER_LABELS)
    return {"kind": account.kind, "name": account.name, "all": covers_all_work, "labels": labels}


def _ids(rows: Sequence[Row]) -> list[int]:
    return [row["panda_id"] for row in rows]
