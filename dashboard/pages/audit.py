"""Audit: who did what to which object, with before and after. Nothing here can be changed, by nobody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import filters, panels
from dashboard.components.family import family
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.paging import older
from dashboard.links import Links, having, without
from dashboard.page import Page, View
from pandascope.addresses import Address

_PAGE_SIZE = 100
_HEADS = ["When (UTC)", "Who", "Did", "To", "Before and after", "Why", "By way of"]
_PAGES = {"incident": "incident", "job": "job", "task": "task"}
_MOST_CHANGES = 6
_LONGEST = 60


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            family("audit", links),
            html.Div(heading("Audit"), id="audit-head"),
            html.Div(id="audit-chips"),
            html.Div(panels.skeleton(300), id="audit-list"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    cursor = view.address.filters.get("cursor")
    answer = await view.client.audit(limit=_PAGE_SIZE, **view.filters, **({"cursor": cursor} if cursor else {}))
    base = without(view.address, "cursor")
    people = having(base, "is_automatic", "false")
    choice = (
        html.A("show automatic ones too", href=view.links.to(without(base, "is_automatic")))
        if "is_automatic" in base.filters
        else html.A("only what people did", href=view.links.to(people))
    )
    head = heading("Audit", below=[freshness(answer), choice], aside=copy_link())
    return [head, filters.chips(base, view.links, warnings=answer["warnings"]), _list(answer, view)]


def _list(answer: Mapping[str, Any], view: View) -> Any:
    if not answer["entries"]:
        return panels.empty("Nothing of this kind was done.")
    rows = [_row(entry, view) for entry in answer["entries"]]
    hint = html.Span("click a name, a verb or an object to see only these", className="dim")
    body = [panels.table(_HEADS, rows, class_name="audit cards"), older(answer, view)]
    return panels.panel("Newest first", body, aside=hint, flush=True)


def _row(entry: Mapping[str, Any], view: View) -> list[Any]:
    roles = ", ".join(entry["roles"] or []) or "none"
    who = _narrow(view, "who", entry["who"], f"roles: {roles}")
    automatic = html.Span(" by itself", className="dim") if entry["is_automatic"] else None
    return [
        html.Span(wording.clock_time(entry["time"]), className="mono nowrap"),
        html.Span([who, automatic]),
        _narrow(view, "action", entry["action"]),
        _object(entry, view),
        _difference(entry),
        html.Span(entry["reason"] or "", className="wrap"),
        html.Span([entry["via"], *_deed(entry, view)], className="dim nowrap"),
    ]


def _narrow(view: View, name: str, value: Any, title: str = "") -> html.A:
    """A value as a link to the rows that have it too."""
    words = str(value)
    meant = having(without(view.address, "cursor"), name, filters.literally(words))
    return html.A(
        words.replace("_", " ") if name == "action" else words, href=view.links.to(meant), title=title or None
    )


def _deed(entry: Mapping[str, Any], view: View) -> list[Any]:
    if not entry["deed_id"]:
        return []
    return [", deed ", _narrow(view, "deed_id", entry["deed_id"])]


def _object(entry: Mapping[str, Any], view: View) -> html.Span:
    """Kind and name; the kind leads to the object's page where it has one, the name to all that was done to it."""
    kind, name = str(entry["object_kind"]), str(entry["object_id"])
    page = _PAGES.get(kind)
    words: Any = html.Span(kind.replace("_", " "), className="dim")
    if page and name.isdecimal():
        words = html.A(kind, href=view.links.page(page, name), title="open it")
    target = having(having(without(view.address, "cursor"), "object_kind", kind), "object_id", filters.literally(name))
    return html.Span([words, " ", html.A(name, href=view.links.to(target), title="all that was done to it")])


def _difference(entry: Mapping[str, Any]) -> html.Div:
    """What changed, name by name; the whole is in the tooltip."""
    before, after = entry["before"] or {}, entry["after"] or {}
    if not isinstance(before, dict) or not isinstance(after, dict):
        return html.Div(f"{_short(before)} → {_short(after)}", className="mono")
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    lines = [_change(name, before, after) for name in names[:_MOST_CHANGES]]
    if len(names) > _MOST_CHANGES:
        lines.append(html.Div(f"and {len(names) - _MOST_CHANGES} more", className="dim"))
    whole = json.dumps({"before": before, "after": after}, indent=1, ensure_ascii=False)[:4000]
    return html.Div(lines, title=whole if names else "", className="changes")


def _change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> html.Div:
    old, new = before.get(name), after.get(name)
    words: list[Any] = [html.Span(f"{name.replace('_', ' ')} ", className="dim")]
    if name in before and old not in (None, ""):
        words += [html.Span(_short(old), className="mono old"), " → "]
    words.append(html.Span(_short(new) or "nothing", className="mono"))
    return html.Div(words)


def _short(value: Any) -> str:
    if value in (None, {}, []):
        return ""
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        value = ", ".join(str(one) for one in value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


PAGE = Page(
    name="audit",
    title=lambda address: "Audit",
    layout=_layout,
    regions=(("audit-head", "children"), ("audit-chips", "children"), ("audit-list", "children")),
    load=_load,
    topics=lambda address: ["deeds"],
)
