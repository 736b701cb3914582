"""How long jobs may stay in a state, and what happens then: every general row of domain.md 2.3 and server-api.md 5.5, as data.

Each rule names the states it looks at, the limit from the settings, the column whose age counts, and its effect. Rules run
in this order, and the first that finds a job ends it. Queues in status paused are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.configuration import Timeouts
from core.taskbuffer.killing import KILL_CODES


@dataclass(frozen=True)
class TimeoutRule:
    """A situation, its limit and its effect."""

    name: str
    statuses: tuple[str, ...]
    limit: str
    """The field of `Timeouts`."""
    condition: str = "true"
    """Further SQL condition over `j` (the job), `q` (its queue) and `c` (contacts of its queue)."""
    kill_code: int | None = None
    error: tuple[int, str] | None = None
    """jobDispatcherErrorCode and sentence, for rules that fail the job."""
    about: str = ""
    """Which jobs, for people; empty: all in these states."""
    age_of: str = "state_change_time"
    """Column whose age counts: creation_time, state_change_time or modification_time."""

    def limit_s(self, timeouts: Timeouts) -> float:
        """Seconds after which it acts."""
        return float(getattr(timeouts, self.limit))

    @property
    def effect(self) -> str:
        """What happens, for people."""
        if self.error is not None:
            return f"failed, jobDispatcherErrorCode {self.error[0]}"
        kill = KILL_CODES[self.kill_code or 2]
        again = ", its input is processed again" if kill.sub_status == "toreassign" else ""
        return f"{kill.status.value}{again} (kill code {self.kill_code or 2})"


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
_MAKES_NO_NEW_JOB = (
    "(j.jedi_task_id IS NULL OR (j.job_index = 0 AND NOT 'preprocess' = ANY(string_to_array(j.special_handling, ','))))"
)
"""Direct jobs and build jobs: nothing takes their place, unlike that of one that works out the definition of its task."""
_IS_RECOVERABLE = f"(j.job_status = 'holding' AND {_HAS_PILOT_ERROR} AND {_NO_REPORT})"
"""The pilot could not store the outputs, said so and left them on the node (domain.md 7.6)."""
# ix_job_files_job; replicas by primary key
_INPUT_IS_GONE = """j.processing_type = 'pmerge' AND EXISTS (
    SELECT 1 FROM job_files f WHERE f.panda_id = j.panda_id AND f.type = 'input' AND f.file_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.file_id = f.file_id))"""
_ON_NODE = ("starting", "stagein", "running", "stageout")
_WAITING = ("pending", "defined", "waiting", "assigned", "activated")

RULES: tuple[TimeoutRule, ...] = (
    TimeoutRule(
        "pending too long",
        ("pending",),
        "pending_s",
        _NO_BUILD_RUNS,
        kill_code=4,
        about="without a build job under way",
    ),
    TimeoutRule("waiting too long", ("waiting",), "waiting_s", kill_code=4),
    TimeoutRule(
        "defined too long, direct or build",
        ("defined",),
        "defined_s",
        f"NOT {_IS_USER} AND {_MAKES_NO_NEW_JOB}",
        kill_code=2,
        about="production without a task, and build jobs",
    ),
    TimeoutRule("defined too long", ("defined",), "defined_s", f"NOT {_IS_USER}", kill_code=51, about="production"),
    TimeoutRule(
        "assigned too long",
        ("assigned",),
        "assigned_s",
        _REASSIGNABLE,
        kill_code=51,
        about="unless the queue says disableReassign",
    ),
    TimeoutRule(
        "input of a merge job is gone",
        _WAITING,
        "merge_input_gone_s",
        _INPUT_IS_GONE,
        kill_code=52,
        about="merge jobs of which an input has no copy anywhere",
    ),
    TimeoutRule(
        "activated too long",
        ("activated",),
        "activated_s",
        _REASSIGNABLE,
        kill_code=51,
        about="unless the queue says disableReassign",
    ),
    TimeoutRule(
        "starting too long",
        ("starting",),
        "starting_s",
        _REASSIGNABLE,
        kill_code=51,
        about="unless the queue says disableReassign",
    ),
    TimeoutRule(
        "urgent job at a queue that starts nothing",
        ("activated", "starting"),
        "urgent_activated_s",
        f"{_IS_URGENT} AND {_QUEUE_STANDS} AND {_REASSIGNABLE}",
        kill_code=51,
        about="urgent, at a queue in test or offline or that has started no job lately",
    ),
    TimeoutRule(
        "not started since its creation", _WAITING, "unstarted_since_creation_s", kill_code=2, age_of="creation_time"
    ),
    TimeoutRule("throttled too long", ("throttled",), "throttled_s", kill_code=2),
    TimeoutRule("sent without a reply", ("sent",), "sent_s", error=(102, "sent to a pilot that never replied")),
    TimeoutRule(
        "heartbeat lost",
        _ON_NODE,
        "heartbeat_s",
        error=(100, "lost heartbeat"),
        about="another limit for some workflows: heartbeat_by_workflow_s",
        age_of="modification_time",
    ),
    TimeoutRule(
        "running altogether too long",
        _ON_NODE,
        "running_total_s",
        "coalesce(j.start_time, j.state_change_time) < clock_timestamp() - make_interval(secs => %(limit_s)s)",
        error=(100, "running longer than any job may"),
        age_of="creation_time",
    ),
    TimeoutRule(
        "holding too long, user or urgent, with an error of the pilot",
        ("holding",),
        "holding_user_s",
        f"({_IS_USER} OR {_IS_URGENT}) AND {_IS_RECOVERABLE}",
        error=(101, "recovery of the outputs failed"),
        about="of users or urgent, no report of outputs, an error of the pilot",
    ),
    TimeoutRule(
        "holding too long, user or urgent",
        ("holding",),
        "holding_user_s",
        f"({_IS_USER} OR {_IS_URGENT}) AND {_NO_REPORT}",
        error=(103, "outputs were never accounted for"),
        about="of users or urgent, no report of outputs",
    ),
    TimeoutRule(
        "holding too long, left for a later pilot to recover",
        ("holding",),
        "holding_recoverable_s",
        _IS_RECOVERABLE,
        error=(101, "recovery of the outputs failed"),
        about="no report of outputs, an error of the pilot",
    ),
    TimeoutRule(
        "holding too long",
        ("holding", "merging"),
        "holding_s",
        f"NOT {_IS_RECOVERABLE}",
        error=(103, "outputs were never accounted for"),
    ),
    TimeoutRule(
        "transferring too long, user",
        ("transferring",),
        "transferring_user_s",
        _IS_USER,
        error=(104, "outputs did not reach their destination"),
        about="of users",
    ),
    TimeoutRule(
        "transferring too long, urgent",
        ("transferring",),
        "transferring_high_s",
        _IS_URGENT,
        error=(104, "outputs did not reach their destination"),
        about="urgent",
    ),
    TimeoutRule(
        "transferring too long",
        ("transferring",),
        "transferring_low_s",
        error=(104, "outputs did not reach their destination"),
    ),
)


def older_than_limit(rule: TimeoutRule, part: str = "1") -> str:
    """The SQL of the jobs a rule finds, from FROM on; `part`: of its limit.

    ix_jobs_live_status gives the states, no index holds a time (heartbeats stay heap-only).
    """
    limit = "%(limit_s)s"
    if rule.name == "heartbeat lost":
        limit = "coalesce((%(by_workflow)s::jsonb ->> (q.parameters->>'workflow'))::float, %(limit_s)s)"
    condition = rule.condition.replace("%(limit_s)s", f"%(limit_s)s * {part}")
    return f"""
FROM jobs_live j
LEFT JOIN queues q ON q.queue_name = j.computing_site LEFT JOIN queue_contacts c ON c.queue_name = j.computing_site
WHERE j.job_status = ANY(%(statuses)s) AND j.{rule.age_of} < clock_timestamp() - make_interval(secs => {limit} * {part})
  AND coalesce(q.status, '') <> 'paused' AND ({condition})"""


def rule_parameters(rule: TimeoutRule, timeouts: Timeouts) -> dict[str, Any]:
    """What the statement of a rule is bound to."""
    return {
        "statuses": list(rule.statuses),
        "limit_s": rule.limit_s(timeouts),
        "by_workflow": dict(timeouts.heartbeat_by_workflow_s),
        "urgent_priority": timeouts.urgent_priority,
        "urgent_no_start_s": timeouts.urgent_no_start_s,
    }
