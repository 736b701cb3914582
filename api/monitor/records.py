"""Log records over HTTP: one by one, counted, and who sends them."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from logger.reading.records import (
    COUNT_GRAMMAR,
    RECORD_GRAMMAR,
    SENDER_GRAMMAR,
    record_counts,
    record_list,
    sender_list,
)


@asks(RECORD_GRAMMAR, paged=True, q="a text within the message", severity="the least level, for example WARNING")
@operation("GET", "/api/monitor/records", access=Access.READER)
def records(context: Context, query: BaseModel) -> Answer:
    """Log records that match, newest first; of the last hour unless a window, a job, a task or an incident is named."""
    return record_list(context.read_database, question(context, RECORD_GRAMMAR))


@asks(COUNT_GRAMMAR)
@operation("GET", "/api/monitor/record-counts", access=Access.READER)
def counts_of_records(context: Context, query: BaseModel) -> Answer:
    """How many records there were per hour and level, which components said most, and what is stored of each day."""
    return record_counts(context.read_database, question(context, COUNT_GRAMMAR))


@asks(SENDER_GRAMMAR, limit="rows, 1 to 1000 (default 100)")
@operation("GET", "/api/monitor/senders", access=Access.READER)
def senders(context: Context, query: BaseModel) -> Answer:
    """The processes that send records, last seen first: what came of each, what was lost, how its clock goes."""
    return sender_list(context.read_database, question(context, SENDER_GRAMMAR))
