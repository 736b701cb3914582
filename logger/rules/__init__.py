"""All rules that make incidents, listed once. To add one: a small class in a file here, and its place in `RULES`."""

from __future__ import annotations

from logger.rules.absence import SilentQueue
from logger.rules.backlog import LongWait
from logger.rules.base import FailedJob, JobRule, RecordRule, Rule, WatchRule
from logger.rules.failure_burst import FailureBurst
from logger.rules.service_errors import ServiceErrors

RULES: tuple[Rule, ...] = (FailureBurst(), ServiceErrors(), SilentQueue(), LongWait())

JOB_RULES = tuple(rule for rule in RULES if isinstance(rule, JobRule))
RECORD_RULES = tuple(rule for rule in RULES if isinstance(rule, RecordRule))
WATCH_RULES = tuple(rule for rule in RULES if isinstance(rule, WatchRule))

__all__ = [
    "JOB_RULES",
    "RECORD_RULES",
    "RULES",
    "WATCH_RULES",
    "FailedJob",
    "JobRule",
    "RecordRule",
    "Rule",
    "WatchRule",
]
