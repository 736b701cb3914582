"""The shift log over HTTP: the list, one shift, and its handover as Markdown."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from logger.reading.shifts import SHIFT_GRAMMAR, shift_detail, shift_list, shift_markdown


class ShiftQuery(BaseModel):
    """In which form."""

    format: Literal["json", "markdown"] = Field("json", description="markdown: the handover as a document")


@asks(SHIFT_GRAMMAR, paged=True)
@operation("GET", "/api/monitor/shifts", access=Access.READER)
def shifts(context: Context, query: BaseModel) -> Answer:
    """Shifts, newest first."""
    return shift_list(context.read_database, question(context, SHIFT_GRAMMAR), context.settings.shifts.changes)


@operation("GET", "/api/monitor/shift/{shift_id}", access=Access.READER)
def shift(context: Context, shift_id: int, query: ShiftQuery) -> Answer:
    """One shift with its notes and its draft, or as a Markdown document."""
    now = context.services.clock()
    if query.format == "markdown":
        text = shift_markdown(context.read_database, shift_id, now)
        return PlainTextResponse(text, media_type="text/markdown; charset=utf-8")
    return shift_detail(context.read_database, shift_id, now, context.settings.shifts.changes)
