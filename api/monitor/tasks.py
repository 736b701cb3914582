"""Tasks over HTTP: the list and one task."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.tasks import TASK_GRAMMAR, task_detail, task_list


@asks(TASK_GRAMMAR, paged=True)
@operation("GET", "/api/monitor/tasks", access=Access.READER)
def tasks(context: Context, query: BaseModel) -> Answer:
    """Tasks that match, newest first."""
    return task_list(context.read_database, question(context, TASK_GRAMMAR))


@operation("GET", "/api/monitor/task/{jedi_task_id}", access=Access.READER)
def task(context: Context, jedi_task_id: int) -> Answer:
    """One task with its parameters, its jobs by state and its incidents."""
    return task_detail(context.read_database, jedi_task_id, context.services.clock())
