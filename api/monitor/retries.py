"""What the rules for failed jobs did, over HTTP."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.faults import FAULT_GRAMMAR, faults
from core.monitor.retries import retry_log, rule_list

_NUMBER = Field(None, ge=0, lt=2**63)


class RetryLogQuery(BaseModel):
    """Which lines of the log; all when nothing is said."""

    rule_id: int | None = _NUMBER
    jedi_task_id: int | None = _NUMBER
    panda_id: int | None = _NUMBER
    limit: int = Field(100, ge=1, le=1000)
    cursor: str = Field("", max_length=500)


@operation("GET", "/api/monitor/retry-rules", access=Access.READER)
def retry_rules_seen(context: Context) -> Answer:
    """All rules with what they did, the actions, the classes of errors, and the last changes."""
    return rule_list(context.read_database, context.services.clock())


@operation("GET", "/api/monitor/retry-log", access=Access.READER)
def retry_deeds(context: Context, query: RetryLogQuery) -> Answer:
    """What rules did about failed jobs, or would have done, newest first: of a rule, a task or a job."""
    names = ("rule_id", "jedi_task_id", "panda_id")
    filters = {name: value for name in names if (value := getattr(query, name)) is not None}
    return retry_log(
        context.read_database, context.services.clock(), filters=filters, limit=query.limit, cursor=query.cursor
    )


@asks(FAULT_GRAMMAR)
@operation("GET", "/api/monitor/faults", access=Access.READER)
def whose_faults(context: Context, query: BaseModel) -> Answer:
    """Failed jobs by the class of their error: whose fault they were, and what they cost."""
    return faults(context.read_database, question(context, FAULT_GRAMMAR))
