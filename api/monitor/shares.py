"""Global shares over HTTP: the tree as it stands, and its samples."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from api.identity.access import Access
from api.operations import Answer, Context, operation
from core.monitor.shares import HELD_OVER_H, MOST_HOURS, share_overview, share_samples


class SamplesQuery(BaseModel):
    """How far back."""

    model_config = ConfigDict(extra="forbid")

    hours: float = Field(HELD_OVER_H, gt=0, le=MOST_HOURS)


@operation("GET", "/api/monitor/shares", access=Access.READER)
def shares(context: Context) -> Answer:
    """The tree of shares with value, target, executing, queued, deviation now and over a day, and throttled lanes."""
    return share_overview(context.read_database, context.settings.generation, context.services.clock())


@operation("GET", "/api/monitor/shares/samples", access=Access.READER)
def samples_of_shares(context: Context, query: SamplesQuery) -> Answer:
    """Executing power and target of every leaf over the last hours."""
    return share_samples(context.read_database, query.hours, context.services.clock())
