"""The audit over HTTP."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from logger.reading.audit import AUDIT_GRAMMAR, audit_list


@asks(AUDIT_GRAMMAR, paged=True)
@operation("GET", "/api/monitor/audit", access=Access.READER)
def audit(context: Context, query: BaseModel) -> Answer:
    """Who did what to which object, with before and after, newest first."""
    return audit_list(context.read_database, question(context, AUDIT_GRAMMAR))
