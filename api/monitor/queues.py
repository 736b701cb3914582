"""Queues over HTTP."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.queues import QUEUE_GRAMMAR, queue_history, queue_list


@asks(QUEUE_GRAMMAR)
@operation("GET", "/api/monitor/queues", access=Access.READER)
def queues(context: Context, query: BaseModel) -> Answer:
    """All queues with their limits, their jobs and the last contact of a pilot."""
    return queue_list(context.read_database, question(context, QUEUE_GRAMMAR))


@operation("GET", "/api/monitor/queues/{queue_name}/history", access=Access.READER)
def queue_changes(context: Context, queue_name: str) -> Answer:
    """Who set the status of a queue, when and why, the newest change first."""
    return queue_history(context.read_database, queue_name, context.services.clock())
