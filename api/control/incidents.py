"""What people do to incidents."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.identity.access import Access
from api.operations import Context, operation
from api.strict import StrictBody
from logger.store import MAX_COMMENT_CHARACTERS, IncidentStore


class CommentBody(StrictBody):
    """Why, for those who come after."""

    comment: str = Field("", max_length=MAX_COMMENT_CHARACTERS)


@operation("POST", "/api/control/incident/{incident_id}/acknowledge", access=Access.OPERATOR)
def acknowledge(context: Context, incident_id: int, body: CommentBody) -> dict[str, Any]:
    """Take an incident: the caller becomes its owner."""
    return {"incident": _store(context).acknowledge(incident_id, context.caller.user_name, body.comment)}


@operation("POST", "/api/control/incident/{incident_id}/resolve", access=Access.OPERATOR)
def resolve(context: Context, incident_id: int, body: CommentBody) -> dict[str, Any]:
    """Say that the trouble is over; if it comes back it is a new incident."""
    return {"incident": _store(context).resolve(incident_id, context.caller.user_name, body.comment)}


@operation("POST", "/api/control/incident/{incident_id}/reopen", access=Access.OPERATOR)
def reopen(context: Context, incident_id: int, body: CommentBody) -> dict[str, Any]:
    """Say that it is not over, or that nobody has it any more."""
    return {"incident": _store(context).reopen(incident_id, context.caller.user_name, body.comment)}


def _store(context: Context) -> IncidentStore:
    return IncidentStore(context.database, context.services.clock)
