"""Silences over HTTP: who silenced what until when, and how the trouble grew meanwhile."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from logger.reading import SILENCE_GRAMMAR, silence_list


@asks(SILENCE_GRAMMAR, paged=True, ended="1 shows also those that are over")
@operation("GET", "/api/monitor/silences", access=Access.READER)
def silences(context: Context, query: BaseModel) -> Answer:
    """Silences that are in force, newest first."""
    return silence_list(context.read_database, question(context, SILENCE_GRAMMAR))
