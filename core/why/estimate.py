"""When will it start, and end? From what like jobs needed lately: their median and ninth decile, or an honest "unknown".

Reads a bounded number of rows: the jobs that are with pilots of the same queue and those that ended there last, and of
each the two steps of its history. Knows no statement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.database import Row, Transaction
from core.states import ON_WORKER_NODE, JobStatus
from core.wording import counted, duration_words

WINDOW_H = 24
SMALLEST_SAMPLE = 5
"""Fewer like jobs than this say nothing."""
_LOOKED_AT = 300
_LONGEST_WAIT_D = 15
_FEWEST_LONGER = 3
"""Of those that waited longer than the job has."""
_SPREAD = 1.3
"""Nine of ten Poisson counts lie below the mean and so many times its root."""
PRIORITY_BAND = 100
"""Priorities of one hundred are one band: 900 to 999, 1000 to 1099."""

# ix_jobs_live_status and ix_jobs_archive_site (backwards), each no further than said; then ix_job_history_job: given to a
# pilot within the window, and the step before
_STARTED = """
WITH there AS (
    SELECT * FROM (
        SELECT panda_id, gshare, resource_type, current_priority, NULL::timestamptz AS ended FROM jobs_live
        WHERE job_status = ANY(%(on_node)s) AND computing_site = %(queue)s LIMIT %(most)s) live
    UNION ALL
    SELECT * FROM (
        SELECT panda_id, gshare, resource_type, current_priority, state_change_time FROM jobs_archive
        WHERE computing_site = %(queue)s AND state_change_time >= %(since)s
        ORDER BY state_change_time DESC LIMIT %(most)s) ended
)
SELECT t.gshare, t.resource_type, t.current_priority, t.ended, s.modification_time AS given,
       extract(epoch FROM s.modification_time - a.modification_time)::float AS wait_s
FROM there t CROSS JOIN LATERAL (
    SELECT modification_time FROM job_history h
    WHERE h.panda_id = t.panda_id AND h.modification_time >= %(since)s AND h.previous_status = 'activated'
      AND h.job_status = ANY(%(on_node)s) ORDER BY modification_time DESC LIMIT 1
) s CROSS JOIN LATERAL (
    SELECT modification_time FROM job_history h
    WHERE h.panda_id = t.panda_id AND h.job_status = 'activated' AND h.modification_time <= s.modification_time
      AND h.modification_time >= %(oldest)s ORDER BY modification_time DESC LIMIT 1
) a
"""

# ix_jobs_archive_task, the last ones of the task
_DURATIONS_OF_TASK = """
SELECT extract(epoch FROM end_time - start_time)::float AS ran_s FROM (
    SELECT start_time, end_time, job_status FROM jobs_archive WHERE jedi_task_id = %(task)s
    ORDER BY panda_id DESC LIMIT %(most)s) last
WHERE job_status = 'finished' AND start_time IS NOT NULL AND end_time >= start_time
"""
# ix_jobs_archive_user, backwards from now
_DURATIONS_OF_USER = """
SELECT extract(epoch FROM end_time - start_time)::float AS ran_s FROM (
    SELECT start_time, end_time, job_status, transformation, computing_site FROM jobs_archive
    WHERE prod_user_name = %(user)s AND state_change_time >= %(since)s
    ORDER BY state_change_time DESC LIMIT %(most)s) last
WHERE job_status = 'finished' AND start_time IS NOT NULL AND end_time >= start_time
  AND transformation = %(transformation)s AND computing_site = %(queue)s
"""


@dataclass(frozen=True)
class Durations:
    """The median and the ninth decile of durations of like jobs; None when there are too few."""

    sample: int
    p50_s: float | None
    p90_s: float | None
    basis: str
    """Which jobs count as like ones."""

    def prediction(self, ran_s: float) -> str:
        """When a job that ran for `ran_s` ends, as a sentence."""
        if self.p50_s is None or self.p90_s is None:
            like = counted(self.sample, "like job") if self.sample else "no like job"
            return f"When it ends is unknown: {like} finished, too few to tell."
        like = f"{self.sample} like jobs ({self.basis})"
        if ran_s > self.p90_s:
            return f"Nine of ten of {like} ran for {duration_words(self.p90_s)} or less: it takes unusually long."
        return (
            f"Half of {like} ran for {duration_words(self.p50_s)} or less, nine of ten for "
            f"{duration_words(self.p90_s)} or less."
        )


@dataclass(frozen=True)
class StartEstimate:
    """How long like jobs waited for a pilot, and what that means for this one. Times are None when it is unknown."""

    sample: int
    p50_s: float | None
    p90_s: float | None
    waited_s: float
    start_p50: datetime | None
    start_p90: datetime | None
    basis: str
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """The estimate as it is answered."""
        return {
            **{"is_known": self.start_p90 is not None, "sample": self.sample, "p50_s": self.p50_s},
            **{"p90_s": self.p90_s, "waited_s": self.waited_s, "start_p50": self.start_p50},
            **{"start_p90": self.start_p90, "basis": self.basis, "sentence": self.sentence},
        }


def unknown(reason: str, waited_s: float = 0.0) -> StartEstimate:
    """No estimate, and why."""
    return StartEstimate(0, None, None, waited_s, None, None, "", f"Unknown: {reason}.")


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest of `values` that at least `part` of them do not exceed (nearest rank). `values` is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def estimate_start(transaction: Transaction, job: Row, as_of: datetime, ahead: int = 0) -> StartEstimate:
    """When an activated job may start, by the waits of like jobs that started at its queue in the last 24 hours.

    Like are those of the same share, resource type and band of priority; if those are too few, of the same share and
    resource type; then all of the queue. The wait is the time from ready until given to a pilot. Of these count the
    ones that waited as long as it has: those that had their turn sooner say nothing about it any more. `ahead`: jobs
    before it in the line, which take their time at the pace of late; waits that have ended know nothing of a line that
    grows.
    """
    waited_s = max(0.0, (as_of - job["state_change_time"]).total_seconds())
    since = as_of - timedelta(hours=WINDOW_H)
    values = {"queue": job["computing_site"], "on_node": [str(status) for status in ON_WORKER_NODE], "since": since}
    oldest = as_of - timedelta(days=_LONGEST_WAIT_D)
    rows = transaction.fetch(_STARTED, {**values, "oldest": oldest, "most": _LOOKED_AT})
    found, basis = _like(rows, job)
    if len(found) < SMALLEST_SAMPLE:
        started = f"{counted(len(found), 'job')} started at {job['computing_site']} in the last {WINDOW_H} h"
        return unknown(f"{started}, and fewer than {SMALLEST_SAMPLE} tell nothing", waited_s)
    p50_s, p90_s = quantile(found, 0.5), quantile(found, 0.9)
    like = f"{len(found)} jobs that started there in the last {WINDOW_H} h ({basis})"
    longer = [wait_s for wait_s in found if wait_s > waited_s]
    if len(longer) < max(_FEWEST_LONGER, 0.1 * len(found)):
        than = "nine of ten" if waited_s > p90_s else f"all but {len(longer)}"
        said = f"It has waited for {duration_words(waited_s)}, longer than {than} of {like}"
        sentence = f"{said}; when it starts is unknown."
        return StartEstimate(len(found), p50_s, p90_s, waited_s, None, None, basis, sentence)
    sentence = (
        f"Half of {like} waited for {duration_words(p50_s)} or less, nine of ten for {duration_words(p90_s)} or less; "
        f"this one has waited for {duration_words(waited_s)}."
    )
    left_p50_s, left_p90_s = (quantile(longer, part) - waited_s for part in (0.5, 0.9))
    line_p50_s, line_p90_s, line = _line(rows, job, as_of, ahead)
    start_p50 = as_of + timedelta(seconds=max(left_p50_s, line_p50_s))
    start_p90 = as_of + timedelta(seconds=max(left_p90_s, line_p90_s))
    return StartEstimate(len(found), p50_s, p90_s, waited_s, start_p50, start_p90, basis, sentence + line)


def _line(rows: Sequence[Row], job: Row, as_of: datetime, ahead: int) -> tuple[float, float, str]:
    """Seconds in which those before it start at the pace of late: the median, the ninth decile; and that in words."""
    per_s = _pace(rows, job, as_of)
    if not ahead or not per_s:
        return 0.0, 0.0, ""
    line_s, per_hour = ahead / per_s, per_s * 3600
    pace = f"{per_hour:,.0f}" if per_hour >= 10 else f"{per_hour:.2g}"
    come = "comes" if ahead == 1 else "come"
    words = f" {counted(ahead, 'job')} of its share {come} first; about {pace} an hour started lately."
    return line_s, line_s * (1 + _SPREAD / math.sqrt(ahead)), words


def _pace(rows: Sequence[Row], job: Row, as_of: datetime) -> float:
    """Jobs of its share that start at its queue in a second, of late; 0 = unknown.

    Where more ended than are looked at, by how many these are in their time: what ends makes room for what starts.
    """
    ended = [row for row in rows if row["ended"] is not None]
    is_cut = len(ended) >= _LOOKED_AT
    times = [row["ended" if is_cut else "given"] for row in (ended if is_cut else rows)]
    count = sum(row["gshare"] == job["gshare"] for row in (ended if is_cut else rows))
    span_s = (as_of - min(times)).total_seconds() if times else 0.0
    return count / span_s if span_s > 0 else 0.0


def _like(rows: Sequence[Row], job: Row) -> tuple[list[float], str]:
    """The waits of the narrowest group that is large enough, and its name."""
    band = job["current_priority"] // PRIORITY_BAND
    same = [row for row in rows if row["gshare"] == job["gshare"] and row["resource_type"] == job["resource_type"]]
    nearest = [row for row in same if row["current_priority"] // PRIORITY_BAND == band]
    share = f"share {job['gshare']}, " if job["gshare"] else ""
    groups = (
        (
            nearest,
            f"{share}{job['resource_type']}, priority {band * PRIORITY_BAND} to {(band + 1) * PRIORITY_BAND - 1}",
        ),
        (same, f"{share}{job['resource_type']}, any priority"),
        (list(rows), "all jobs of the queue"),
    )
    chosen, basis = next((group for group in groups if len(group[0]) >= SMALLEST_SAMPLE), groups[-1])
    return [max(0.0, row["wait_s"]) for row in chosen], basis


_NOT_READY = {
    JobStatus.PENDING: "it waits for its build job",
    JobStatus.DEFINED: "it has no queue yet",
    JobStatus.WAITING: "an input is registered nowhere yet",
    JobStatus.ASSIGNED: "its input has not arrived yet",
    JobStatus.THROTTLED: "it is held back",
}


def no_start_of(job: Row, as_of: datetime) -> StartEstimate:
    """The honest "unknown" for a job that is not ready for pilots."""
    reason = _NOT_READY.get(JobStatus(job["job_status"]), "it is not ready yet")
    return unknown(reason, max(0.0, (as_of - job["state_change_time"]).total_seconds()))


def duration_of_like_jobs(transaction: Transaction, job: Row) -> Durations:
    """How long finished jobs of the same task ran; without a task, of the same user, program and queue."""
    if job["jedi_task_id"]:
        rows = transaction.fetch(_DURATIONS_OF_TASK, {"task": job["jedi_task_id"], "most": _LOOKED_AT})
        basis = "of its task"
    else:
        since = job["creation_time"] - timedelta(days=_LONGEST_WAIT_D)
        values = {"user": job["prod_user_name"], "transformation": job["transformation"], "since": since}
        rows = transaction.fetch(_DURATIONS_OF_USER, {**values, "queue": job["computing_site"], "most": _LOOKED_AT})
        basis = "of the same user, program and queue"
    found = [row["ran_s"] for row in rows]
    if len(found) < SMALLEST_SAMPLE:
        return Durations(len(found), None, None, basis)
    return Durations(len(found), quantile(found, 0.5), quantile(found, 0.9), basis)
