"""Takes waiting jobs back from queues that do not start them, if another queue would (domain.md 2.3, server-api.md 5.5).

Two reasons: a share is stuck at a queue while it waits elsewhere less (fast rebrokerage), and jobs of a user's task wait
where nothing of the task moves. Jobs of tasks are closed and their input is ready for new ones; jobs without a task go
back to brokerage as they are. Nothing is taken back that no other queue would take, or whose attempts are used up.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import psycopg2

from core.agents.apart import done_apart
from core.agents.base import Agent
from core.brokerage.batches import by_task, counts_undone, whose
from core.brokerage.candidates import Candidate
from core.brokerage.criteria import criteria_for
from core.brokerage.elsewhere import Elsewhere, better_elsewhere
from core.brokerage.facts import read_candidates
from core.brokerage.requests import JOB_COLUMNS, requests_of_jobs
from core.brokerage.task_classes import TaskClasses
from core.database import Database, Row, Transaction
from core.errors import Unavailable
from core.states import JobStatus
from core.taskbuffer.killing import Killer, kill_in
from core.taskbuffer.transitions import advance_jobs
from core.wording import counted
from core.workload_settings import BrokerageSettings, RebrokerageSettings

log = logging.getLogger("panda.rebroker")

FAST_CODE, IDLE_CODE = 10, 51
_BATCH = 1000
_BATCHES = 10
"""Of idle jobs, in one cycle."""
_CLOSED_QUEUES = ("offline", "test")
_NO_ACTIVITY_S = 3 * 3600
_SELF = Killer("rebrokerage", is_manager=True)

# share_usage whole, as the shares were last counted: only to know where to look
_SUSPECTS = """
WITH at AS (
    SELECT gshare, computing_site, sum(queued_jobs) AS queued, sum(executing_jobs) AS running
    FROM share_usage WHERE computing_site <> '' GROUP BY 1, 2
), whole AS (
    SELECT gshare, sum(queued) AS queued FROM at GROUP BY 1
)
SELECT at.gshare, at.computing_site, whole.queued::bigint AS of_share
FROM at JOIN whole USING (gshare)
WHERE at.queued > %(ratio)s * at.running AND at.queued > %(part)s * whole.queued AND at.queued > %(least)s
ORDER BY at.computing_site, at.gshare
"""

# ix_jobs_live_activated for what waits, ix_jobs_live_status for what runs
_COUNT = """
SELECT (SELECT count(*) FROM jobs_live
        WHERE job_status = 'activated' AND computing_site = %(site)s AND gshare = %(gshare)s) AS queued,
       (SELECT count(*) FROM jobs_live
        WHERE job_status IN ('sent', 'starting', 'stagein', 'running', 'stageout') AND computing_site = %(site)s
          AND gshare = %(gshare)s) AS running
"""

_MAY_GO = """NOT site_is_pinned AND (jedi_task_id IS NULL OR attempt_nr < max_attempt AND job_index > 0)
      AND NOT 'merge' = ANY(string_to_array(special_handling, ','))"""
"""Build and merge jobs are tied to their place; a last attempt waits where it is."""

# ix_jobs_live_activated gives those of the share, which are sorted
_EXCESS = f"""
SELECT {JOB_COLUMNS} FROM jobs_live
WHERE job_status = 'activated' AND computing_site = %(site)s AND gshare = %(gshare)s AND {_MAY_GO}
ORDER BY panda_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

# the primary key in order until there are enough, the whole table if there are not (0.9 s at a million, every period)
_WAITING = f"""
SELECT j.panda_id FROM jobs_live j
WHERE j.job_status IN ('activated', 'assigned') AND j.prod_source_label IN ('user', 'panda') AND j.panda_id > %(after)s
  AND j.computing_site IN (SELECT queue_name FROM queues WHERE status <> 'paused')
  AND (j.computing_site IN (SELECT queue_name FROM queues WHERE status = ANY(%(closed)s))
       OR j.state_change_time < clock_timestamp() - make_interval(secs => %(idle_s)s))
  AND {_MAY_GO.replace("site_is_pinned", "j.site_is_pinned")}
ORDER BY j.panda_id LIMIT %(limit)s
"""
# of those, by primary key; per task and queue ix_jobs_live_task and ix_jobs_archive_site
_IDLE = f"""
WITH waiting AS (
    SELECT panda_id, jedi_task_id, computing_site FROM jobs_live WHERE panda_id = ANY(%(panda_ids)s)
), places AS (
    SELECT DISTINCT jedi_task_id, computing_site FROM waiting
), still AS (
    SELECT p.* FROM places p JOIN queues q ON q.queue_name = p.computing_site
    WHERE q.status = ANY(%(closed)s) OR p.jedi_task_id IS NULL OR NOT (
        EXISTS (SELECT 1 FROM jobs_live j
                WHERE j.jedi_task_id = p.jedi_task_id AND j.computing_site = p.computing_site
                  AND j.job_status NOT IN ('pending', 'defined', 'waiting', 'assigned', 'throttled', 'activated')
                  AND j.state_change_time > clock_timestamp() - make_interval(secs => %(activity_s)s))
        OR EXISTS (SELECT 1 FROM jobs_archive a
                   WHERE a.computing_site = p.computing_site AND a.jedi_task_id = p.jedi_task_id
                     AND a.job_status IN ('finished', 'failed')
                     AND a.state_change_time > clock_timestamp() - make_interval(secs => %(activity_s)s)))
)
SELECT {", ".join(f"j.{name.strip()}" for name in JOB_COLUMNS.split(","))} FROM jobs_live j
JOIN waiting w USING (panda_id)
JOIN still s ON s.computing_site = w.computing_site AND s.jedi_task_id IS NOT DISTINCT FROM w.jedi_task_id
WHERE j.job_status IN ('activated', 'assigned')
ORDER BY j.panda_id FOR UPDATE OF j SKIP LOCKED
"""

# ix_job_files_job; places that activation gave them mean another queue
_FORGET_PLACES = """
UPDATE job_files SET endpoint = '', pfn = '', status = CASE WHEN type IN ('input', 'sandbox') THEN 'pending' ELSE status END
WHERE panda_id = ANY(%(panda_ids)s)
"""
# primary key
_FORGET_QUEUE = "UPDATE jobs_live SET computing_site = '', brokerage_time = NULL WHERE panda_id = ANY(%(panda_ids)s)"


@dataclass(frozen=True)
class _Reason:
    """Why jobs are taken back: for the diagnosis, and its kill code."""

    words: str
    code: int


class Rebroker(Agent):
    """Both kinds of rebrokerage."""

    name = "rebroker"

    def __init__(
        self,
        database: Database,
        settings: RebrokerageSettings,
        period_s: float,
        brokerage: BrokerageSettings | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._brokerage = brokerage or BrokerageSettings()
        self._criteria = {kind: criteria_for(kind, self._brokerage) for kind in ("production", "analysis")}
        self._classes = TaskClasses()
        self._looked_at = 0
        """The last of the idle jobs that were looked at; 0 = all were."""
        self.period_s = period_s

    def cycle(self) -> int:
        """Look at every stuck share, then at idle jobs. Always 0: what was taken back has the whole period to settle."""
        settings = self._settings
        asked = {
            "ratio": settings.queued_to_running,
            "part": settings.part_of_share,
            "least": settings.min_queued,
        }
        for suspect in self._database.fetch(_SUSPECTS, asked):
            self._safely(partial(self._relieve, suspect=suspect))
        self._look_at_idle()
        return 0

    def _look_at_idle(self) -> None:
        """Some thousand, in turns: those that no other queue takes must not hide the ones behind them for ever."""
        for _ in range(_BATCHES):
            asked = {
                **{"closed": list(_CLOSED_QUEUES), "idle_s": self._settings.idle_s},
                **{"after": self._looked_at, "limit": _BATCH},
            }
            panda_ids = [row["panda_id"] for row in self._database.fetch(_WAITING, asked)]
            self._looked_at = panda_ids[-1] if len(panda_ids) == _BATCH else 0
            if panda_ids:
                self._safely(partial(self._move_idle, panda_ids=panda_ids))
            if not self._looked_at:
                return

    def _safely(self, work: Callable[[Transaction], None]) -> None:
        """In a transaction of its own; what cannot be taken back at one queue keeps no other from being relieved."""
        try:
            with self._database.transaction() as transaction:
                work(transaction)
        except (Unavailable, psycopg2.OperationalError, psycopg2.InterfaceError):
            raise
        except Exception:
            log.exception("jobs could not be taken back", extra=_EXTRA)

    def _relieve(self, transaction: Transaction, suspect: Row) -> None:
        """Take back what a queue has too much of one share, oldest first, counted anew under the eyes of this transaction."""
        candidates = read_candidates(transaction)
        site, gshare = suspect["computing_site"], suspect["gshare"]
        here = next((queue for queue in candidates if queue.queue_name == site), None)
        if here is None or here.status == "paused" or here.stated.keeps_its_jobs or here.slots is not None:
            return  # where a factory declares slots, jobs are queued for slots that are still to come
        count = transaction.fetch_one(_COUNT, {"site": site, "gshare": gshare})
        excess = self._excess(count, suspect["of_share"]) if count is not None else 0
        if count is None or excess <= 0:
            return
        # more than are too many: those of them that no other queue takes stay, and others go instead
        jobs = transaction.fetch(_EXCESS, {"site": site, "gshare": gshare, "limit": _BATCH})
        name = f"share {gshare}" if gshare else "work without a share"
        words = f"{name} has {counted(count['queued'], 'job')} queued and {count['running']} running at {site}"
        self._take_back_what_can(transaction, jobs, candidates, _Reason(words, FAST_CODE), excess)

    def _excess(self, count: Row, of_share: int) -> int:
        """How many jobs are more than a queue should have of a share; the least that counts may stay while it runs any."""
        settings, queued, running = self._settings, int(count["queued"]), int(count["running"])
        is_stuck = (
            queued > settings.queued_to_running * running
            and queued > settings.part_of_share * of_share
            and queued > settings.min_queued
        )
        return queued - int(settings.queued_to_running * running) if is_stuck else 0

    def _move_idle(self, transaction: Transaction, panda_ids: list[int]) -> None:
        asked = {"closed": list(_CLOSED_QUEUES), "activity_s": _NO_ACTIVITY_S, "panda_ids": panda_ids}
        jobs = transaction.fetch(_IDLE, asked)
        if not jobs:
            return
        candidates = read_candidates(transaction)
        kept = {queue.queue_name for queue in candidates if queue.stated.keeps_its_jobs}
        statuses = {queue.queue_name: queue.status for queue in candidates}
        by_site: dict[str, list[Row]] = defaultdict(list)
        for job in jobs:
            if job["computing_site"] not in kept:
                by_site[job["computing_site"]].append(job)
        for site, members in sorted(by_site.items()):
            is_closed = statuses.get(site) in _CLOSED_QUEUES
            hours = self._settings.idle_s / 3600
            words = f"{site} is {statuses.get(site)}" if is_closed else f"waited {hours:.0f} h at {site}, nothing moved"
            self._take_back_what_can(transaction, members, candidates, _Reason(words, IDLE_CODE))

    def _take_back_what_can(
        self,
        transaction: Transaction,
        jobs: Sequence[Row],
        candidates: list[Candidate],
        reason: _Reason,
        most: int = _BATCH,
    ) -> None:
        """Of jobs at one queue those that are better off elsewhere; a damaged task keeps no other's jobs there."""
        gone = 0

        def take_back(owners: Sequence[list[Row]]) -> int:
            nonlocal gone
            members = [job for owned in owners for job in owned]
            groups = requests_of_jobs(transaction, members, candidates, self._brokerage, self._classes)
            by_weight = reason.code == FAST_CODE
            found = better_elsewhere(groups, candidates, self._criteria, by_weight=by_weight, most=most - gone)
            self._take_back(transaction, found, reason, members[0]["computing_site"])
            gone += len(found.better_off)
            return len(found.better_off)

        if not jobs:
            return
        _, failures = done_apart(transaction, by_task(jobs), take_back, partial(counts_undone, candidates))
        for members, error in failures:
            log.error("%s cannot be taken back: %s", whose(members), error, exc_info=error, extra=_EXTRA)

    def _take_back(self, transaction: Transaction, found: Elsewhere, reason: _Reason, site: str) -> None:
        if not found.better_off:
            if found.staying:
                log.info("%s: %s stay, no other queue is better", reason.words, counted(len(found.staying), "job"))
            return
        said = (counted(len(found.better_off), "job"), reason.words, found.example)
        if self._settings.is_dry_run:
            log.warning("dry run: %s would be taken back: %s; %s would take some", *said, extra=_EXTRA)
            return
        of_tasks = sorted(job["panda_id"] for job in found.better_off if job["jedi_task_id"] is not None)
        alone = sorted(job["panda_id"] for job in found.better_off if job["jedi_task_id"] is None)
        moved = advance_jobs(transaction, alone, JobStatus.DEFINED, reason=f"rebrokered: {reason.words}")
        transaction.execute(_FORGET_QUEUE, {"panda_ids": moved})
        transaction.execute(_FORGET_PLACES, {"panda_ids": moved})
        kill_in(transaction, of_tasks, _SELF, reason.code, because=reason.words)
        log.warning("%s taken back from %s: %s; %s would take some", said[0], site, said[1], said[2], extra=_EXTRA)


_EXTRA = {"component": "rebroker"}
