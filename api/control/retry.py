"""Rules for failed jobs, classes of errors and actions: read by everybody, edited by operators, tried before they act."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.identity.access import Access
from api.operations import Context, Created, operation
from api.strict import Moment, StrictBody
from core.monitor.retries import rule_list
from core.retrial import editing
from core.retrial.trying import MAX_DAYS, try_rule

_CODE = Field(None, ge=-(2**31), lt=2**31)


class PatternBody(StrictBody):
    """Which errors it is about; what is left out matches everything."""

    error_source: str | None = Field(None, max_length=50)
    """pilot, exe, sup, ddm, brokerage, job_dispatcher, task_buffer or trans (the payload's exit code)."""
    error_code: int | None = _CODE
    error_diag: str | None = Field(None, max_length=1000)
    """Regular expression of PostgreSQL, anchored at the start of the message."""
    is_active: bool | None = None
    """False: passive, only logged."""
    description: str | None = Field(None, max_length=1000)


class RuleBody(PatternBody):
    """A rule; of a change, what is left out stays."""

    architecture: str | None = Field(None, max_length=200)
    release: str | None = Field(None, max_length=200)
    gshare: str | None = Field(None, max_length=200)
    action: str | None = Field(None, max_length=50)
    parameters: dict[str, Any] | None = None
    expiration_time: Moment | None = None


class TrialBody(RuleBody):
    """A rule to be, and how far back to look."""

    days: float = Field(7, gt=0, le=MAX_DAYS)


class ClassBody(PatternBody):
    """Whose fault an error is."""

    error_class: str | None = Field(None, max_length=50)
    """system, user or unknown."""


class ActionBody(StrictBody):
    """Whether an action acts at all."""

    is_active: bool | None = None
    description: str | None = Field(None, max_length=1000)


@operation("GET", "/api/control/retry-rules", access=Access.USER)
def retry_rules(context: Context) -> dict[str, Any]:
    """All rules with what they did, the actions and their parameters, the classes of errors, and the last changes."""
    return rule_list(context.database, context.services.clock())


@operation("POST", "/api/control/retry-rules", access=Access.OPERATOR)
def add_retry_rule(context: Context, body: RuleBody) -> Created:
    """Make a rule."""
    return Created({"rule": editing.add_rule(context.database, _given(body), context.caller.user_name)})


@operation("POST", "/api/control/retry-rules/try", access=Access.OPERATOR)
def try_retry_rule(context: Context, body: TrialBody) -> dict[str, Any]:
    """Say how many of the jobs that failed lately a rule would have met; changes nothing."""
    given = _given(body)
    given.pop("days", None)
    return try_rule(context.read_database, given, days=body.days, clock=context.services.clock)


@operation("PUT", "/api/control/retry-rule/{rule_id}", access=Access.OPERATOR)
def change_retry_rule(context: Context, rule_id: int, body: RuleBody) -> dict[str, Any]:
    """Change a rule."""
    return {"rule": editing.change_rule(context.database, rule_id, _given(body), context.caller.user_name)}


@operation("DELETE", "/api/control/retry-rule/{rule_id}", access=Access.OPERATOR)
def remove_retry_rule(context: Context, rule_id: int) -> dict[str, Any]:
    """Take a rule away; what it did stays in the log."""
    return {"rule": editing.remove_rule(context.database, rule_id, context.caller.user_name)}


@operation("PUT", "/api/control/retry-action/{name}", access=Access.OPERATOR)
def change_retry_action(context: Context, name: str, body: ActionBody) -> dict[str, Any]:
    """Make an action active or passive, for all rules that name it."""
    return {"action": editing.change_action(context.database, name, _given(body), context.caller.user_name)}


@operation("POST", "/api/control/error-classes", access=Access.OPERATOR)
def add_error_class(context: Context, body: ClassBody) -> Created:
    """Say whose fault an error is."""
    return Created({"error_class": editing.add_class(context.database, _given(body), context.caller.user_name)})


@operation("PUT", "/api/control/error-class/{class_id}", access=Access.OPERATOR)
def change_error_class(context: Context, class_id: int, body: ClassBody) -> dict[str, Any]:
    """Change what is said of an error."""
    return {"error_class": editing.change_class(context.database, class_id, _given(body), context.caller.user_name)}


@operation("DELETE", "/api/control/error-class/{class_id}", access=Access.OPERATOR)
def remove_error_class(context: Context, class_id: int) -> dict[str, Any]:
    """Say nothing of an error any more."""
    return {"error_class": editing.remove_class(context.database, class_id, context.caller.user_name)}


_MAY_BE_NOTHING = frozenset({"expiration_time"})


def _given(body: StrictBody) -> dict[str, Any]:
    """What the caller wrote; null means what leaving out means, except where it takes a value away."""
    written = body.model_dump(exclude_unset=True)
    return {name: value for name, value in written.items() if value is not None or name in _MAY_BE_NOTHING}
