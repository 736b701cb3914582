"""All rules that make incidents, listed once. To add one: a small class in a file here, and its place below."""

from __future__ import annotations

from typing import Any

from logger.rules.absence import SilentQueue
from logger.rules.agents import AgentsLate
from logger.rules.backlog import LongWait
from logger.rules.base import Evaluator, FailedJob, JobRule, MeasureRule, RecordRule, Rule, RuleRow
from logger.rules.clocks import ClockSkew
from logger.rules.database import DatabaseSlow
from logger.rules.disks import DiskFull
from logger.rules.expiry import Expiry
from logger.rules.failure_burst import FailureBurst
from logger.rules.job_parameters import JobRuleParameters
from logger.rules.parameters import RecordParameters
from logger.rules.service_errors import ServiceErrors, record_event
from logger.rules.stalled import TaskStalled
from logger.rules.throughput import ThroughputLow
from logger.rules.transfers import TransferStuck
from logger.rules.waits import WaitPercentile

MEASURES: tuple[type[MeasureRule[Any]], ...] = (
    DatabaseSlow,  # first: while it is slow, the others' trouble is its
    SilentQueue,
    AgentsLate,
    TransferStuck,
    LongWait,
    WaitPercentile,
    TaskStalled,
    ThroughputLow,
    ClockSkew,
    Expiry,
    DiskFull,
)

JOB_RULES: tuple[JobRule, ...] = (FailureBurst(),)
RECORD_RULES: tuple[RecordRule, ...] = (ServiceErrors(),)
RULES: tuple[Rule, ...] = (*JOB_RULES, *RECORD_RULES, *(measure() for measure in MEASURES))

EVALUATORS: dict[str, Evaluator] = {
    one.name: one
    for one in (
        Evaluator(
            *("job", "job", ("failure_burst", "data"), JobRuleParameters),
            "Jobs fail in one way, and their work is lost after all retries, costs much, or they are many at one place.",
        ),
        Evaluator(*("record", "record", ("service", "data"), RecordParameters), ServiceErrors.sentence),
        *(Evaluator(rule.name, "measure", (rule.kind,), rule.model, rule.sentence) for rule in MEASURES),
    )
}
"""What rows of rules can name."""

__all__ = [
    "EVALUATORS",
    "JOB_RULES",
    "MEASURES",
    "RECORD_RULES",
    "RULES",
    "Evaluator",
    "FailedJob",
    "JobRule",
    "MeasureRule",
    "RecordRule",
    "Rule",
    "RuleRow",
    "record_event",
]
