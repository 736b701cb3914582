"""All rules that make incidents, listed once. To add one: a small class in a file here, and its place below."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from logger.rules import parameters as limits
from logger.rules.absence import SilentQueue
from logger.rules.backlog import LongWait
from logger.rules.base import Evaluator, FailedJob, JobRule, RecordRule, Rule, RuleRow, WatchRule
from logger.rules.failure_burst import FailureBurst
from logger.rules.service_errors import ServiceErrors

RULES: tuple[Rule, ...] = (FailureBurst(), ServiceErrors(), SilentQueue(), LongWait())

JOB_RULES = tuple(rule for rule in RULES if isinstance(rule, JobRule))
RECORD_RULES = tuple(rule for rule in RULES if isinstance(rule, RecordRule))
WATCH_RULES = tuple(rule for rule in RULES if isinstance(rule, WatchRule))

_MEASURES: tuple[Evaluator, ...] = (
    Evaluator(
        *("silent_queue", "measure", ("absence",), limits.SilentQueueParameters),
        "A queue has activated jobs and no pilot has asked for one.",
    ),
    Evaluator(
        *("task_stalled", "measure", ("absence",), limits.TaskStalledParameters),
        "Jobs of a task run and none has ended for much longer than usual.",
    ),
    Evaluator(
        *("throughput_low", "measure", ("absence",), limits.ThroughputParameters),
        "Far fewer jobs finished in the last hour than in the same hour of last week, although work waits.",
    ),
    Evaluator(
        *("long_wait", "measure", ("backlog",), limits.LongWaitParameters),
        "Jobs have waited in one state for longer than its limit.",
    ),
    Evaluator(
        *("wait_percentile", "measure", ("backlog",), limits.WaitPercentileParameters),
        "Nine of ten waiting jobs of a queue wait longer than several times what jobs there usually waited.",
    ),
    Evaluator(
        *("agents_late", "measure", ("service",), limits.AgentsLateParameters),
        "A loop of the server has not begun its round when it was due.",
    ),
    Evaluator(
        *("database_slow", "measure", ("service",), limits.DatabaseSlowParameters),
        "The database answers slowly, or a lock keeps others waiting.",
    ),
    Evaluator(
        *("clock_skew", "measure", ("service",), limits.ClockSkewParameters),
        "The clock of a host that sends records is wrong.",
    ),
    Evaluator(
        *("expiry", "measure", ("service",), limits.ExpiryParameters),
        "A certificate or a token that is in use expires soon.",
    ),
    Evaluator(
        *("transfer_stuck", "measure", ("data",), limits.TransferStuckParameters),
        "Jobs stage files in or out for much longer than usual at that storage.",
    ),
)

_RECORDS = Evaluator(
    *("record", "record", ("service", "data", "absence", "backlog"), limits.RecordParameters), ServiceErrors.sentence
)


def _jobs() -> tuple[Evaluator, ...]:
    if find_spec("logger.rules.job_parameters") is None:
        return ()
    model = import_module("logger.rules.job_parameters").JobRuleParameters
    return (
        Evaluator(
            *("job", "job", ("failure_burst", "data"), model),
            "Jobs fail in one way, and their work is lost after all retries, costs much, or they are many at one place.",
        ),
    )


EVALUATORS: dict[str, Evaluator] = {one.name: one for one in (*_jobs(), _RECORDS, *_MEASURES)}

__all__ = [
    "EVALUATORS",
    "JOB_RULES",
    "RECORD_RULES",
    "RULES",
    "WATCH_RULES",
    "Evaluator",
    "FailedJob",
    "JobRule",
    "RecordRule",
    "Rule",
    "RuleRow",
    "WatchRule",
]
