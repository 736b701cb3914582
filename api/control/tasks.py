"""What tasks made."""

from __future__ import annotations

from typing import Any

from api.identity.access import Access
from api.operations import Context, operation
from core.tasks import task_outputs


@operation("GET", "/api/control/task/{jedi_task_id}/outputs", access=Access.USER)
def outputs(context: Context, jedi_task_id: int) -> dict[str, Any]:
    """Stored outputs and logs of a task, in the order of its jobs."""
    return {"outputs": task_outputs(context.database, jedi_task_id)}
