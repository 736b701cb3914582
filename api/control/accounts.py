"""What operators decide about users and working groups: caps, quotas, boosts, bans."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.identity.access import Access
from api.operations import Context, operation
from api.strict import End, Moment, StrictBody
from core.accounts.limits import MAX_NUMBER, Account, decided_of, read_limits, set_limits

_NUMBER: Any = Field(None, ge=0, le=MAX_NUMBER)


class AccountBody(StrictBody):
    """What is decided; what is left out stays, and null gives it back to the settings."""

    max_running_jobs: int | None = _NUMBER
    max_running_cores: int | None = _NUMBER
    max_active_tasks: int | None = _NUMBER
    cpu_hours_1d: int | None = _NUMBER
    """CPU hours of today, of the last 7 and of the last 30 days (UTC)."""
    cpu_hours_7d: int | None = _NUMBER
    cpu_hours_30d: int | None = _NUMBER
    quota_mode: Literal["lower", "hold", "reject"] | None = None
    """Beyond a quota: a lower priority, held jobs, or refused submissions."""
    jobs_per_priority_point: int | None = _NUMBER
    """Live jobs that lower the priority of the next one by one; 0: it never falls."""
    boost_priority: int | None = Field(None, ge=-1_000_000, le=1_000_000)
    boost_until: Moment | None = None
    is_privileged: bool | None = None
    """Of a group: users' work that its production role submits gets 2000 points more, which its live jobs do not lower."""
    banned_until: End | None = None
    reason: str | None = Field(None, max_length=1000)
    """Why; bans and boosts need one."""


@operation("GET", "/api/control/account/{kind}/{name}", access=Access.USER)
def account(context: Context, kind: Literal["user", "group"], name: str) -> dict[str, Any]:
    """What was decided about a user or working group, by whom and when, and the limits in force."""
    known = Account(kind, name)
    decided = decided_of(context.database, known)
    limits = read_limits(context.database, [known]).of(known)
    return {"account": decided, "limits": vars(limits)}


@operation("PUT", "/api/control/account/{kind}/{name}", access=Access.OPERATOR)
def set_account(context: Context, kind: Literal["user", "group"], name: str, body: AccountBody) -> dict[str, Any]:
    """Decide about a user or working group."""
    changes = body.model_dump(exclude_unset=True)
    who = context.caller.user_name
    row = set_limits(context.database, Account(kind, name), changes, who=who, now=context.services.clock())
    return {"account": row}
