"""What can be done about routes of notices: add, change, switch, remove, and send a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dash import html

from dashboard import wording
from dashboard.components import marks
from dashboard.works import Question, Values, Work
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

_CHANNELS = (("webhook", "webhook"), ("slack", "chat room (Slack, Mattermost, Rocket.Chat)"), ("mail", "mail"))
_YES_NO = (("false", "no"), ("true", "yes"))
_USUAL = "opened, reopened, worse, resolved"


def _questions(route: Mapping[str, Any]) -> list[Question]:
    matcher = "\n".join(f"{name}={value}" for name, value in (route.get("matcher") or {}).items())
    is_new = not route
    target = "an address, or one mail address" if is_new else f"now at {route['target']}; empty: stays as it is"
    may_repeat = "true" if (route.get("options") or {}).get("may_repeat") else "false"
    return [
        Question("name", "Name", value=str(route.get("name", ""))),
        Question("channel", "Channel", "choice", str(route.get("channel", "webhook")), _CHANNELS),
        Question("target", "To", hint=target),
        Question("secret_name", "Secret", value=str(route.get("secret_name") or ""), hint="a key of [notices.secrets]"),
        Question(
            "matcher", "Of which incidents", "long", matcher,
            hint="one NAME=VALUE on each line, all must hold: severity, kind, queue, owner, verdict, class, ...; empty: of all",
        ),
        Question("changes", "Which changes", value=", ".join(route.get("changes") or []) or _USUAL,
                 hint="opened, acknowledged, assigned, silenced, unsilenced, reopened, resolved, worse"),
        Question("group_by", "Joined by", value=", ".join(route.get("group_by") or []),
                 hint="kind, severity, computing_site, verdict, component; empty: all that is due is one message"),
        Question("group_wait_s", "Waits (seconds)", value=_number(route.get("group_wait_s", 10)), hint="for its verdict"),
        Question("max_per_hour", "Messages an hour at most", value=_number(route.get("max_per_hour", 60))),
        Question("position", "Position", value=_number(route.get("position", 0)), hint="routes are asked in this order"),
        Question("is_final", "Later routes hear nothing of it", "choice", "true" if route.get("is_final") else "false", _YES_NO),
        Question("may_repeat", "The receiver drops what it has already", "choice", may_repeat, _YES_NO,
                 "then what may have arrived comes again instead of being given up"),
    ]  # fmt: skip


def _number(value: Any) -> str:
    return f"{float(value):g}"


def _route(values: Values, *, is_new: bool) -> dict[str, Any]:
    matcher: dict[str, str] = {}
    for line in values["matcher"].splitlines():
        name, sign, value = line.partition("=")
        if line.strip() and not sign:
            raise Usage(f"'{line.strip()}' says nothing", field="matcher", remedy="NAME=VALUE on each line")
        if sign:
            matcher[name.strip()] = value.strip()
    found: dict[str, Any] = {
        "name": values["name"],
        "channel": values["channel"],
        "secret_name": values["secret_name"],
        "matcher": matcher,
        "changes": _names(values["changes"]),
        "group_by": _names(values["group_by"]),
        "group_wait_s": _read(values, "group_wait_s"),
        "max_per_hour": _read(values, "max_per_hour"),
        "position": _read(values, "position"),
        "is_final": values["is_final"] == "true",
        "options": {"may_repeat": True} if values["may_repeat"] == "true" else {},
    }
    return {**found, "target": values["target"]} if is_new or values["target"] else found


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _read(values: Values, name: str) -> int:
    try:
        return int(values[name])
    except ValueError:
        raise Usage(f"'{values[name]}' is no whole number", field=name) from None


async def _found(client: AsyncClient, to: str) -> dict[str, Any]:
    number = to.partition(":")[0]
    for route in (await client.notice_routes())["routes"]:
        if str(route["route_id"]) == number:
            return dict(route)
    raise Usage(f"there is no route {number} any more", field="route_id", remedy="look at the list")


async def _ask_new(client: AsyncClient, to: str) -> Sequence[Question]:
    return _questions({})


async def _ask(client: AsyncClient, to: str) -> Sequence[Question]:
    return _questions(await _found(client, to))


async def _add(client: AsyncClient, to: str, values: Values) -> str:
    route = await client.add_notice_route(_route(values, is_new=True))
    return f"Route {route['name']} is there. Its test button says whether it gets through."


async def _change(client: AsyncClient, to: str, values: Values) -> str:
    number, version, _ = to.split(":", 2)
    route = await client.change_notice_route(int(number), int(version), _route(values, is_new=False))
    return f"Route {route['name']} is changed."


def _switch(is_active: bool) -> Any:
    async def carry_out(client: AsyncClient, to: str, values: Values) -> str:
        number, version, _ = to.split(":", 2)
        route = await client.change_notice_route(int(number), int(version), {"is_active": is_active})
        return f"Route {route['name']} is {'on' if is_active else 'off: nothing is told there'}."

    return carry_out


async def _remove(client: AsyncClient, to: str, values: Values) -> str:
    route = await client.remove_notice_route(int(to.partition(":")[0]))
    return f"Route {route['name']} is gone."


async def _test(client: AsyncClient, to: str, values: Values) -> html.Div:
    answer = await client.test_notice_route(int(to.partition(":")[0]))
    if answer["is_taken"]:
        words = f"The receiver took the test message within {wording.duration(answer['ms'] / 1000)}."
    else:
        words = f"The test message did not get through ({str(answer['known']).replace('_', ' ')})."
    status = f"{answer['status']}: " if answer.get("status") else ""
    said = marks.mono(f"{status}{answer['answer']}", class_name="wrap") if answer.get("answer") else None
    return html.Div(
        [html.Strong(words), said], className="outcome-line" if answer["is_taken"] else "outcome-line is-bad"
    )


def _named(to: str) -> str:
    """Routes are known by their names: `to` is number, version seen and name."""
    return to.split(":", 2)[2]


WORKS: tuple[Work, ...] = (
    Work("add-route", "Add a route", _add, "Add", ask=_ask_new, is_wide=True),
    Work("edit-route", "Change route {to}", _change, "Keep", ask=_ask, is_wide=True, named=_named),
    Work("route-on", "Switch on", _switch(True), is_instant=True),
    Work("route-off", "Switch off", _switch(False), is_instant=True),
    Work(
        "remove-route",
        "Remove route {to}",
        _remove,
        "Remove",
        sentence="What waits for it is told nobody; what was sent stays in the list.",
        named=_named,
    ),
    Work("test-route", "Test", _test, is_instant=True),
)
