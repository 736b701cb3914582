"""Where changes of incidents are told: operators add, change, remove and test the routes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.identity.access import Access
from api.operations import Context, Created, operation
from api.strict import Id, StrictBody, Whole
from core.models.incident import ONE_OF
from core.monitor.closed import check_values
from core.monitor.filters import ANY
from logger.notices.routes import add_route, change_route, remove_route, shown
from logger.notices.testing import send_test

Via = Literal["api", "cli", "console", "web"]


class Origin(BaseModel):
    """From where it is done, for the audit."""

    via: Via = "api"


class RouteBody(StrictBody):
    """A route, or what of it changes."""

    name: str | None = Field(None, max_length=80)
    position: Whole | None = Field(None, description="routes are asked in this order")
    matcher: dict[str, str] | None = Field(
        None, description="severity (at least), kind, queue, owner, assigned_to, verdict, class, component: as filters"
    )
    channel: str | None = Field(None, description="webhook, slack or mail")
    target: str | None = Field(None, max_length=2000, description="address of the webhook, or a mail address")
    secret_name: str | None = Field(None, max_length=80, description="a key of [notices.secrets] in the settings")
    options: dict[str, bool] | None = Field(None, description="may_repeat")
    changes: list[str] | None = Field(None, description="empty: opened, reopened, worse, resolved")
    group_by: list[str] | None = Field(None, description="kind, severity, computing_site, verdict, component")
    group_wait_s: Whole | None = Field(None, description="how long a change waits for others, in seconds")
    max_per_hour: Whole | None = Field(None, description="messages; what comes beyond is joined")
    is_active: bool | None = None
    is_final: bool | None = Field(None, description="later routes hear nothing of what this one tells")
    via: Via = Field("api", description="from where it is done, for the audit")

    def fields(self) -> dict[str, Any]:
        """What was given. Raises InvalidInput for a matcher with a word that its column never holds: it would tell nobody
        of anything."""
        for name, value in (self.matcher or {}).items():
            if name in ONE_OF and value not in ANY:
                check_values(value.strip(), f"matcher.{name}", ONE_OF[name])
        return {name: value for name, value in self.model_dump(exclude={"version", "via"}).items() if value is not None}


class RouteChangeBody(RouteBody):
    """What of a route changes, and the version that its editor saw."""

    version: Id = Field(description="version of the route as it was read")


@operation("POST", "/api/control/notice-routes", access=Access.OPERATOR)
def add_notice_route(context: Context, body: RouteBody) -> Created:
    """Add a route."""
    row = add_route(context.database, body.fields(), context.caller.user_name, via=body.via, roles=_roles(context))
    return Created({"route": shown(row)})


@operation("PUT", "/api/control/notice-route/{route_id}", access=Access.OPERATOR)
def change_notice_route(context: Context, route_id: int, body: RouteChangeBody) -> dict[str, Any]:
    """Change what is given of a route; refused when somebody else changed it meanwhile."""
    who, roles = context.caller.user_name, _roles(context)
    row = change_route(context.database, route_id, body.fields(), body.version, who, via=body.via, roles=roles)
    return {"route": shown(row)}


@operation("DELETE", "/api/control/notice-route/{route_id}", access=Access.OPERATOR)
def remove_notice_route(context: Context, route_id: int, query: Origin) -> dict[str, Any]:
    """Remove a route; what waits for it is not sent."""
    who, roles = context.caller.user_name, _roles(context)
    return {"route": shown(remove_route(context.database, route_id, who, via=query.via, roles=roles))}


@operation("POST", "/api/control/notice-route/{route_id}/test", access=Access.OPERATOR)
def test_notice_route(context: Context, route_id: int, query: Origin) -> dict[str, Any]:
    """Send one message to a route at once, and say what its receiver answered and how long that took."""
    who, roles, clock = context.caller.user_name, _roles(context), context.services.clock
    found = send_test(context.database, context.settings, route_id, who, clock, via=query.via, roles=roles)
    return {"test": found}


def _roles(context: Context) -> list[str]:
    return [str(role) for role in context.caller.roles]
