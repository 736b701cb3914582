"""Notices: who is told of what, does it get through, and what was told of which change? Routes above, the outbox below."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dash import html

from dashboard import signin, wording
from dashboard.components import buttons, filters, marks, panels
from dashboard.components.family import family
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.paging import older
from dashboard.links import Links, having, without
from dashboard.page import Page, View
from dashboard.pages import notice_actions
from pandascope.addresses import Address

_PAGE_SIZE = 100
_HEADS = ["Position", "Route", "To", "Of which incidents", "Which changes", "State", "How it goes"]
_SENT_HEADS = ["When (UTC)", "Route", "Change", "Incident", "State", "#Tries", "What came of it"]
_STATES = {
    "waiting": "it is sent when its time has come, or tried again",
    "sending": "it is on its way",
    "sent": "the receiver took it",
    "failed": "the receiver will not take it",
    "lost": "given up: nobody knows whether it arrived",
    "suppressed": "not sent on purpose: what came of it says why",
}
_USUAL = "opened, reopened, worse, resolved"
_BAD = ("failed", "lost")
_NOTHING = "Nothing was told yet: a notice goes out when an incident opens or changes and a route above wants to know."
WORKS = notice_actions.WORKS


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            family("notices", links),
            html.Div(heading("Notices"), id="notices-head"),
            html.Div(panels.skeleton(200), id="notices-routes"),
            html.Div(id="notices-chips"),
            html.Div(panels.skeleton(240), id="notices-list"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    cursor = view.address.filters.get("cursor")
    asked = view.client.notices(limit=_PAGE_SIZE, **view.filters, **({"cursor": cursor} if cursor else {}))
    routes, sent = await asyncio.gather(view.client.notice_routes(), asked)
    may_act = signin.may_act()
    add = html.Div(buttons.button("Add a route", "add-route", "new"), className="choices") if may_act else None
    title = wording.plural(len(routes["routes"]), "route") + " of notices"
    base = without(view.address, "cursor")
    return [
        heading(title, below=freshness(routes), aside=[add, copy_link()]),
        _routes(routes["routes"], may_act),
        filters.chips(base, view.links, warnings=sent["warnings"]),
        _outbox(sent, view, base),
    ]


def _routes(rows: Sequence[Mapping[str, Any]], may_act: bool) -> Any:
    how = None if may_act else html.P(signin.HOW, className="pad dim")
    if not rows:
        words = "Nobody is told of anything yet: a route says which changes of which incidents go where."
        return html.Div([panels.empty(words), how])
    heads = [*_HEADS, *([""] if may_act else [])]
    table = panels.table(heads, [_route(row, may_act) for row in rows], class_name="routes cards")
    aside = html.Span("asked in this order", className="dim")
    return panels.panel("Who is told", [table, how], aside=aside, flush=True)


def _route(row: Mapping[str, Any], may_act: bool) -> list[Any]:
    matcher = ", ".join(
        # a bare severity means the worse ones too (logger/notices/matching.py)
        f"severity at least {value}" if name == "severity" and value.isalpha() else filters.sentence({name: str(value)})
        for name, value in (row["matcher"] or {}).items()
    )
    final = html.Div("later routes hear nothing of it", className="dim") if row["is_final"] else None
    joined = f"joined by {', '.join(row['group_by'])}" if row["group_by"] else ""
    limits = f"waits {wording.duration(row['group_wait_s'])}, {row['max_per_hour']} an hour at most; {joined}".rstrip(
        "; "
    )
    cells = [
        str(row["position"]),
        html.Div([html.Strong(row["name"]), html.Div(row["channel"], className="dim")], title=limits),
        html.Span(row["target"], className="mono wrap notice-target"),
        html.Div([html.Span(matcher or "all", className="wrap"), final]),
        html.Span(", ".join(row["changes"]) or _USUAL, className="wrap"),
        html.Span("on") if row["is_active"] else html.Span("off", className="dim"),
        _health(row),
    ]
    return [*cells, _buttons(row)] if may_act else cells


def _health(row: Mapping[str, Any]) -> html.Div:
    said: list[Any] = []
    if row["failed"]:
        said.append(html.Span(f"{wording.count(row['failed'])} failed", className="chip chip-warning"))
    if row["waiting"]:
        oldest: list[Any] = [" since ", marks.age(row["oldest_waiting"])] if row.get("oldest_waiting") else []
        said.append(html.Div([f"{wording.count(row['waiting'])} waiting", *oldest]))
    last = html.Span(["last sent ", marks.age(row["sent_time"])]) if row["sent_time"] else "nothing sent yet"
    said.append(html.Div(last, className="dim"))
    if row["last_error"]:
        said.append(panels.folded(row["last_error"], 80, "dim"))
    return html.Div(said)


def _buttons(row: Mapping[str, Any]) -> html.Div:
    to = f"{row['route_id']}:{row['version']}:{row['name']}"  # the name is for the title of the dialogue
    turn = buttons.button("Off", "route-off", to) if row["is_active"] else buttons.button("On", "route-on", to)
    return buttons.row(
        buttons.button("Test", "test-route", to, title="send one message at once"),
        buttons.button("Edit", "edit-route", to),
        turn,
        buttons.button("Remove", "remove-route", to),
    )


def _outbox(answer: Mapping[str, Any], view: View, base: Address) -> html.Section:
    chosen = base.filters.get("state")
    choice = [
        html.A(
            state,
            href=view.links.to(without(base, "state") if state == chosen else having(base, "state", state)),
            className="chosen-state" if state == chosen else None,
            title=meaning,
        )
        for state, meaning in _STATES.items()
    ]
    if not answer["notices"]:
        words = "Nothing of this kind was told, and nothing waits to be." if base.filters else _NOTHING
        body: Any = panels.empty(words)
    else:
        body = [
            panels.table(
                _SENT_HEADS, [_notice(row, view.links) for row in answer["notices"]], class_name="outbox cards"
            ),
            older(answer, view),
        ]
    return panels.panel("What was told, newest first", body, aside=choice, flush=True)


def _notice(row: Mapping[str, Any], links: Links) -> list[Any]:
    number = row["incident_id"]
    what: Any = html.Span("a test", className="dim")
    if number:
        link = html.A(f"#{number}", href=links.page("incident", number))
        what = html.Span([link, " ", str(row["title"] or "")], title=row["title"] or "", className="clip")
    came = row["reason"] or row["last_error"] or row["answer"] or ""
    if row["state"] == "waiting" and row["next_try_time"]:
        when = wording.moment(row["next_try_time"])
        word = "again at" if when is not None and when > datetime.now(UTC) else "due since"
        came = f"{word} {wording.clock_time(row['next_try_time'])[11:]} UTC. {came}".strip()
    meaning = _STATES.get(row["state"])
    state = html.Span(row["state"], title=meaning, className="chip chip-warning" if row["state"] in _BAD else "")
    return [
        html.Span(wording.clock_time(row["sent_time"] or row["created_time"]), className="mono nowrap"),
        row["route"] or "",
        row["change"],
        what,
        state,
        str(row["attempts"]),
        panels.folded(came, class_name="came"),
    ]


PAGE = Page(
    name="notices",
    title=lambda address: "Notices",
    layout=_layout,
    regions=(
        ("notices-head", "children"),
        ("notices-routes", "children"),
        ("notices-chips", "children"),
        ("notices-list", "children"),
    ),
    load=_load,
    topics=lambda address: ["notices"],
)
