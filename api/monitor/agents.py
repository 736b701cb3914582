"""The agents of the server over HTTP."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.agents import AGENT_GRAMMAR, agent_list


@asks(AGENT_GRAMMAR)
@operation("GET", "/api/monitor/agents", access=Access.READER)
def agents(context: Context, query: BaseModel) -> Answer:
    """Every agent: last and next run, how long it took, its last error, whether it is late."""
    return agent_list(context.read_database, question(context, AGENT_GRAMMAR))
