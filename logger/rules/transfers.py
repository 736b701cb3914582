"""The rule for transfers: jobs stage files in or out for much longer than usual at a storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from core.database import Row
from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import TransferStuckParameters
from logger.rules.words import counted, span

_GRACE_S = 1800.0
_IN, _OUT, _AWAY = "stage-in", "stage-out", "transfer"
_DOING = {
    _IN: ("staging in from", 2),
    _OUT: ("staging out to", 4),
    _AWAY: ("waiting for their outputs to move from", 0),
}
"""What people call it, and its place in pilot_timing (pilot-wire.md 2.2)."""

# ix_jobs_live_status; job_files by ix_job_files_job of the oldest five hundred; queues by primary key. A pilot that stages
# in says `starting` (pilot-wire.md 6): that counts when a pilot has spoken of the job and the job has inputs, because a
# job that waits in a batch system may be starting for days.
_STAGING = """
WITH staging AS (
    SELECT panda_id, computing_site, state_change_time,
           CASE job_status WHEN 'stageout' THEN 'stage-out' WHEN 'transferring' THEN 'transfer' ELSE 'stage-in' END AS way
    FROM jobs_live j
    WHERE job_status IN ('stagein', 'stageout', 'transferring', 'starting') AND state_change_time < %(before)s
      AND (job_status <> 'starting' OR pilot_id <> ''
           AND EXISTS (SELECT 1 FROM job_files f WHERE f.panda_id = j.panda_id AND f.type = 'input'))
    ORDER BY state_change_time LIMIT 500
)
SELECT s.panda_id, s.computing_site, s.way, s.state_change_time,
       coalesce(nullif(i.endpoint, ''), nullif(q.storage_endpoint, ''), s.computing_site) AS storage
FROM staging s
LEFT JOIN queues q ON q.queue_name = s.computing_site
LEFT JOIN LATERAL (
    SELECT endpoint FROM job_files f
    WHERE s.way = 'stage-in' AND f.panda_id = s.panda_id AND f.type = 'input' AND f.status <> 'ready'
    ORDER BY row_id LIMIT 1
) i ON true
ORDER BY s.state_change_time
"""
# ix_jobs_archive_site, backwards from now
_USUAL = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY split_part(pilot_timing, '|', %(place)s)::float) AS median_s,
       count(*) AS jobs
FROM (
    SELECT pilot_timing FROM jobs_archive
    WHERE computing_site = ANY(%(sites)s::text[]) AND state_change_time >= %(since)s AND job_status = 'finished'
      AND pilot_timing ~ '^[0-9]{1,9}(\\|[0-9]{1,9}){5}$'
    ORDER BY state_change_time DESC LIMIT 200
) last
"""


class TransferStuck(MeasureRule[TransferStuckParameters]):
    """One trouble per storage and way. The `min_jobs`-th oldest job counts, so that one sick job is nobody's trouble.

    Of outputs that move on their own nothing says what is usual: they have `times_usual` times the limit.
    """

    name = "transfer_stuck"
    kind: Kind = "data"
    sentence = "Jobs stage files in or out for much longer than usual at that storage."
    model = TransferStuckParameters
    is_quick = True

    def measure(self, look: Look, parameters: TransferStuckParameters) -> list[Measurement]:
        """Seconds since the `min_jobs`-th oldest job of each storage and way began, from half of the limit on."""
        before = look.now - timedelta(seconds=parameters.limit_s / 2)
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in look.transaction.fetch(_STAGING, {"before": before}):
            groups.setdefault((row["way"], row["storage"]), []).append(row)
        return [
            self._measurement(way, storage, rows, look, parameters)
            for (way, storage), rows in sorted(groups.items())
            if len(rows) >= parameters.min_jobs
        ]

    def limit(self, parameters: TransferStuckParameters, subject: str, usual: float) -> float:
        """`usual`: the median of the last stagings there."""
        if subject.startswith(f"{_AWAY}:"):
            return parameters.limit_s * parameters.times_usual
        return max(parameters.limit_s, parameters.times_usual * usual)

    def _measurement(
        self, way: str, storage: str, rows: Sequence[Row], look: Look, parameters: TransferStuckParameters
    ) -> Measurement:
        sites = sorted({row["computing_site"] for row in rows})
        doing, place = _DOING[way]
        usual_s, usual_jobs = self._usual(look, sites, place) if place else (0.0, 0)
        subject = f"{way}:{storage}"
        since = rows[parameters.min_jobs - 1]["state_change_time"]
        value = (look.now - since).total_seconds()
        jobs = counted(len(rows), "job has", "jobs have")
        usually = f"; the last {usual_jobs} took {span(usual_s)}" if usual_jobs else ""
        return Measurement(
            subject=subject,
            value=value,
            limit=self.limit(parameters, subject, usual_s),
            title=f"{jobs} been {doing} {storage} for {span(value)}",
            grouping=f"They are jobs that have been {doing} one storage, {storage}, for too long.",
            note=f"{jobs} been {doing} {storage} for {span(value)}{usually}",
            since=since,
            facts=Facts(
                computing_site=sites[0] if len(sites) == 1 else "",
                component="pilot",
                storage=storage,
                step=_IN if way == _IN else _OUT,
                error_class="storage",
            ),
            usual=usual_s,
            may_open=look.up_s >= min(parameters.limit_s, _GRACE_S),
        )

    def _usual(self, look: Look, sites: list[str], place: int) -> tuple[float, int]:
        values = {"sites": sites, "place": place, "since": look.now - timedelta(days=7)}
        row = look.transaction.fetch_one(_USUAL, values) or {"median_s": None, "jobs": 0}
        return row["median_s"] or 0.0, row["jobs"]
