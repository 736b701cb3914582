"""The shift log: begin, note, draft, and the handover that both sign."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from api.identity.access import Access
from api.operations import Context, Created, operation
from api.strict import Id, Moment, StrictBody
from core.errors import Conflict
from logger.life import Act
from logger.shifts import signing

_NAME = Field("shift", max_length=100)


class WhichBody(StrictBody):
    """Which shift; without a number the running one of that name."""

    shift_id: Id | None = None
    name: str = _NAME
    via: Literal["api", "cli", "console", "web"] = "api"


class StartBody(StrictBody):
    """Who has the watch; without anybody the caller."""

    name: str = _NAME
    people: list[str] = Field(default_factory=list, max_length=signing.MAX_PEOPLE)
    via: Literal["api", "cli", "console", "web"] = "api"


class NoteBody(WhichBody):
    """What those who come should know."""

    text: str = Field(min_length=1, max_length=signing.MAX_NOTE)
    incident_id: Id | None = None


class DraftBody(WhichBody):
    """The handover in one's own words; empty for the draft that is made of what happened."""

    draft: str = Field(max_length=signing.MAX_DRAFT)
    seen: Moment | None = None
    """`draft_time` of the shift as it was read: somebody else's words since then are not written over."""


class SignOutBody(WhichBody):
    """Which text was read."""

    digest: str = Field("", max_length=64)
    """`draft_digest` of the shift as it was read: nothing is signed when it says something else by now."""


class SignInBody(SignOutBody):
    """Who has the next watch, and which text was read."""

    people: list[str] = Field(default_factory=list, max_length=signing.MAX_PEOPLE)


@operation("POST", "/api/control/shift/start", access=Access.OPERATOR)
def start_shift(context: Context, body: StartBody) -> Created:
    """Begin a shift where nobody has the watch."""
    changes = context.settings.shifts.changes
    row = signing.start(
        context.database, body.people, _act(context, body.via), _now(context), changes=changes, name=body.name
    )
    return Created({"shift": row})


@operation("POST", "/api/control/shift/note", access=Access.OPERATOR)
def note_in_shift(context: Context, body: NoteBody) -> Created:
    """Write something down for those who come."""
    made = signing.note(
        context.database, _which(context, body), body.text, _act(context, body.via), _now(context), body.incident_id
    )
    return Created({"note": made})


@operation("POST", "/api/control/shift/draft", access=Access.OPERATOR)
def edit_draft(context: Context, body: DraftBody) -> dict[str, Any]:
    """Write the handover in one's own words, which are kept; a signature of the text before is gone then."""
    act = _act(context, body.via)
    return {"shift": signing.edit(context.database, _which(context, body), body.draft, act, _now(context), body.seen)}


@operation("POST", "/api/control/shift/sign-out", access=Access.OPERATOR)
def sign_out(context: Context, body: SignOutBody) -> dict[str, Any]:
    """Sign the handover as one who goes; its text is frozen."""
    act = _act(context, body.via)
    row = signing.sign_out(context.database, _which(context, body), act, _now(context), digest=body.digest)
    return {"shift": row}


@operation("POST", "/api/control/shift/sign-in", access=Access.OPERATOR)
def sign_in(context: Context, body: SignInBody) -> Created:
    """Sign the handover as one who comes, who has to be somebody else, and begin the next shift."""
    act = _act(context, body.via)
    row = signing.sign_in(
        context.database, _which(context, body), act, _now(context), people=body.people, digest=body.digest
    )
    return Created({"shift": row})


def _which(context: Context, body: WhichBody) -> int:
    if body.shift_id is not None:
        return body.shift_id
    row = signing.running_shift(context.database, body.name)
    if row is None:
        raise Conflict("nobody has the watch", field="shift_id", remedy="begin a shift first")
    return int(row["shift_id"])


def _act(context: Context, via: str) -> Act:
    caller = context.caller
    return Act(caller.user_name, "", via=via, roles=frozenset(map(str, caller.roles)))


def _now(context: Context) -> datetime:
    return context.services.clock()
