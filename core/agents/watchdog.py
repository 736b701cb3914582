"""Ends jobs that stayed too long in a state: every row of domain.md 2.3, as data. Knows no HTTP.

Each rule names the states it looks at, the column whose age counts, the limit from the settings, and what happens.
Queues in status paused are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from core.agents.base import Agent
from core.configuration import Timeouts
from core.database import Database, Row
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskbuffer.killing import KILL_CODES, ending_of_killed

log = logging.getLogger("panda.watchdog")

_BATCH = 500


@dataclass(frozen=True)
class TimeoutRule:
    """A situation, its limit and its effect."""

    name: str
    statuses: tuple[str, ...]
    age_of: str
    """Column whose age counts: creation_time, state_change_time or modification_time."""
    limit_s: Callable[[Timeouts], float]
    condition: str = "true"
    """Further SQL condition over `j` (the job), `q` (its queue) and `c` (contacts of its queue)."""
    kill_code: int | None = None
    error: tuple[int, str] | None = None
    """jobDispatcherErrorCode and sentence, for rules that fail the job."""


_IS_USER = "j.prod_source_label IN ('user', 'panda')"
_IS_URGENT = "j.current_priority >= %(urgent_priority)s"
_QUEUE_STANDS = (
    "(q.status IN ('test', 'offline') OR coalesce(c.last_job_time, q.creation_time) "
    "< clock_timestamp() - make_interval(secs => %(urgent_no_start_s)s))"
)
# compared as text: whatever an operator wrote there must not stop the watchdog
_REASSIGNABLE = "lower(coalesce(q.parameters->>'disableReassign', '')) NOT IN ('true', '1', 'yes', 'on')"
_HAS_PILOT_ERROR = "(j.pilot_error_code <> 0 OR j.exe_error_code <> 0)"
_NO_REPORT = "NOT EXISTS (SELECT 1 FROM job_output_reports r WHERE r.panda_id = j.panda_id)"
# ix_jobs_live_task; a build job has no number, and limits of its own
_NO_BUILD_RUNS = "NOT EXISTS (SELECT 1 FROM jobs_live b WHERE b.jedi_task_id = j.jedi_task_id AND b.job_index = 0)"
_IS_RECOVERABLE = f"(j.job_status = 'holding' AND {_HAS_PILOT_ERROR} AND {_NO_REPORT})"
"""The pilot could not store the outputs, said so and left them on the node (domain.md 7.6)."""

RULES: tuple[TimeoutRule, ...] = (
    TimeoutRule(
        "pending too long", ("pending",), "state_change_time", lambda t: t.pending_s, _NO_BUILD_RUNS, kill_code=4
    ),
    TimeoutRule(
        "defined too long",
        ("defined", "waiting"),
        "state_change_time",
        lambda t: t.defined_s,
        f"NOT {_IS_USER}",
        kill_code=51,
    ),
    TimeoutRule(
        "assigned too long", ("assigned",), "state_change_time", lambda t: t.assigned_s, _REASSIGNABLE, kill_code=51
    ),
    TimeoutRule(
        "activated too long", ("activated",), "state_change_time", lambda t: t.activated_s, _REASSIGNABLE, kill_code=51
    ),
    TimeoutRule(
        "starting too long", ("starting",), "state_change_time", lambda t: t.starting_s, _REASSIGNABLE, kill_code=51
    ),
    TimeoutRule(
        "urgent job at a queue that starts nothing",
        ("activated", "starting"),
        "state_change_time",
        lambda t: t.urgent_activated_s,
        f"{_IS_URGENT} AND {_QUEUE_STANDS} AND {_REASSIGNABLE}",
        kill_code=51,
    ),
    TimeoutRule(
        "not started since its creation",
        ("pending", "defined", "waiting", "assigned", "activated"),
        "creation_time",
        lambda t: t.unstarted_since_creation_s,
        kill_code=2,
    ),
    TimeoutRule("throttled too long", ("throttled",), "state_change_time", lambda t: t.throttled_s, kill_code=2),
    TimeoutRule(
        "sent without a reply",
        ("sent",),
        "state_change_time",
        lambda t: t.sent_s,
        error=(102, "sent to a pilot that never replied"),
    ),
    TimeoutRule(
        "heartbeat lost",
        ("starting", "stagein", "running", "stageout"),
        "modification_time",
        lambda t: t.heartbeat_s,
        error=(100, "lost heartbeat"),
    ),
    TimeoutRule(
        "running altogether too long",
        ("starting", "stagein", "running", "stageout"),
        "creation_time",
        lambda t: t.running_total_s,
        "coalesce(j.start_time, j.state_change_time) < clock_timestamp() - make_interval(secs => %(limit_s)s)",
        error=(100, "running longer than any job may"),
    ),
    TimeoutRule(
        "holding too long, with an error of the pilot",
        ("holding",),
        "state_change_time",
        lambda t: t.holding_user_s,
        f"({_IS_USER} OR {_IS_URGENT}) AND {_IS_RECOVERABLE}",
        error=(101, "recovery of the outputs failed"),
    ),
    TimeoutRule(
        "holding too long",
        ("holding",),
        "state_change_time",
        lambda t: t.holding_user_s,
        f"({_IS_USER} OR {_IS_URGENT}) AND {_NO_REPORT}",
        error=(103, "outputs were never accounted for"),
    ),
    TimeoutRule(
        "holding too long, left for a later pilot to recover",
        ("holding",),
        "state_change_time",
        lambda t: t.holding_recoverable_s,
        _IS_RECOVERABLE,
        error=(101, "recovery of the outputs failed"),
    ),
    TimeoutRule(
        "holding too long",
        ("holding", "merging"),
        "state_change_time",
        lambda t: t.holding_s,
        f"NOT {_IS_RECOVERABLE}",
        error=(103, "outputs were never accounted for"),
    ),
    TimeoutRule(
        "transferring too long, urgent",
        ("transferring",),
        "state_change_time",
        lambda t: t.transferring_high_s,
        _IS_URGENT,
        error=(104, "outputs did not reach their destination"),
    ),
    TimeoutRule(
        "transferring too long",
        ("transferring",),
        "state_change_time",
        lambda t: t.transferring_low_s,
        error=(104, "outputs did not reach their destination"),
    ),
)


def _statement(rule: TimeoutRule) -> str:
    """The rule as SQL; ix_jobs_live_status gives the states, no index holds a time (heartbeats stay heap-only)."""
    limit = "%(limit_s)s"
    if rule.name == "heartbeat lost":
        limit = "coalesce((%(by_workflow)s::jsonb ->> (q.parameters->>'workflow'))::float, %(limit_s)s)"
    return f"""
SELECT j.panda_id, j.job_status, j.command_to_pilot, j.kill_code FROM jobs_live j
LEFT JOIN queues q ON q.queue_name = j.computing_site LEFT JOIN queue_contacts c ON c.queue_name = j.computing_site
WHERE j.job_status = ANY(%(statuses)s) AND j.{rule.age_of} < clock_timestamp() - make_interval(secs => {limit})
  AND coalesce(q.status, '') <> 'paused' AND ({rule.condition})
ORDER BY j.panda_id LIMIT %(batch)s FOR UPDATE OF j SKIP LOCKED"""


_STATEMENTS = {id(rule): _statement(rule) for rule in RULES}


class Watchdog(Agent):
    """Applies every timeout."""

    name = "watchdog"

    def __init__(self, database: Database, timeouts: Timeouts, period_s: float) -> None:
        self._database = database
        self._timeouts = timeouts
        self.period_s = period_s

    def cycle(self) -> int:
        """One pass over all rules; returns how many jobs were ended."""
        return sum(self._apply(rule) for rule in RULES)

    def _apply(self, rule: TimeoutRule) -> int:
        limit_s = rule.limit_s(self._timeouts)
        with self._database.transaction() as transaction:
            late = transaction.fetch(
                _STATEMENTS[id(rule)],
                {
                    "statuses": list(rule.statuses),
                    "limit_s": limit_s,
                    "by_workflow": dict(self._timeouts.heartbeat_by_workflow_s),
                    "urgent_priority": self._timeouts.urgent_priority,
                    "urgent_no_start_s": self._timeouts.urgent_no_start_s,
                    "batch": _BATCH,
                },
            )
            ended = end_jobs(transaction, [_ending(rule, row, limit_s) for row in late])
        if ended:
            log.warning(
                "%d jobs ended: %s (limit %g s), for example PandaID %d",
                len(ended),
                rule.name,
                limit_s,
                ended[0],
                extra={"component": "watchdog"},
            )
        return len(ended)


def _ending(rule: TimeoutRule, row: Row, limit_s: float) -> Ending:
    reason = f"{rule.name}: more than {limit_s:g} s in {row['job_status']}"
    if rule.error is not None:
        killed = ending_of_killed(row, reason)
        if killed is not None:
            return killed
        code, sentence = rule.error
        diag = f"{sentence} ({reason})"
        return Ending(row["panda_id"], JobStatus.FAILED, reason, error=JobError("job_dispatcher", code, diag))
    kill = KILL_CODES[rule.kill_code or 2]
    error = JobError("task_buffer", kill.task_buffer_code, f"{kill.meaning}: {reason}")
    return Ending(row["panda_id"], kill.status, reason, kill.sub_status, error)
