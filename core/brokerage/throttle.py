"""Why no further jobs of a whole task may be made now: caps of its account, and its share (domain.md 5.3). No HTTP.

A quota of disk is not known here and so is left out. Caps are those of core.accounts; the share is core.shares'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.accounts.limits import USER, USER_LABELS, Account, Limits, account_of, read_limits
from core.brokerage.criterion import several
from core.brokerage.task_classes import is_almost_done
from core.database import Row, Transaction
from core.shares.reading import read_loads, read_tree

QUEUED_PER_RUNNING_CAP = 2
"""An account may have queued so many times what it may run."""
CLASS_LIMITS = {"A": 1.0, "B": 0.95, "C": 0.9}
"""The part of its target beyond which a share takes no jobs of tasks of a class."""

# ix_jobs_live_user
_OF_USER = """
SELECT count(*) FILTER (WHERE is_running) AS running, coalesce(sum(core_count) FILTER (WHERE is_running), 0) AS running_cores,
       count(*) FILTER (WHERE NOT is_running) AS queued,
       coalesce(sum(core_count) FILTER (WHERE NOT is_running), 0) AS queued_cores
FROM (
    SELECT core_count, job_status IN ('running', 'stagein', 'stageout') AS is_running FROM jobs_live
    WHERE prod_user_name = %(name)s AND working_group = '' AND prod_source_label = ANY(%(labels)s)
      AND job_status NOT IN ('holding', 'transferring', 'merging')
) j
"""
# ix_tasks_status, ix_jobs_live_task
_OF_GROUP = """
SELECT count(*) FILTER (WHERE is_running) AS running, coalesce(sum(core_count) FILTER (WHERE is_running), 0) AS running_cores,
       count(*) FILTER (WHERE NOT is_running) AS queued,
       coalesce(sum(core_count) FILTER (WHERE NOT is_running), 0) AS queued_cores
FROM (
    SELECT j.core_count, j.job_status IN ('running', 'stagein', 'stageout') AS is_running
    FROM tasks t JOIN jobs_live j ON j.jedi_task_id = t.jedi_task_id
    WHERE t.status IN ('ready', 'scouting', 'scouted', 'running', 'pending', 'throttled', 'merging')
      AND t.working_group = %(name)s AND j.job_status NOT IN ('holding', 'transferring', 'merging')
) j
"""
# ix_jobs_live_status; asked only while a share is at its target and full of waiting work
_PER_USER = """
SELECT count(*)::float / greatest(count(DISTINCT prod_user_name), 1) AS mean
FROM jobs_live WHERE job_status = 'running' AND gshare = %(gshare)s
"""


@dataclass(frozen=True)
class Throttle:
    """Why a task gets no further jobs for now."""

    kind: str
    """running_jobs, queued_jobs, running_cores, queued_cores or share."""
    whose: str
    """`user alice`, `group higgs`, `share analysis`."""
    number: float
    limit: float
    reason: str
    """For its user, in a sentence."""
    next_step: str
    """What must come for it to go on."""


def task_throttle(transaction: Transaction, task: Row) -> Throttle | None:
    """What holds a task back now, or None. `task`: its row.

    Users' tasks fall under the caps of the settings; others under those that an operator decided for their account.
    """
    account = account_of(task["user_name"], task["working_group"])
    limits = read_limits(transaction, {account}).of(account)
    if task["prod_source_label"] not in USER_LABELS and not limits.covers_all_work:
        return None
    load = _load_of(transaction, account)
    return _capped(account, limits, load) or _beyond_share(transaction, task, load)


def _load_of(transaction: Transaction, account: Account) -> dict[str, int]:
    statement = _OF_USER if account.kind == USER else _OF_GROUP
    [row] = transaction.fetch(statement, {"name": account.name, "labels": list(USER_LABELS)})
    return {name: int(value) for name, value in row.items()}


def flooded(transaction: Transaction, task: Row, factor: float) -> str | None:
    """Why a task that is held back shall not even wait: its account has queued more than `factor` times what it may.

    In a sentence for its user; None while it has not (domain.md 3.5). Of tasks that `task_throttle` holds.
    """
    account = account_of(task["user_name"], task["working_group"])
    limits = read_limits(transaction, {account}).of(account)
    for kind, (number, limit, thing) in _caps(limits, _load_of(transaction, account)).items():
        if kind.startswith("queued") and number > factor * limit:
            return f"{account} has {several(number, thing)}, more than {factor:g} times the {limit} that are allowed"
    return None


def _caps(limits: Limits, load: dict[str, int]) -> dict[str, tuple[int, int, str]]:
    """What the account has, what it may have, and of which thing; by the kind of throttle."""
    return {
        "running_jobs": (load["running"], limits.max_running_jobs, "running job"),
        "queued_jobs": (load["queued"], QUEUED_PER_RUNNING_CAP * limits.max_running_jobs, "queued job"),
        "running_cores": (load["running_cores"], limits.max_running_cores, "running core"),
        "queued_cores": (load["queued_cores"], QUEUED_PER_RUNNING_CAP * limits.max_running_cores, "queued core"),
    }


def _capped(account: Account, limits: Limits, load: dict[str, int]) -> Throttle | None:
    for kind, (number, limit, thing) in _caps(limits, load).items():
        if number > limit:
            return Throttle(
                *(kind, str(account), number, limit),
                f"{account} has {several(number, thing)}, {limit} are allowed",
                f"goes on when no more than {limit} are left",
            )
    return None


def task_class(task: Row, running: int, mean: float) -> str:
    """S: nearly done. A, B, C: its user has less than half of what users of the share run in the mean, less, or more."""
    if is_almost_done(task):
        return "S"
    return "A" if running < mean / 2 else "B" if running <= mean else "C"


def _beyond_share(transaction: Transaction, task: Row, load: dict[str, int]) -> Throttle | None:
    """A share at its target, with plenty waiting, while others have work too, takes fewer new jobs of those who have most.

    Only then: a share that is alone, or has little waiting, would leave slots idle.
    """
    tree = read_tree(transaction)
    name: str = task["gshare"]
    standings: dict[str, Any] = dict(tree.standings(read_loads(transaction))) if name else {}
    mine = standings.get(name)
    if mine is None or mine.target <= 0 or mine.queued < mine.executing:
        return None
    if not any(one.is_leaf and one.queued > 0 for other, one in standings.items() if other != name):
        return None
    ratio = mine.executing / mine.target
    if ratio <= min(CLASS_LIMITS.values()):
        return None
    [row] = transaction.fetch(_PER_USER, {"gshare": name})
    kind = task_class(task, load["running"], row["mean"])
    if ratio <= CLASS_LIMITS.get(kind, float("inf")):
        return None
    return Throttle(
        *("share", f"share {name}", round(ratio, 3), CLASS_LIMITS[kind]),
        f"share {name} uses {100 * ratio:.0f} % of its target, and the task is of class {kind}: its user has "
        f"{load['running']} of its jobs running, {row['mean']:.0f} is the mean",
        f"goes on below {100 * CLASS_LIMITS[kind]:.0f} % of the target, or when less of the share waits",
    )
