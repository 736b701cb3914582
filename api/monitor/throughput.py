"""Throughput over HTTP."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.throughput import THROUGHPUT_GRAMMAR, throughput


@asks(THROUGHPUT_GRAMMAR, bin_s="seconds per bin, a multiple of 60", by="status, computing_site or prod_source_label")
@operation("GET", "/api/monitor/throughput", access=Access.READER)
def throughput_bins(context: Context, query: BaseModel) -> Answer:
    """State changes of jobs per bin of time."""
    return throughput(context.read_database, question(context, THROUGHPUT_GRAMMAR))
