"""What operators may set on each rule: one model per evaluator, with meaning, unit, default and range. Knows no rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from logger.rules.selecting import checked_selector

_DAY_S = 86_400

Selector = Annotated[str, Field(max_length=2000), AfterValidator(checked_selector)]
"""One or several values in the monitor's grammar: `CERN*|BNL`, `!DESY`; empty: all."""
Seconds = Annotated[float, Field(gt=0, le=30 * _DAY_S)]


class Parameters(BaseModel):
    """Parameters are taken as they are written or refused: an unknown name is a misspelt one."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class RecordParameters(Parameters):
    """Which log records are troubles."""

    level: Literal["WARNING", "ERROR", "CRITICAL"] = "ERROR"
    """The least level; records that carry a key or a kind of their own count at every level."""
    min_records: int = Field(1, ge=1, le=1_000_000)
    """So many alike within `window_s` are an incident; 1: the first is one. Records with a key of their own are at once."""
    window_s: float = Field(600, ge=60, le=1800)
    """Counted in steps of five minutes; what was said half an hour ago is forgotten (logger/job_incidents.py)."""
    components: Selector = ""
    queues: Selector = ""
    keys: Selector = ""
    """The keys that emitters give their troubles (`pilots refused:*`)."""


class MeasureParameters(Parameters):
    """What every measured rule has."""

    for_s: float = Field(0, ge=0, le=_DAY_S)
    """How long a value must be beyond its limit, without a break, before it is an incident."""
    clear_part: float = Field(1, gt=0, le=1)
    """An incident ends when the value is below this part of the limit (for low values: the limit divided by it)."""
    queues: Selector = ""
    """Of values that are a queue's: which queues."""


class SilentQueueParameters(MeasureParameters):
    """How long no pilot may ask while jobs are ready."""

    limit_s: Seconds = 600


class TaskStalledParameters(MeasureParameters):
    """When a task whose jobs run should have had one end."""

    limit_s: Seconds = 3600
    times_usual: float = Field(10, ge=1, le=1000)
    """And so many times the usual time between two ends of its jobs."""
    min_finished: int = Field(20, ge=2)
    """Jobs that must have finished before there is anything usual."""
    for_s: float = Field(120, ge=0, le=_DAY_S)


class ThroughputParameters(MeasureParameters):
    """How few finished jobs are too few."""

    limit_part: float = Field(0.5, gt=0, lt=1)
    """Of the same hour a week ago."""
    min_jobs: int = Field(50, ge=1)
    """Jobs of that hour, below which there is nothing to compare with."""
    z: float = Field(3, ge=0, le=10)
    """How many standard deviations of a count the difference must be."""
    min_waiting: int = Field(20, ge=0)
    """Activated jobs there: without work few jobs finish, which is no trouble."""
    for_s: float = Field(600, ge=0, le=_DAY_S)


class LongWaitParameters(MeasureParameters):
    """How long the oldest job may wait in each state before people are told, far below the timeouts of domain.md 2.3."""

    defined_s: Seconds = 3600
    waiting_s: Seconds = 6 * 3600
    assigned_s: Seconds = 6 * 3600
    activated_s: Seconds = 2 * 3600
    moving_times: float = Field(6, ge=1, le=1000)
    """So many times `activated_s` at a queue that gives out jobs meanwhile, or that a person set offline or paused."""


class WaitPercentileParameters(MeasureParameters):
    """How much longer than usual jobs of a queue may wait for a pilot."""

    times_usual: float = Field(3, ge=1, le=1000)
    """So many times what nineteen of twenty jobs there waited at most."""
    floor_s: Seconds = 1800
    min_jobs: int = Field(20, ge=5)
    """Activated jobs, and starts in the days looked at, below which nothing is said."""
    days: float = Field(7, ge=1, le=60)
    for_s: float = Field(600, ge=0, le=_DAY_S)


class AgentsLateParameters(MeasureParameters):
    """How late a loop of the server may be."""

    limit_s: Seconds = 60


class DatabaseSlowParameters(MeasureParameters):
    """How long a quick statement may take, or a statement may wait for a lock."""

    limit_s: Seconds = 2
    for_s: float = Field(4, ge=0, le=_DAY_S)


class ClockSkewParameters(MeasureParameters):
    """How wrong a host's clock may be."""

    limit_s: Seconds = 120
    for_s: float = Field(60, ge=0, le=_DAY_S)


class ExpiryParameters(MeasureParameters):
    """How long before its end people are told of a certificate or a token."""

    limit_days: float = Field(14, gt=0, le=365)
    critical_days: float = Field(2, ge=0, le=365)
    token_hours: float = Field(24, gt=0, le=365 * 24)
    """Tokens are renewed more often than certificates; what is renewed by itself lives hours."""


class DiskFullParameters(MeasureParameters):
    """How much room a disk of the server must have."""

    limit_mb: float = Field(1000, gt=0, le=1e9)
    critical_mb: float = Field(200, ge=0, le=1e9)
    """The trouble is critical when only so much is left."""


class TransferStuckParameters(MeasureParameters):
    """How long staging may take."""

    limit_s: Seconds = 3600
    times_usual: float = Field(6, ge=1, le=1000)
    """And so many times the median of the last stagings there."""
    min_jobs: int = Field(3, ge=1)
    """Jobs that must be as late, so that one sick job is no trouble of a storage."""
