"""Why a job or a task does not run, over HTTP, with the shape of the answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from api.identity.access import Access
from api.operations import Answer, Context, operation
from core.monitor.why import why_job, why_task


class ReasonAnswer(BaseModel):
    """One true statement."""

    id: str
    """Stable; programs compare it, never the sentence."""
    responsible: Literal["user", "site", "operators", "data", "system"]
    responsible_words: str
    clause: str
    """The reason alone, without a full stop; stays the same while nothing changes."""
    sentence: str
    """The reason with its numbers."""
    next_step: str
    next_time: datetime | None
    advice: list[str]
    """What the person who asks can change."""
    numbers: dict[str, Any]


class FunnelStep(BaseModel):
    """A criterion of brokerage with the queues before and after it; at most twenty of those it left out are named."""

    criterion: str
    sentence: str
    before: int
    after: int
    excluded: list[dict[str, str]]
    is_temporary: bool
    parameters: dict[str, Any] = {}
    note: str = ""


class ChangeAnswer(BaseModel):
    """Something else asked for, and how many queues would then take the jobs."""

    dimension: str
    words: str
    asked: int | None
    proposed: int | None
    unit: str
    accepted_now: int
    accepted_then: int
    queue_count: int


class BrokerageAnswer(BaseModel):
    """What brokerage says now: whom it accepts, the whole funnel, and what would open further queues."""

    time: datetime
    kind: str
    queue_count: int
    accepted_count: int
    accepted: list[str]
    """The best ones, ten at most."""
    binding_step: str
    """The criterion that left nobody; empty when somebody is left."""
    is_temporary: bool
    funnel: list[FunnelStep]
    sentence: str
    changes: list[ChangeAnswer]
    best_change: ChangeAnswer | None


class StartAnswer(BaseModel):
    """When it may start, by the waits of like jobs of the last 24 hours; times are null when that is unknown."""

    is_known: bool
    sample: int
    p50_s: float | None
    p90_s: float | None
    waited_s: float
    start_p50: datetime | None
    start_p90: datetime | None
    basis: str
    sentence: str


class WhyAnswer(BaseModel):
    """The first true statement, the further ones, brokerage as it is now, and when it may start."""

    as_of: datetime
    window: None
    exact: bool
    count: int
    next_cursor: None
    warnings: list[str]
    kind: Literal["job", "task"]
    panda_id: int | None
    """Of a task: the job that stands for those that wait."""
    jedi_task_id: int | None
    status: str
    computing_site: str
    reason: ReasonAnswer | None
    also: list[ReasonAnswer]
    brokerage: BrokerageAnswer | None
    """null once a pilot has the job, or the task has ended."""
    start: StartAnswer | None


@operation("GET", "/api/monitor/why/job/{panda_id}", access=Access.READER, answers=WhyAnswer)
def why_job_is_so(context: Context, panda_id: int) -> Answer:
    """Why a job does not run, or how it runs: reason, who is responsible, what comes next, what would help."""
    services = context.services
    return why_job(context.read_database, services.explainer, panda_id, services.clock())


@operation("GET", "/api/monitor/why/task/{jedi_task_id}", access=Access.READER, answers=WhyAnswer)
def why_task_is_so(context: Context, jedi_task_id: int) -> Answer:
    """Why a task does not run, or how it runs, as for a job."""
    services = context.services
    return why_task(context.read_database, services.explainer, jedi_task_id, services.clock())
