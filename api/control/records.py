"""The records that programs send: JSON, a record a line, or plain lines. Knows the body's type and the token, no record."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.identity.access import Access
from api.operations import Context, RawBody, operation
from logger.admission import Sender
from logger.batches import DEFAULTS


class RecordsQuery(BaseModel):
    """What holds for every record of the body that does not say it itself."""

    component: str | list[str] = Field("", description="which part of which program it is")
    level: str | list[str] = Field("", description="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    computing_site: str | list[str] = Field("", description="the queue it is about")
    panda_id: str | list[str] = Field("", description="the job it is about")


class RecordsAnswer(BaseModel):
    """What became of the records."""

    accepted: int
    rejected: int
    duplicate: int = Field(description="numbered records that had come before and were not stored again")
    reasons: list[str] = Field(description='why records were rejected, as "record 3: field: sentence"; at most 20')


@operation(
    "POST",
    "/api/logger/records",
    access=Access.USER,
    takes_raw=("application/json", "application/x-ndjson", "text/plain"),
    answers=RecordsAnswer,
)
def ingest_records(context: Context, query: RecordsQuery, body: RawBody) -> dict[str, Any]:
    """Store log records and fold their troubles into incidents."""
    given = {name: getattr(query, name) for name in DEFAULTS}
    defaults = {name: value if isinstance(value, str) else value[-1] for name, value in given.items() if value}
    caller = context.caller
    sender = Sender(caller.user_name, caller.token_id, caller.roles, caller.expiry_time)
    result = context.services.ingest.take(body.content, body.content_type, defaults, sender)
    return {
        **{"accepted": result.accepted, "rejected": result.rejected, "duplicate": result.duplicate},
        "reasons": list(result.reasons),
    }
