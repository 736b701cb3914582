"""Filters as people see them: chips that can be taken off, a rail of facets with counts, the window.

Every control is a link to the address it leads to, so that back, forward, middle click and copying work by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import marks
from dashboard.components.attributes import attributes
from dashboard.links import Links, bare, having, without
from dashboard.palette import Look, look
from pandascope.addresses import Address

WINDOW_FIELDS = ("hours", "days", "date_from", "date_to")
_WINDOWS = (("1", "1 h"), ("6", "6 h"), ("24", "24 h"), ("168", "7 d"))
_IDENTITY_FIELDS = ("panda_id", "jedi_task_id", "incident")

LABELS: dict[str, str] = {
    "job_status": "State",
    "computing_site": "Queue",
    "queue_name": "Queue",
    "gshare": "Share",
    "vo": "VO",
    "transformation": "Program",
    "object": "Object",
    "storage_endpoint": "Storage",
    "prod_user_name": "User",
    "jedi_task_id": "Task",
    "prod_source_label": "Label",
    "processing_type": "Processing",
    "modification_host": "Worker node",
    "error": "Error",
    "incident": "Incident",
    "panda_id": "PandaID",
    "q": "Text",
    "state": "State",
    "severity": "Severity",
    "kind": "Kind",
    "component": "Component",
    "owner": "Owner",
    "fingerprint": "Fingerprint",
    "date_from": "From",
    "date_to": "To",
    "hours": "Hours",
    "days": "Days",
    "status": "State",
    "user_name": "User",
    "assigned_to": "Assigned to",
    "verdict": "Whose fault",
    "class": "Class",
    "who": "Who",
    "action": "Action",
    "object_kind": "Kind of object",
    "object_id": "Object",
    "deed_id": "Deed",
    "via": "By way of",
    "name": "Name",
    "inhibited": "Explained by another",
    "rule_name": "Alarm rule",
    "route": "Route",
    "change": "Change",
    "ended": "Ended",
    "is_automatic": "Done by",
}


def label(field: str) -> str:
    """A field's name on screen."""
    return LABELS.get(field) or field.replace("_", " ").capitalize()


def sentence(filters: Mapping[str, str]) -> str:
    """The filters in words, for titles: 'State failed, Queue BNL'."""
    return ", ".join(
        f"{label(name)} {_words(name, value)}" for name, value in filters.items() if name not in WINDOW_FIELDS
    )


def _note(warning: str) -> str:
    """What the server says about a field, which it calls by the name in addresses."""
    field, colon, rest = warning.partition(": ")
    return f"{label(field)}: {rest}" if colon and field in LABELS else warning


def chips(address: Address, links: Links, *, warnings: Sequence[str] = ()) -> html.Div:
    """The filters in force, each a link that takes it off, then what the server says about them."""
    shown = [_chip(name, value, address, links) for name, value in address.filters.items()]
    notes = [html.Span(_note(text), className="chip chip-warning", role="status") for text in warnings]
    clear = []
    if len(address.filters) > 1:
        clear = [html.A("clear all", href=links.to(bare(address)), className="chip-clear")]
    return html.Div(
        [*shown, *notes, *clear], className="chips", role="list", **attributes(aria_label="filters in force")
    )


def windows(address: Address, links: Links, *, default_hours: str) -> html.Nav:
    """The time windows as links; the one in force is marked."""
    plain = not any(name in address.filters for name in (*WINDOW_FIELDS, *_IDENTITY_FIELDS))
    current = default_hours if plain else address.filters.get("hours", "")
    return html.Nav(
        [
            html.A(
                text,
                href=links.to(with_hours(address, hours)),
                className="window-choice chosen" if hours == current else "window-choice",
                **attributes(aria_current="true" if hours == current else None),
            )
            for hours, text in _WINDOWS
        ],
        className="windows",
        **attributes(aria_label="time window"),
    )


_WORDED = frozenset({"kind", "object_kind"})
"""Facets whose values are words of ours, said as people say them; all others are names, and stand as they are."""


def facet_rail(
    facets: Mapping[str, Sequence[dict[str, Any]]],
    address: Address,
    links: Links,
    *,
    looks: Mapping[str, dict[str, Look]] | None = None,
    exact: bool = True,
) -> html.Div:
    """Values with counts. Click narrows, a second click widens again, alt-click excludes (assets/navigation.js)."""
    groups = [
        _facet(name, values, address, links, (looks or {}).get(name))
        for name, values in facets.items()
        if len(values) > 0
    ]
    if not groups:
        return html.Div("Nothing to narrow.", className="facet-hint")
    hint = html.P("Click to narrow, click again to widen, Alt+click to exclude.", className="facet-hint")
    estimate = [] if exact else [html.P("Counts are estimated: the window is wide.", className="facet-estimate")]
    return html.Div([*estimate, *groups, hint], className="facet-groups")


def _facet(
    field: str, values: Sequence[dict[str, Any]], address: Address, links: Links, looks: dict[str, Look] | None
) -> html.Details:
    top = max((int(value["count"]) for value in values), default=1) or 1
    rows = [html.Li(_facet_value(field, value, top, address, links, looks)) for value in values]
    head = html.Summary([html.Span(label(field)), html.Span(str(len(values)), className="facet-size")])
    return html.Details([head, html.Ul(rows)], open=True, className="facet", id=f"facet-{field}")


def _facet_value(
    field: str, entry: dict[str, Any], top: int, address: Address, links: Links, looks: dict[str, Look] | None
) -> html.A:
    shown = _as_filter(entry["value"])
    value = shown if entry["value"] in (None, "") else literally(shown)
    chosen = address.filters.get(field) == value
    excluded = having(address, field, _excluding(address.filters.get(field), value))
    target = without(address, field) if chosen else having(address, field, value)
    text = html.Span(shown.replace("_", " ") if field in _WORDED else shown, className="facet-value", title=shown)
    name = [marks.shape(look(looks, shown)), text] if looks is not None else [text]
    return html.A(
        [
            html.Span(className="facet-bar", style={"width": f"{100 * int(entry['count']) / top:.1f}%"}),
            html.Span(name, className="facet-name"),
            html.Span(wording.count(entry["count"]), className="facet-count"),
        ],
        href=links.to(target),
        className="facet-row chosen" if chosen else "facet-row",
        **attributes(data_not=links.to(excluded), aria_pressed="true" if chosen else "false"),
    )


def _chip(name: str, value: str, address: Address, links: Links) -> html.Span:
    shown = _words(name, value)
    return html.Span(
        [
            html.Span(label(name), className="chip-field"),
            html.Span(shown, className="chip-value"),
            html.A(
                "×",
                href=links.to(without(address, name)),
                className="chip-off",
                title="take this filter off",
                **attributes(aria_label=f"take off the filter {label(name)} {shown}"),
            ),
        ],
        className="chip chip-not" if value.startswith("!") else "chip",
        role="listitem",
    )


_SAID = {
    "is_automatic": {"true": "the server by itself", "false": "people"},
    "inhibited": {"*": "shown too"},
    "ended": {"1": "shown too"},
    "state": {"*": "any"},
}
"""Values that say nothing by themselves."""


def _excluding(current: str | None, value: str) -> str:
    """The filter that excludes `value` too."""
    return f"{current}|{value}" if current and current.startswith("!") else f"!{value}"


def _as_filter(value: Any) -> str:
    return "Not specified" if value in (None, "") else str(value)


def _words(name: str, value: str) -> str:
    if name in _SAID:
        return _SAID[name].get(value, value)
    value = value.replace("_", " ") if name in _WORDED else value
    negated = value.startswith("!")
    words = re.sub(r"(?<!\\)\|", " or ", value.removeprefix("!"))
    return ("not " if negated else "") + re.sub(r"\\([\\|*!])", r"\1", words)


def with_hours(address: Address, hours: str) -> Address:
    """The address with the window set to the last hours."""
    return having(without(address, *WINDOW_FIELDS), "hours", hours)


def literally(value: str) -> str:
    """A value as a filter that means exactly it: the signs of the grammar are escaped."""
    return re.sub(r"([\\|*!])", r"\\\1", value)
