"""The rules that open incidents over HTTP: the list with what they did, and the versions of one."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from logger.reading.rules import RULE_GRAMMAR, rule_list, rule_versions


@asks(RULE_GRAMMAR)
@operation("GET", "/api/monitor/incident-rules", access=Access.READER)
def incident_rules(context: Context, query: BaseModel) -> Answer:
    """The rules that open incidents, in their order, with what they opened; and the evaluators that rows can name."""
    return rule_list(context.read_database, question(context, RULE_GRAMMAR))


@operation("GET", "/api/monitor/incident-rule/{rule_id}/versions", access=Access.READER)
def incident_rule_versions(context: Context, rule_id: int) -> Answer:
    """Every version of a rule, newest first, and what it measured last."""
    return rule_versions(context.read_database, rule_id, context.services.clock())
