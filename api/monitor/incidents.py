"""Incidents over HTTP: the list with its facets, one incident."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from logger.reading import INCIDENT_GRAMMAR, incident_detail, incident_list


@asks(INCIDENT_GRAMMAR, paged=True, facets="0 leaves the facets out")
@operation("GET", "/api/monitor/incidents", access=Access.READER)
def incidents(context: Context, query: BaseModel) -> Answer:
    """Incidents that match, worst first; without a filter on state those that are not resolved."""
    return incident_list(context.read_database, question(context, INCIDENT_GRAMMAR))


@operation("GET", "/api/monitor/incident/{incident_id}", access=Access.READER)
def incident(context: Context, incident_id: int) -> Answer:
    """One incident: its failing line, jobs, breakdown, records and what was done about it."""
    return incident_detail(context.read_database, incident_id, context.services.clock())
