"""Actions on incidents, jobs, tasks and queues: preview, confirm, undo, and calling a revert off."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from api.identity.access import Access
from api.operations import Context, Created, operation
from api.problems import json_response
from api.strict import Id, StrictBody
from logger import deeds
from logger.deeds import Actor, PreviewOutdated, PreviewRequest, PreviewRules, Selector
from logger.deeds.previews import MAX_REASON
from logger.reading.deeds import shown_deed

_MOST_GIVEN = 100_000


class ViaBody(StrictBody):
    """Where it came from, for those who read the audit."""

    via: Literal["api", "cli", "console", "web"] = "api"


class PreviewBody(ViaBody):
    """An action, what it is to be done to, and how."""

    action: str = Field(max_length=40)
    """acknowledge, assign, silence, resolve, reopen, kill, retry, drain, undrain, online, test or offline."""
    incidents: list[Id] = Field(default_factory=list, max_length=_MOST_GIVEN)
    """Of an action on jobs, tasks or queues: those that these incidents are about."""
    jobs: list[Id] = Field(default_factory=list, max_length=_MOST_GIVEN)
    tasks: list[Id] = Field(default_factory=list, max_length=_MOST_GIVEN)
    queues: list[str] = Field(default_factory=list, max_length=_MOST_GIVEN)
    filter: dict[str, str] = Field(default_factory=dict)
    """Filters of the list of such objects; they hold together, and with the ids."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """assign: who; silence: until_kind, until; resolve: ending; kill: input (cancel, again); retry: of_incident;
    of queues: until."""
    accept_ended: bool = False
    """Of jobs: those that end by themselves before the confirmation are left out instead of changing the set."""
    reason: str = Field("", max_length=MAX_REASON)


class ConfirmBody(StrictBody):
    """The token of a preview."""

    via: Literal["api", "cli", "console", "web"] | None = None
    """Where the preview was asked for, unless it is said."""
    token: str = Field(min_length=20, max_length=100)
    reason: str = Field("", max_length=MAX_REASON)
    """Instead of the one that the preview was made with."""


class ReasonBody(ViaBody):
    """Why, for those who come after."""

    reason: str = Field("", max_length=MAX_REASON)


@operation("POST", "/api/control/actions/preview", access=Access.USER)
def preview_action(context: Context, body: PreviewBody) -> dict[str, Any]:
    """Say what an action would do, and give the token that confirms it once; changes nothing."""
    selector = Selector(
        tuple(body.incidents), tuple(body.jobs), tuple(body.tasks), tuple(body.queues), tuple(body.filter.items())
    )
    request = PreviewRequest(body.action, selector, body.parameters, body.accept_ended, body.reason)
    made = deeds.preview(context.database, request, _actor(context, body), context.services.clock, _rules(context))
    return made.as_dict()


@operation("POST", "/api/control/actions/confirm", access=Access.USER)
def confirm_action(context: Context, body: ConfirmBody) -> Created | Response:
    """Do what a preview showed, if the set is still the same; 409 with a fresh preview when it is not."""
    actor, clock = _actor(context, body), context.services.clock
    try:
        deed = deeds.confirm(context.database, body.token, actor, clock, body.reason, _rules(context))
    except PreviewOutdated as error:
        return _outdated(error)
    return Created({"deed": shown_deed(deed)})


@operation("POST", "/api/control/deed/{deed_id}/undo", access=Access.OPERATOR)
def undo_deed(context: Context, deed_id: int, body: ReasonBody) -> dict[str, Any]:
    """Put back what a deed changed, once, and only while nothing later changed it; answers the deed that did so."""
    deed = deeds.undo(context.database, deed_id, _actor(context, body), body.reason, context.services.clock)
    return {"deed": shown_deed(deed)}


@operation("POST", "/api/control/deed/{deed_id}/cancel-revert", access=Access.OPERATOR)
def cancel_revert(context: Context, deed_id: int, body: ReasonBody) -> dict[str, Any]:
    """Let what a deed did stay, though it was to take itself back."""
    deed = deeds.cancel_revert(context.database, deed_id, _actor(context, body), body.reason, context.services.clock)
    return {"deed": shown_deed(deed)}


def _actor(context: Context, body: ViaBody | ConfirmBody) -> Actor:
    caller = context.caller
    return Actor(caller.user_name, caller.token_id, frozenset(map(str, caller.roles)), body.via or "")


def _rules(context: Context) -> PreviewRules:
    settings = context.settings
    return PreviewRules(
        settings.incidents.preview_s, settings.brokerage, context.read_database, tuple(settings.shifts.changes)
    )


def _outdated(error: PreviewOutdated) -> Response:
    """The problem, with what is different and the preview of what there is now."""
    body = {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "code": error.code,
        "detail": f"{error.field}: {error.detail}",
        "field": error.field,
        "remedy": error.remedy,
        "difference": error.difference,
        "preview": error.preview.as_dict() if error.preview is not None else None,
    }
    answer = json_response(body, 409)
    answer.headers["Content-Type"] = "application/problem+json"
    return answer
