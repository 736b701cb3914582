"""Staging from tape over HTTP."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.staging import STAGING_GRAMMAR, staging_list


@asks(STAGING_GRAMMAR, paged=True)
@operation("GET", "/api/monitor/staging", access=Access.READER)
def staging(context: Context, query: BaseModel) -> Answer:
    """Datasets that are brought from tape: from where to where, how far, for which tasks, what is slow; newest first."""
    return staging_list(context.read_database, question(context, STAGING_GRAMMAR), context.settings.carousel)
