"""Notices over HTTP: the routes with how they go, and what was told of which incident."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.reading import envelope
from logger.reading.notices import NOTICE_GRAMMAR, notice_list, route_list


@asks(NOTICE_GRAMMAR, paged=True)
@operation("GET", "/api/monitor/notices", access=Access.READER)
def notices(context: Context, query: BaseModel) -> Answer:
    """Notices that match, newest first: which change of which incident went to which route, and what became of it."""
    return notice_list(context.read_database, question(context, NOTICE_GRAMMAR))


@operation("GET", "/api/monitor/notice-routes", access=Access.READER)
def notice_routes(context: Context) -> Answer:
    """Where changes of incidents are told, in the order the routes are asked; of secrets and addresses only the names."""
    routes = route_list(context.read_database)
    return envelope(context.services.clock(), count=len(routes), routes=routes)
