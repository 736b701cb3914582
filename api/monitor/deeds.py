"""Deeds over HTTP: what was done by whom, and what became of each object."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from logger.reading.deeds import DEED_GRAMMAR, deed_detail, deed_list


@asks(DEED_GRAMMAR, paged=True)
@operation("GET", "/api/monitor/deeds", access=Access.READER)
def deeds(context: Context, query: BaseModel) -> Answer:
    """What people did to incidents, jobs, tasks and queues, newest first; with the actions that there are."""
    return deed_list(context.read_database, question(context, DEED_GRAMMAR))


@operation("GET", "/api/monitor/deed/{deed_id}", access=Access.READER)
def deed(context: Context, deed_id: int) -> Answer:
    """One deed with its targets."""
    return deed_detail(context.read_database, deed_id, context.services.clock())
