"""Silences: of one incident, or of whatever some filters find until a time."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.control.incidents import CommentBody, TakenBackQuery, act_of, store_of
from api.identity.access import Access
from api.operations import Context, Created, operation
from logger.life import MAX_COMMENT_CHARACTERS
from logger.reading.silences import shown_silence
from logger.silences import UntilKind, read_moment


class SilenceBody(CommentBody):
    """Until when nobody is told, and why."""

    until_kind: UntilKind = Field("time", description="time, shift, doubles, second_queue or fixed")
    until: str = Field("", max_length=50, description="with until_kind time: 30m, 2h, 1d12h, 18:00 (UTC), or ISO 8601")
    reason: str = Field("", max_length=MAX_COMMENT_CHARACTERS)


class MatchingSilenceBody(SilenceBody):
    """Filters of the incident list; all of them have to hold."""

    matcher: dict[str, str] = Field(description='for example {"computing_site": "CERN", "class": "network"}')


@operation("POST", "/api/control/incident/{incident_id}/silence", access=Access.OPERATOR)
def silence(context: Context, incident_id: int, body: SilenceBody) -> Created:
    """Tell nobody of an incident until a reason ends that; an earlier silence of it is replaced."""
    incident, made = store_of(context).silence(incident_id, *_end(context, body), **_changes(context))
    return Created({"incident": incident, "silence": shown_silence(context.database, made, _now(context))})


@operation("POST", "/api/control/silences", access=Access.OPERATOR)
def silence_matching(context: Context, body: MatchingSilenceBody) -> Created:
    """Tell nobody of the incidents that filters find, now and until a time."""
    made, caught = store_of(context).silence_matching(body.matcher, *_end(context, body), **_changes(context))
    return Created({"silence": shown_silence(context.database, made, _now(context)), "incidents": caught})


@operation("DELETE", "/api/control/silence/{silence_id}", access=Access.OPERATOR)
def end_silence(context: Context, silence_id: int, query: TakenBackQuery) -> dict[str, Any]:
    """End a silence before its time: its incidents are open again, or acknowledged when somebody has them."""
    ended = store_of(context).end_silence(silence_id, act_of(context, via=query.via))
    return {"silence": shown_silence(context.database, ended, _now(context))}


def _end(context: Context, body: SilenceBody) -> tuple[Any, ...]:
    act = act_of(context, CommentBody(comment=body.reason or body.comment, via=body.via))
    return body.until_kind, read_moment(body.until, _now(context)), act


def _changes(context: Context) -> dict[str, Any]:
    return {"changes": context.settings.shifts.changes}


def _now(context: Context) -> Any:
    return context.services.clock()
