"""What people do to incidents: one incident, one step, at once. Actions on many go through a preview (`deeds`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.identity.access import Access
from api.operations import Context, Created, operation
from api.strict import Id, StrictBody
from logger.decisions import MOST_LINKS, Ending
from logger.events import Severity
from logger.life import Act
from logger.manual import MOST_JOBS, ManualIncident
from logger.store import MAX_COMMENT_CHARACTERS, IncidentStore

Via = Literal["api", "cli", "console", "web"]


class CommentBody(StrictBody):
    """Why, for those who come after."""

    comment: str = Field("", max_length=MAX_COMMENT_CHARACTERS)
    via: Via = "api"


class TakenBackQuery(BaseModel):
    """From where, when there is no body."""

    via: Via = "api"


class ResolveBody(CommentBody):
    """What ended it."""

    reason: Ending = Field("", description="fixed, not_a_problem, duplicate or moved; empty: as the comment says")


class AssignBody(CommentBody):
    """Who is asked to look."""

    who: str = Field(max_length=200, description="a name; empty: nobody any more")


class SeverityBody(CommentBody):
    """How severe it is by a person's judgement."""

    severity: Severity


class Link(StrictBody):
    """An address where more is said."""

    title: str = Field("", max_length=200)
    url: str = Field(max_length=2000)


class LinksBody(CommentBody):
    """All links of the incident; they take the place of those before."""

    links: list[Link] = Field(max_length=MOST_LINKS)


class OpenBody(StrictBody):
    """An incident that no rule saw."""

    kind: Literal["manual"] = "manual"
    title: str = Field(max_length=500)
    severity: Severity = "error"
    queue: str = Field("", max_length=200)
    task: Id | None = None
    text: str = Field("", max_length=MAX_COMMENT_CHARACTERS)
    panda_ids: list[Id] = Field(default_factory=list, max_length=MOST_JOBS, description="jobs that it covers")
    via: Via = "api"


class MergeBody(CommentBody):
    """The incident that stays."""

    into: Id


class SplitBody(CommentBody):
    """What becomes an incident of its own."""

    dimension: str = Field(description="computing_site, jedi_task_id, prod_user_name, modification_host, storage, ...")
    value: str = Field(max_length=200)


@operation("POST", "/api/control/incident/{incident_id}/acknowledge", access=Access.OPERATOR)
def acknowledge(context: Context, incident_id: int, body: CommentBody) -> dict[str, Any]:
    """Take an incident: the caller becomes its owner."""
    return {"incident": store_of(context).acknowledge(incident_id, act_of(context, body))}


@operation("POST", "/api/control/incident/{incident_id}/resolve", access=Access.OPERATOR)
def resolve(context: Context, incident_id: int, body: ResolveBody) -> dict[str, Any]:
    """Say that the trouble is over; if it comes back it is a new incident."""
    return {"incident": store_of(context).resolve(incident_id, act_of(context, body), reason=body.reason)}


@operation("POST", "/api/control/incident/{incident_id}/reopen", access=Access.OPERATOR)
def reopen(context: Context, incident_id: int, body: CommentBody) -> dict[str, Any]:
    """Say that it is not over, or that nobody has it any more; a silenced one is heard again."""
    return {"incident": store_of(context).reopen(incident_id, act_of(context, body))}


@operation("POST", "/api/control/incident/{incident_id}/assign", access=Access.OPERATOR)
def assign(context: Context, incident_id: int, body: AssignBody) -> dict[str, Any]:
    """Ask somebody to look at an incident."""
    return {"incident": store_of(context).assign(incident_id, body.who, act_of(context, body))}


@operation("POST", "/api/control/incident/{incident_id}/comment", access=Access.OPERATOR)
def comment(context: Context, incident_id: int, body: CommentBody) -> dict[str, Any]:
    """Write down what is known of an incident."""
    return {"incident": store_of(context).comment(incident_id, act_of(context, body))}


@operation("POST", "/api/control/incident/{incident_id}/hold", access=Access.OPERATOR)
def hold(context: Context, incident_id: int, body: CommentBody) -> dict[str, Any]:
    """Keep automation from ending an incident and from changing how severe it is."""
    return {"incident": store_of(context).hold(incident_id, act_of(context, body))}


@operation("POST", "/api/control/incident/{incident_id}/release", access=Access.OPERATOR)
def release(context: Context, incident_id: int, body: CommentBody) -> dict[str, Any]:
    """Let automation act on an incident again, or take it out from under the central one that explains it."""
    return {"incident": store_of(context).release(incident_id, act_of(context, body))}


@operation("POST", "/api/control/incident/{incident_id}/severity", access=Access.OPERATOR)
def severity(context: Context, incident_id: int, body: SeverityBody) -> dict[str, Any]:
    """Say how severe an incident is; no rule changes it until it is released."""
    return {"incident": store_of(context).set_severity(incident_id, body.severity, act_of(context, body))}


@operation("POST", "/api/control/incident/{incident_id}/links", access=Access.OPERATOR)
def links(context: Context, incident_id: int, body: LinksBody) -> dict[str, Any]:
    """Say where more is written of an incident: tickets, pages. The links take the place of those before."""
    kept = [link.model_dump() for link in body.links]
    return {"incident": store_of(context).set_links(incident_id, kept, act_of(context, body))}


@operation("POST", "/api/control/incidents", access=Access.OPERATOR)
def open_incident(context: Context, body: OpenBody) -> Created:
    """Open an incident by hand, for what no rule saw."""
    draft = ManualIncident(body.title, body.severity, body.queue, body.task, body.text, body.panda_ids)
    return Created({"incident": store_of(context).open_manually(draft, act_of(context, via=body.via))})


@operation("POST", "/api/control/incident/{incident_id}/merge", access=Access.OPERATOR)
def merge(context: Context, incident_id: int, body: MergeBody) -> dict[str, Any]:
    """Put all of an incident into another one, what is there and what will come."""
    incident, link = store_of(context).merge(incident_id, body.into, act_of(context, body))
    return {"incident": incident, "link": _shown(link)}


@operation("POST", "/api/control/incident/{incident_id}/split", access=Access.OPERATOR)
def split(context: Context, incident_id: int, body: SplitBody) -> dict[str, Any]:
    """Make what has one value an incident of its own, what is there and what will come."""
    incident, link = store_of(context).split(incident_id, body.dimension, body.value, act_of(context, body))
    return {"incident": incident, "link": _shown(link)}


@operation("DELETE", "/api/control/fingerprint-link/{link_id}", access=Access.OPERATOR)
def undo_link(context: Context, link_id: int, query: TakenBackQuery) -> dict[str, Any]:
    """Take a merge or a split back: everything goes where it would be without it."""
    incident, link = store_of(context).undo_link(link_id, act_of(context, via=query.via))
    return {"incident": incident, "link": _shown(link)}


def _shown(link: dict[str, Any]) -> dict[str, Any]:
    """Without what is kept for taking it back."""
    return {name: value for name, value in link.items() if name != "moved"}


def act_of(context: Context, body: CommentBody | None = None, via: str = "api") -> Act:
    """Who asks for what and from where, with the roles of its token."""
    caller, said = context.caller, body or CommentBody(via="api")
    roles = frozenset(map(str, caller.roles))
    return Act(caller.user_name, "", said.comment, via=said.via if body else via, roles=roles)


def store_of(context: Context) -> IncidentStore:
    """The incident store of this request."""
    return IncidentStore(context.database, context.services.clock)
