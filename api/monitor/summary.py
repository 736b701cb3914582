"""The state of everything over HTTP: what the page Now shows."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.reading import envelope
from core.monitor.summary import SUMMARY_GRAMMAR, summary
from logger.reading import incident_counts, worst_incidents


@asks(SUMMARY_GRAMMAR)
@operation("GET", "/api/monitor/summary", access=Access.READER)
def summary_now(context: Context, query: BaseModel) -> Answer:
    """Jobs by state, the worst incidents, throughput, waits, silent queues, agents."""
    asked = question(context, SUMMARY_GRAMMAR)
    state = summary(context.read_database, asked)
    return envelope(
        asked.as_of,
        window=asked.window,
        count=sum(state["jobs"].values()),
        warnings=asked.warnings,
        incidents=incident_counts(context.read_database),
        worst=worst_incidents(context.read_database, asked.as_of),
        **state,
    )
