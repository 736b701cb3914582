"""Audit: who did what to which object, and what is different since. Nothing here can be changed, by nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, html

from dashboard import wording
from dashboard.components import audit_words, filters, panels
from dashboard.components.family import family
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.narrow_form import Field, NarrowForm
from dashboard.components.paging import older
from dashboard.context import Monitor
from dashboard.links import Links, bare, having, without
from dashboard.page import Page, View
from pandascope.addresses import Address

_PAGE_SIZE = 100
_HEADS = ["When (UTC)", "Who did what, and why", "What changed", "By way of"]
_PAGES = {"incident": "incident", "job": "job", "task": "task", "shift": "shift"}
_MOST_CHANGES = 5
_LONGEST, _LONGEST_WHOLE = 90, 2000

_HOURS = (("1", "the last hour"), ("8", "8 hours"), ("24", "24 hours"), ("168", "7 days"), ("720", "30 days"))
_FORM = NarrowForm(
    "audit",
    (
        Field("who", "Who", placeholder="ol*, olga|otto"),
        Field("action", "Action", suggestions=sorted(audit_words.DID), placeholder="drain, undo *"),
        Field("object_kind", "Kind of object", tuple(audit_words.KINDS.items())),
        Field("object_id", "Object", placeholder="its name or number"),
        Field("q", "Text in the reason"),
        Field("is_automatic", "Done by", (("false", "people"), ("true", "the server by itself"))),
        Field("outcome", "How it went", (("done", "done"), ("partly", "in part"), ("failed", "not at all"))),
        Field("via", "By way of", tuple(audit_words.WAYS.items())),
        Field("hours", "When", _HOURS),
        Field("date_from", "From (UTC)", placeholder="2026-11-27 06:00"),
        Field("date_to", "Until (UTC)", placeholder="2026-11-27 14:00"),
    ),
)


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            family("audit", links),
            html.Div(heading("Audit"), id="audit-head"),
            _FORM.draw(address),
            html.Div(id="audit-chips"),
            html.Div(panels.skeleton(300), id="audit-list"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    cursor = view.address.filters.get("cursor")
    answer = await view.client.audit(limit=_PAGE_SIZE, **view.filters, **({"cursor": cursor} if cursor else {}))
    base = without(view.address, "cursor")
    head = heading("Audit", below=freshness(answer), aside=copy_link())
    chips = filters.chips(base, view.links, warnings=answer["warnings"])
    return [head, chips, _list(answer, view), *_FORM.values(view.address, is_signal=view.is_signal)]


def _list(answer: Mapping[str, Any], view: View) -> Any:
    if not answer["entries"]:
        if not view.filters:
            return panels.empty("Nobody has changed anything yet: whatever is done from now on stands here.")
        everything = html.A("Clear all filters", href=view.links.to(bare(view.address)), className="button")
        return panels.empty("Nothing that passes these filters was done.", everything)
    rows = [_row(entry, view) for entry in answer["entries"]]
    hint = html.Span("click a name, a verb or an object to see only these", className="dim")
    keys = [str(entry["audit_id"]) for entry in answer["entries"]]
    body = [panels.table(_HEADS, rows, class_name="audit cards", keys=keys), older(answer, view)]
    return panels.panel("Newest first", body, aside=hint, flush=True)


def _row(entry: Mapping[str, Any], view: View) -> list[Any]:
    reason = html.Div(entry["reason"], className="comment wrap") if entry["reason"] else None
    return [
        html.Span(wording.clock_time(entry["time"]), className="mono nowrap"),
        html.Div([_sentence(entry, view), reason]),
        _difference(entry),
        html.Span(audit_words.way(str(entry["via"] or "")), className="dim nowrap"),
    ]


def _sentence(entry: Mapping[str, Any], view: View) -> html.Div:
    """'olga drained 1 queue: CERN (deed 4)': every part is a link to the rows that have it too."""
    roles = ", ".join(entry["roles"] or []) or "none"
    who = _narrow(view, "who", entry["who"], title=f"roles: {roles}")
    verb = _narrow(view, "action", entry["action"], audit_words.did(entry), title=str(entry["action"]))
    automatic = html.Span(", by itself", className="dim") if entry["is_automatic"] else None
    outcome = audit_words.outcome(entry)
    went = html.Span(outcome, className="chip chip-warning" if _went_badly(entry) else "chip") if outcome else None
    return html.Div([who, " ", verb, " ", *_object(entry, view), automatic, *_deed(entry, view), " ", went])


def _went_badly(entry: Mapping[str, Any]) -> bool:
    after = entry["after"] if isinstance(entry["after"], dict) else {}
    return bool(after.get("refused"))


def _narrow(view: View, name: str, value: Any, words: str = "", *, title: str = "") -> html.A:
    """A value as a link to the rows that have it too."""
    meant = having(without(view.address, "cursor"), name, filters.literally(str(value)))
    return html.A(words or str(value), href=view.links.to(meant), title=title or None)


def _deed(entry: Mapping[str, Any], view: View) -> list[Any]:
    if not entry["deed_id"]:
        return []
    words = f"deed {entry['deed_id']}"
    return [" (", _narrow(view, "deed_id", entry["deed_id"], words, title="all that this deed did"), ")"]


def _object(entry: Mapping[str, Any], view: View) -> list[Any]:
    """Kind and name; the kind leads to the object's page where it has one, the name to all that was done to it."""
    targets = audit_words.targets(entry)
    if targets:
        return [html.Span(targets, className="wrap")]
    kind, name = str(entry["object_kind"]), str(entry["object_id"])
    page, words = _PAGES.get(kind), audit_words.kind_words(entry)
    if page and name.isdecimal():
        shown = html.A(words, href=view.links.page(page, name), title="open it")
    else:
        shown = _narrow(view, "object_kind", kind, words, title="all that was done to things of this kind")
    target = having(having(without(view.address, "cursor"), "object_kind", kind), "object_id", filters.literally(name))
    return [shown, " ", html.A(name, href=view.links.to(target), title="all that was done to it", className="wrap")]


def _difference(entry: Mapping[str, Any]) -> html.Div:
    """What is another now, in some lines; the whole is folded away below."""
    found = audit_words.changes(entry)
    first = [change for change in found if not change.is_aside][:_MOST_CHANGES]
    if not found:
        return html.Div(html.Span("–", className="dim"), className="changes")
    whole = html.Details([html.Summary("details"), _whole(found)]) if _needs_more(found, first) else None
    return html.Div([*(_change(change) for change in first), whole], className="changes")


def _needs_more(found: Sequence[audit_words.Change], first: Sequence[audit_words.Change]) -> bool:
    longest = max((len(words) for change in first for words in (change.before or "", change.after)), default=0)
    return len(found) > len(first) or longest > _LONGEST


def _change(change: audit_words.Change) -> html.Div:
    words: list[Any] = [html.Span(f"{change.name} ", className="dim")]
    if change.before is not None:
        words += [html.Span(_short(change.before), className="old"), " → "]
    words.append(html.Span(_short(change.after), className="new"))
    return html.Div(words)


def _whole(found: Sequence[audit_words.Change]) -> html.Dl:
    """Everything, with the long texts whole."""
    return html.Dl(
        [
            html.Div([html.Dt(change.name), html.Dd(_whole_text(change.before)), html.Dd(_whole_text(change.after))])
            for change in found
        ],
        className="whole-difference",
    )


def _whole_text(text: str | None) -> str:
    return "–" if text is None else text[:_LONGEST_WHOLE]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _more(app: Dash, monitor: Monitor) -> None:
    _FORM.register(app)


PAGE = Page(
    name="audit",
    title=lambda address: "Audit",
    layout=_layout,
    regions=(
        ("audit-head", "children"),
        ("audit-chips", "children"),
        ("audit-list", "children"),
        *_FORM.regions,
    ),
    load=_load,
    topics=lambda address: ["deeds", "incidents", "silences", "rules", "notices", "shift"],
    more=_more,
)
