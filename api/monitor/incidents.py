"""Incidents over HTTP: the list with its facets, one incident, two of them compared."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.errors import InvalidInput
from logger.reading import INCIDENT_GRAMMAR, incident_comparison, incident_detail, incident_list


@asks(
    INCIDENT_GRAMMAR,
    paged=True,
    facets="0 leaves the facets out",
    candidates="1 shows also troubles that are only counted and are no incidents",
)
@operation("GET", "/api/monitor/incidents", access=Access.READER)
def incidents(context: Context, query: BaseModel) -> Answer:
    """Incidents that match, worst first; without a filter on state those that are not resolved."""
    return incident_list(context.read_database, question(context, INCIDENT_GRAMMAR))


@operation("GET", "/api/monitor/incident/{incident_id}", access=Access.READER)
def incident(context: Context, incident_id: int) -> Answer:
    """One incident: its verdict, failing line, jobs, breakdown, records, history, and what was done about it."""
    return incident_detail(context.read_database, incident_id, context.services.clock())


class CompareQuery(BaseModel):
    """The other incident."""

    other: str | list[str] = Field("", alias="with", description="number of the other incident")


@operation("GET", "/api/monitor/incident/{incident_id}/compare", access=Access.READER)
def compare(context: Context, incident_id: int, query: CompareQuery) -> Answer:
    """Which part of the fingerprints of two incidents differs."""
    given = query.other if isinstance(query.other, str) else query.other[-1]
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:19]) < 2**63:
        raise InvalidInput(f"{given[:40]!r} is no incident", field="with", remedy="its number: ?with=17")
    return incident_comparison(context.read_database, incident_id, int(given), context.services.clock())
