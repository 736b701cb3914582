"""Search over HTTP."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.operations import Answer, Context, operation
from core.monitor.search import search


class SearchQuery(BaseModel):
    """What to look for."""

    q: str


@operation("GET", "/api/monitor/search", access=Access.READER)
def search_everything(context: Context, query: SearchQuery) -> Answer:
    """What an id or a part of a name may mean: jobs, tasks, incidents, queues, users."""
    return search(context.read_database, query.q, context.services.clock())
