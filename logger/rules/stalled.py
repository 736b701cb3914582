"""The rule for tasks that stand still: jobs run, and none ends for much longer than usual."""

from __future__ import annotations

from datetime import timedelta

from core.database import Row
from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import TaskStalledParameters
from logger.rules.words import counted, span

_GRACE_S = 3600.0

# ix_tasks_status; ix_jobs_archive_task, in the partitions of the last hours for all tasks, and in all of them only for
# those of which nothing is there; ix_jobs_live_task
_STALLED = """
SELECT t.jedi_task_id, t.task_name, t.user_name, t.n_finished, e.last_end, e.walltime_s, l.running, l.oldest_start,
       l.promised_s, l.computing_site, extract(epoch FROM e.last_end - t.start_time)::float / t.n_finished AS interval_s
FROM tasks t
CROSS JOIN LATERAL (
    SELECT max(state_change_time) AS last_end,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY greatest(extract(epoch FROM end_time - start_time), 0))::float
               AS walltime_s
    FROM (SELECT state_change_time, start_time, end_time FROM jobs_archive WHERE jedi_task_id = t.jedi_task_id
          ORDER BY panda_id DESC LIMIT 200) last
) e
CROSS JOIN LATERAL (
    SELECT count(*) AS running, min(start_time) AS oldest_start, max(max_walltime_s) AS promised_s,
           CASE WHEN min(computing_site) = max(computing_site) THEN min(computing_site) ELSE '' END AS computing_site
    FROM jobs_live WHERE jedi_task_id = t.jedi_task_id AND job_status = 'running'
) l
WHERE t.status = 'running' AND t.n_finished >= %(min_finished)s AND t.start_time IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM jobs_archive a
                  WHERE a.jedi_task_id = t.jedi_task_id AND a.state_change_time >= %(before)s)
  AND EXISTS (SELECT 1 FROM jobs_live r
              WHERE r.jedi_task_id = t.jedi_task_id AND r.job_status = 'running' AND r.start_time < %(before)s)
"""


class TaskStalled(MeasureRule[TaskStalledParameters]):
    """Counts from the later of the last end and the oldest running job's start: jobs that have just begun stall nothing.

    Beside the usual time between two ends, jobs may take twice what nineteen of twenty took, and half of what they
    asked for (half a day at most): after short first jobs long ones are no stall. A task whose jobs only wait is
    `long_wait`'s.
    """

    name = "task_stalled"
    kind: Kind = "absence"
    sentence = "Jobs of a task run and none has ended for much longer than usual."
    model = TaskStalledParameters

    def measure(self, look: Look, parameters: TaskStalledParameters) -> list[Measurement]:
        """Seconds without an end, of tasks that are at half of the limit or beyond."""
        before = look.now - timedelta(seconds=parameters.limit_s / 2)
        rows = look.transaction.fetch(_STALLED, {"min_finished": parameters.min_finished, "before": before})
        return [self._measurement(row, look, parameters) for row in rows if row["last_end"] and row["oldest_start"]]

    def limit(self, parameters: TaskStalledParameters, subject: str, usual: float) -> float:
        """`usual`: the time between two ends; or what the jobs may take, divided by `times_usual`."""
        return max(parameters.limit_s, parameters.times_usual * usual)

    def _measurement(self, row: Row, look: Look, parameters: TaskStalledParameters) -> Measurement:
        task, last_end = row["jedi_task_id"], row["last_end"]
        since = max(last_end, row["oldest_start"])
        may_take_s = max(2 * (row["walltime_s"] or 0.0), min(row["promised_s"] / 2, 43_200.0))
        usual = max(row["interval_s"], may_take_s / parameters.times_usual)
        running = counted(row["running"], "job runs", "jobs run")
        return Measurement(
            subject=str(task),
            value=(look.now - since).total_seconds(),
            limit=self.limit(parameters, str(task), usual),
            title=f"No job of task {task} has ended since {last_end:%Y-%m-%d %H:%M} UTC; {running}",
            grouping=f"It is one task, {task}, of which no job ends.",
            note=f"the last of {row['n_finished']} jobs ended {last_end:%Y-%m-%d %H:%M} UTC; "
            f"one had ended every {span(row['interval_s'])}",
            since=since,
            facts=Facts(
                computing_site=row["computing_site"],
                jedi_task_id=task,
                user_name=row["user_name"],
                component="task_engine",
                step="payload",
            ),
            usual=usual,
            may_open=look.up_s >= min(parameters.limit_s, _GRACE_S),
        )
