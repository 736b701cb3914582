"""Users, working groups and timeouts over HTTP."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.accounts.limits import Account
from core.monitor.timeouts import TIMEOUT_GRAMMAR, timeout_list
from core.monitor.users import USER_GRAMMAR, user_list, user_page


class KindQuery(BaseModel):
    """Which of two accounts with the same name."""

    kind: Literal["user", "group"] = Field("user", description="user, or group for a working group")


@asks(USER_GRAMMAR)
@operation("GET", "/api/monitor/users", access=Access.READER)
def users(context: Context, query: BaseModel) -> Answer:
    """Users and working groups: running, queued, limits in force, use of 1, 7 and 30 days; the busiest first."""
    return user_list(context.read_database, question(context, USER_GRAMMAR))


@operation("GET", "/api/monitor/users/{name}", access=Access.READER)
def user(context: Context, name: str, query: KindQuery) -> Answer:
    """One user or working group: limits, quotas, use by day and queue, tasks."""
    return user_page(context.read_database, Account(query.kind, name), context.services.clock())


@asks(TIMEOUT_GRAMMAR)
@operation("GET", "/api/monitor/timeouts", access=Access.READER)
def timeouts(context: Context, query: BaseModel) -> Answer:
    """Every timeout: states, limit, effect, what it ended, live jobs older than half of it, the next run."""
    return timeout_list(context.read_database, context.services.old_jobs, question(context, TIMEOUT_GRAMMAR))
