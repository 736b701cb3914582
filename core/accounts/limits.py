"""What each user and working group may use, and who decided it. Knows the table of limits; knows no job.

An account is a user, or a working group: work that names a group counts for the group, all other work for its user
(domain.md 6.2). What nobody decided about an account follows `[accounts]` of the settings, which an agent writes down as
the account `default`, so that every process of an installation goes by the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from core import audit
from core.database import Database, Row, Transaction
from core.errors import InvalidInput
from core.names import MAX_NAME_BYTES, check_line
from core.text import clean
from core.workload_settings import AccountSettings

USER, GROUP, DEFAULT = "user", "group", "default"
USER_LABELS = ("user", "panda")
"""Labels of users' own jobs: only these get falling priorities, and caps without an operator's word."""
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of a ban or boost for good."""
ACCOUNT_OF_JOB = "CASE WHEN j.working_group <> '' THEN 'group' ELSE 'user' END"
NAME_OF_JOB = "CASE WHEN j.working_group <> '' THEN j.working_group ELSE j.prod_user_name END"
"""SQL over a job `j`: kind and name of the account it counts for."""

MAX_NUMBER = 10**12


@dataclass(frozen=True, order=True)
class Account:
    """A user or a working group."""

    kind: str
    name: str

    def __str__(self) -> str:
        """For sentences: `user alice`."""
        return f"{self.kind} {self.name}"


def account_of(user_name: str, working_group: str) -> Account:
    """Whom work counts for. The names are shortened as those of jobs and tasks are."""
    group = clean(working_group, 64)
    return Account(GROUP, group) if group else Account(USER, clean(user_name, 255))


@dataclass(frozen=True)
class Limits:
    """The limits in force of one account; quotas are CPU hours."""

    max_running_jobs: int
    max_running_cores: int
    max_active_tasks: int
    quota_mode: str
    jobs_per_priority_point: int
    cpu_hours_1d: int | None = None
    cpu_hours_7d: int | None = None
    cpu_hours_30d: int | None = None
    boost_priority: int | None = None
    boost_until: datetime | None = None
    banned_until: datetime | None = None
    is_privileged: bool = False
    """Of a group: what its production role submits comes before the work of all users."""
    reason: str = ""
    covers_all_work: bool = False
    """Caps, quotas and bans that operators decided hold for all work; what follows the settings for users' own only."""

    def is_banned(self, now: datetime) -> bool:
        """Whether nothing is taken from it."""
        return self.banned_until is not None and self.banned_until > now

    def boost(self, now: datetime) -> int | None:
        """The fixed priority of its jobs, while it lasts."""
        return self.boost_priority if self.boost_until is not None and self.boost_until > now else None

    @property
    def quotas(self) -> dict[int, int]:
        """CPU hours by the number of days they are for."""
        hours = {1: self.cpu_hours_1d, 7: self.cpu_hours_7d, 30: self.cpu_hours_30d}
        return {days: allowed for days, allowed in hours.items() if allowed is not None}


def limits_of_settings(settings: AccountSettings) -> Limits:
    """What holds for those about whom nobody decided."""
    return Limits(
        settings.max_running_jobs,
        settings.max_running_cores,
        settings.max_active_tasks,
        settings.quota_mode,
        settings.jobs_per_priority_point,
    )


class LimitTable:
    """The limits that were read: one answer for every account."""

    def __init__(self, rows: Iterable[Row]) -> None:
        own = {Account(row["kind"], row["name"]): row for row in rows}
        written = own.pop(Account(DEFAULT, ""), None)
        usual = limits_of_settings(AccountSettings())
        self.default = replace(_in_force(usual, written), covers_all_work=False, reason="") if written else usual
        self._own = {account: _in_force(self.default, row) for account, row in own.items()}

    def of(self, account: Account) -> Limits:
        """The limits in force of an account."""
        return self._own.get(account, self.default)

    @property
    def decided(self) -> dict[Account, Limits]:
        """Those about whom operators decided something."""
        return dict(self._own)


_RESTRICTING = (
    *("max_running_jobs", "max_running_cores", "banned_until"),
    *("cpu_hours_1d", "cpu_hours_7d", "cpu_hours_30d"),
)
_FIELDS = tuple(field.name for field in fields(Limits) if field.name != "covers_all_work")


def _in_force(default: Limits, row: Row) -> Limits:
    own = {name: row[name] for name in _FIELDS if row[name] is not None and row[name] != ""}
    return replace(default, **own, covers_all_work=any(name in own for name in _RESTRICTING))


# primary key; the default row is always among them
_READ = """
SELECT * FROM account_limits
WHERE (kind, name) IN (SELECT * FROM unnest(%(kinds)s::text[], %(names)s::text[])) OR (kind = 'default' AND name = '')
"""


def read_limits(database: Database | Transaction, accounts: Collection[Account] | None = None) -> LimitTable:
    """The limits of these accounts, or of all."""
    if accounts is None:
        return LimitTable(database.fetch("SELECT * FROM account_limits"))
    names = {"kinds": [account.kind for account in accounts], "names": [account.name for account in accounts]}
    return LimitTable(database.fetch(_READ, names))


# primary key; nothing is written while nothing changed
_WRITE_DEFAULT = """
INSERT INTO account_limits (kind, name, max_running_jobs, max_running_cores, max_active_tasks, quota_mode,
                            jobs_per_priority_point, reason, modified_by)
VALUES ('default', '', %(max_running_jobs)s, %(max_running_cores)s, %(max_active_tasks)s, %(quota_mode)s,
        %(jobs_per_priority_point)s, 'the settings [accounts]', 'settings')
ON CONFLICT (kind, name) DO UPDATE SET
    max_running_jobs = excluded.max_running_jobs, max_running_cores = excluded.max_running_cores,
    max_active_tasks = excluded.max_active_tasks, quota_mode = excluded.quota_mode,
    jobs_per_priority_point = excluded.jobs_per_priority_point, modification_time = clock_timestamp()
WHERE (account_limits.max_running_jobs, account_limits.max_running_cores, account_limits.max_active_tasks,
       account_limits.quota_mode, account_limits.jobs_per_priority_point)
      IS DISTINCT FROM (excluded.max_running_jobs, excluded.max_running_cores, excluded.max_active_tasks,
                        excluded.quota_mode, excluded.jobs_per_priority_point)
"""


def publish_settings(database: Database, settings: AccountSettings) -> None:
    """Write down what the settings say, for every process to go by."""
    usual = limits_of_settings(settings)
    database.execute(_WRITE_DEFAULT, {name: getattr(usual, name) for name in _FIELDS})


CHANGEABLE = _FIELDS
"""What operators may decide of an account; None gives it back to the settings."""

# primary key
_GET = "SELECT * FROM account_limits WHERE kind = %(kind)s AND name = %(name)s"
_SET = f"""
INSERT INTO account_limits (kind, name, {", ".join(CHANGEABLE)}, modified_by)
VALUES (%(kind)s, %(name)s, {", ".join(f"%({name})s" for name in CHANGEABLE)}, %(who)s)
ON CONFLICT (kind, name) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in CHANGEABLE)},
    modified_by = excluded.modified_by, modification_time = clock_timestamp()
RETURNING *
"""


def decided_of(database: Database, account: Account) -> Row | None:
    """What operators decided about an account, and who and when; None when nothing."""
    _check_account(account)
    return database.fetch_one(_GET, {"kind": account.kind, "name": account.name})


def set_limits(database: Database, account: Account, changes: Mapping[str, Any], *, who: str, now: datetime) -> Row:
    """Decide about an account: what is not among `changes` stays. Accounts that were never seen are prepared.

    Raises InvalidInput naming the field for what cannot be; nothing is changed then.
    """
    _check_account(account)
    with database.transaction() as transaction:
        transaction.execute("LOCK TABLE account_limits IN SHARE ROW EXCLUSIVE MODE")
        present = transaction.fetch_one(_GET, {"kind": account.kind, "name": account.name}) or {}
        values = {name: present.get(name) for name in CHANGEABLE} | dict(changes)
        values |= {name: values[name] or "" for name in ("quota_mode", "reason")}
        values["is_privileged"] = bool(values["is_privileged"])
        if values["is_privileged"] and account.kind != GROUP:
            raise InvalidInput("users have no production role of their own", field="is_privileged", remedy="boost them")
        _check_values(values, changes, now)
        row = transaction.fetch_one(_SET, {**values, "kind": account.kind, "name": account.name, "who": who})
        assert row is not None  # an upsert with RETURNING always answers
        audit.note_rows(transaction, who, "set account", account.kind, account.name, present, row)
    return row


def _check_account(account: Account) -> None:
    limit = 64 if account.kind == GROUP else MAX_NAME_BYTES
    size = len(account.name.encode("utf-8", "surrogatepass"))
    if account.kind not in (USER, GROUP):
        raise InvalidInput(f"no kind of account: {account.kind[:40]!r}", field="kind", remedy="user or group")
    if not account.name.strip() or size > limit or account.name != clean(account.name, size):
        raise InvalidInput(f"no name of a {account.kind}", field="name", remedy=f"1 to {limit} bytes of text")
    check_line(account.name, "name")


_NUMBERS = (
    *("max_running_jobs", "max_running_cores", "max_active_tasks"),
    *("cpu_hours_1d", "cpu_hours_7d", "cpu_hours_30d", "jobs_per_priority_point"),
)


def _check_values(values: Mapping[str, Any], changes: Mapping[str, Any], now: datetime) -> None:
    for name in _NUMBERS:
        if values[name] is not None and not 0 <= values[name] <= MAX_NUMBER:
            raise InvalidInput(
                f"{values[name]} is no limit", field=name, remedy=f"0 to {MAX_NUMBER}; leave it empty for the usual one"
            )
    if values["quota_mode"] not in ("", "lower", "hold", "reject"):
        raise InvalidInput(f"{values['quota_mode']!r} is no mode", field="quota_mode", remedy="lower, hold or reject")
    boost = values["boost_priority"]
    if boost is not None and not -1_000_000 <= boost <= 1_000_000:
        raise InvalidInput(f"{boost} is no priority", field="boost_priority", remedy="between -1000000 and 1000000")
    if (boost is None) != (values["boost_until"] is None):
        missing = "boost_priority" if boost is None else "boost_until"
        raise InvalidInput("a boost is a priority and its end", field=missing, remedy="give both, or none")
    for name in ("boost_until", "banned_until"):
        end = values[name]
        # a priority alone would change a boost that is over, and so nothing
        is_meant = changes.get(name) is not None or (
            name == "boost_until" and changes.get("boost_priority") is not None
        )
        if is_meant and end <= now:
            raise InvalidInput(f"{end:%Y-%m-%d %H:%M} is over", field=name, remedy="a time that is to come")
        if changes.get(name) is not None and end > FOREVER:
            raise InvalidInput("later than can be kept", field=name, remedy=f"before {FOREVER:%Y-%m-%d} UTC")
    is_restricting = any(changes.get(name) is not None for name in ("banned_until", "boost_until"))
    if is_restricting and not values["reason"].strip():
        raise InvalidInput("nobody will know why", field="reason", remedy="say why in a sentence")
