"""When the watchdog ends a job as it is now, and what that means: by the rules that the watchdog itself goes by.

Knows no statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.configuration import Timeouts
from core.database import Row, Transaction
from core.taskbuffer.killing import KILL_CODES
from core.taskbuffer.timeouts import RULES, TimeoutRule, rule_parameters
from core.taskengine.preprocessing.job import PREPROCESSING

# primary keys of the job, its queue and its contacts; one row for each rule that may find the job
_ENDS = """
SELECT {number} AS number, j.{age_of} + make_interval(secs => {limit_s}) AS time
FROM jobs_live j
LEFT JOIN queues q ON q.queue_name = j.computing_site LEFT JOIN queue_contacts c ON c.queue_name = j.computing_site
WHERE j.panda_id = %(panda_id)s AND coalesce(q.status, '') <> 'paused' AND ({condition})
"""
_OF_WORKFLOW = "coalesce((%(by_workflow)s::jsonb ->> (q.parameters->>'workflow'))::float, {limit_s})"


@dataclass(frozen=True)
class Ending:
    """What happens to a job that nothing else happens to."""

    time: datetime
    rule: TimeoutRule
    is_made_anew: bool
    """Whether another job is made of its input then."""

    @property
    def words(self) -> str:
        """`it is closed, and its input goes into another job`."""
        if self.rule.error is not None:
            return f"it fails: {self.rule.error[1]}"
        kill = KILL_CODES[self.rule.kill_code or 2]
        if kill.sub_status == "toreassign" and self.is_made_anew:
            return f"it is {kill.status.value}, and its input goes into another job"
        return f"it is {kill.status.value}, and nothing takes its place"


def ending_of(transaction: Transaction, job: Row, timeouts: Timeouts) -> Ending | None:
    """The first rule that would end the job if it stayed as it is; None where none does: its queue is paused, say."""
    rules = [
        rule
        for rule in RULES
        # how long a job may run altogether does not matter to one that is silent before
        if job["job_status"] in rule.statuses and "%(limit_s)s" not in rule.condition
    ]
    values: dict[str, object] = {"panda_id": job["panda_id"]}
    selects = []
    for number, rule in enumerate(rules):
        values |= rule_parameters(rule, timeouts)
        limit_s = f"{rule.limit_s(timeouts):f}"
        if rule.name == "heartbeat lost":
            limit_s = _OF_WORKFLOW.format(limit_s=limit_s)
        selects.append(_ENDS.format(number=number, age_of=rule.age_of, limit_s=limit_s, condition=rule.condition))
    if not selects:
        return None
    row = transaction.fetch_one(f"{' UNION ALL '.join(selects)} ORDER BY time, number LIMIT 1", values)
    if row is None:
        return None
    # nothing takes the place of a direct job, or of a build job, which has no number
    is_first = PREPROCESSING in str(job["special_handling"]).split(",")
    is_made_anew = bool(job["jedi_task_id"]) and (job["job_index"] != 0 or is_first)
    return Ending(row["time"], rules[row["number"]], is_made_anew)
