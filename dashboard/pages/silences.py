"""Silences: of what is nobody told, why, until when, and is that still right? Those that grew are marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dash import html

from dashboard import ends, signin, wording
from dashboard.components import filters, panels
from dashboard.components.buttons import button
from dashboard.components.family import family
from dashboard.components.heading import freshness, heading
from dashboard.components.paging import older
from dashboard.components.silence_table import silence_table
from dashboard.links import Links, bare, having, without
from dashboard.page import Page, View
from dashboard.works import Question, Values, Work
from pandascope.addresses import Address
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

_PAGE_SIZE = 100
_ANY = "any"
"""What a choice says when it filters nothing."""
_KINDS = (
    (_ANY, "any"),
    ("failure_burst", "failure burst: jobs fail alike"),
    ("absence", "absence: what should come does not"),
    ("backlog", "backlog: work waits too long"),
    ("service", "service: a part of the system is in trouble"),
    ("data", "data: files or storage"),
    ("manual", "opened by hand"),
)
_SEVERITIES = ((_ANY, "any"), ("critical", "critical"), ("error", "error"), ("warning", "warning"))
_MATCHED = (
    Question("computing_site", "Queue", hint="as in filters: CERN*, CERN|BNL"),
    Question("component", "Component"),
    Question("error_class", "Kind of error", hint="storage, network, node, user, ..."),
    Question("kind", "Kind of incident", "choice", _ANY, _KINDS),
    Question("severity", "Severity", "choice", _ANY, _SEVERITIES),
    Question("q", "Text in title or failing line"),
)
_AS_FILTER = {"error_class": "class"}


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            family("silences", links),
            html.Div(heading("Silences"), id="silences-head"),
            html.Div(id="silences-chips"),
            html.Div(panels.skeleton(240), id="silences-list"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    cursor = view.address.filters.get("cursor")
    answer = await view.client.silences(limit=_PAGE_SIZE, **view.filters, **({"cursor": cursor} if cursor else {}))
    rows, may_act = answer["silences"], signin.may_act()
    is_all = "ended" in view.address.filters
    head = heading(
        "Silences" if is_all else wording.plural(len(rows), "silence"),
        below=[freshness(answer), _choice(view, is_all)],
        aside=html.Div(button("Silence what matches …", "silence-matching", "new"), className="choices")
        if may_act
        else None,
    )
    shown = filters.chips(without(view.address, "cursor", "ended"), view.links, warnings=answer["warnings"])
    return [head, shown, _list(rows, answer, view, may_act)]


def _choice(view: View, is_all: bool) -> html.A:
    if is_all:
        return html.A("show only those in force", href=view.links.to(without(view.address, "ended", "cursor")))
    return html.A("show ended ones too", href=view.links.to(having(view.address, "ended", "1")))


def _list(rows: Sequence[dict[str, Any]], answer: dict[str, Any], view: View, may_act: bool) -> Any:
    if not rows and without(view.address, "ended", "cursor").filters:
        everything = html.A("Clear all filters", href=view.links.to(bare(view.address)), className="button")
        return panels.empty("No silence passes these filters.", everything)
    if not rows:
        words = "Nothing is silenced: whatever opens is told. An incident is silenced on its page, or several from the list."
        return panels.empty(words, html.A("Incidents", href=view.links.page("incidents"), className="button"))
    table = silence_table(rows, view.links, may_act=may_act)
    how = None if may_act else html.P(signin.HOW, className="pad dim")
    return panels.panel("Of what nobody is told", [table, how, older(answer, view)], flush=True)


async def _end(client: AsyncClient, to: str, values: Values) -> str:
    row = await client.end_silence(int(to))
    return f"Silence {row['silence_id']} is over: it is told again."


async def _match(client: AsyncClient, to: str, values: Values) -> str:
    said = {one.name: values.get(one.name, "") for one in _MATCHED}
    matcher = {_AS_FILTER.get(name, name): value for name, value in said.items() if value not in ("", _ANY)}
    if not matcher:
        raise Usage("of which incidents?", field="matcher", remedy="fill in at least one of the fields above")
    made = await client.silence_matching(matcher, reason=values["reason"], **ends.silence_end(values))
    caught = wording.plural(len(made["incidents"]), "incident")
    return f"Silence {made['silence']['silence_id']}: {caught} at once, and whatever like it opens until it ends."


WORKS: tuple[Work, ...] = (
    Work("end-silence", "End silence {to}", _end, is_instant=True),
    Work(
        "silence-matching",
        "Silence what matches",
        _match,
        "Silence",
        (*_MATCHED, *ends.MATCHER_QUESTIONS, Question("reason", "Why", hint="stands beside it in the list")),
        sentence="Incidents with all of these are silent now, and those that open until it ends. They are counted all the same.",
    ),
)

PAGE = Page(
    name="silences",
    title=lambda address: "Silences",
    layout=_layout,
    regions=(("silences-head", "children"), ("silences-chips", "children"), ("silences-list", "children")),
    load=_load,
    topics=lambda address: ["silences", "incidents"],
)
