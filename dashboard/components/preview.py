"""The preview of an action: what would follow in counts and sentences, to what, until when, and what takes it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import buttons, marks

_SHOWN = 12
_GRAVE = ("stranded", "refused", "still_failing", "of_others", "open_incidents", "unknown", "not_yours", "input_lost")
"""Consequences that people might not have thought of."""
_VERBS = {
    "drain": "Drain",
    "undrain": "Give work again to",
    "online": "Put online",
    "test": "Only test jobs to",
    "offline": "Take offline",
}


def preview(made: Mapping[str, Any], *, accept_ended: bool = False) -> html.Div:
    """What an action would do, as the server counted it; nothing is changed yet."""
    return html.Div(
        [
            html.Ul([_consequence(one) for one in made["consequences"]], className="consequences"),
            _targets(made),
            html.P(_way_back(made), className="way-back"),
            html.P("Those that end by themselves meanwhile are left out.", className="dim") if accept_ended else None,
            html.P(
                ["Nothing is done yet. Good until ", wording.clock_time(made["expires"])[11:16], " UTC."],
                className="dim",
            ),
        ],
        className="preview",
    )


def difference(lines: Sequence[str]) -> html.Div:
    """Why a confirmed set was not touched."""
    words = html.Ul([html.Li(line) for line in lines])
    return html.Div(
        [html.Strong("Nothing was done: the set changed meanwhile. Below is what it is now."), words],
        className="problem stale",
        role="alert",
    )


def go_words(made: Mapping[str, Any]) -> str:
    """What stands on the button that confirms: the verb and how many."""
    wanted = int(made["target_count"]) - int(made["refused_count"])
    verb = _VERBS.get(made["action"], str(made["action"]).capitalize())
    return f"{verb} {wording.plural(wanted, made['target_kind'])}"


def done(deed: Mapping[str, Any]) -> html.Div:
    """What came of a confirmed action, with the button that takes it back where anything does."""
    result = deed["result"] or {}
    counts = [f"{wording.count(result[name])} {name}" for name in ("done", "refused", "gone") if result.get(name)]
    words = f"{str(deed['action']).capitalize()}: {', '.join(counts) or 'going on'} (deed {deed['deed_id']})."
    undo = buttons.button("Undo", "undo", deed["deed_id"]) if deed.get("can_be_undone") else None
    return html.Div([html.Span(words), undo], className="outcome-line")


def _consequence(one: Mapping[str, Any]) -> html.Li:
    return html.Li(one["sentence"], className="grave" if one["what"] in _GRAVE and one["count"] else None)


def _targets(made: Mapping[str, Any]) -> html.Div:
    """The first targets by name; the set is frozen, whatever it becomes."""
    targets = made["targets"]
    shown = [
        html.Span(
            str(one["target"]), className="target refused" if one["refusal"] else "target", title=one["refusal"] or ""
        )
        for one in targets[:_SHOWN]
    ]
    rest = int(made["target_count"]) - len(shown)
    more = [html.Span(f"and {wording.count(rest)} more", className="dim")] if rest > 0 else []
    kind = html.Span(f"{wording.plural(int(made['target_count']), made['target_kind'])}:", className="dim")
    return html.Div([kind, *shown, *more], className="targets mono")


def _way_back(made: Mapping[str, Any]) -> list[Any]:
    if made["no_inverse"]:
        return [html.Strong("Cannot be taken back: "), html.Span(made["no_inverse"]), "."]
    return [html.Strong("Undo puts back: "), html.Span(made["inverse"]), "."]


def deed_state(row: Mapping[str, Any]) -> html.Span:
    """How a deed stands: done, partly, taken back."""
    if row.get("undone_time"):
        return html.Span(["taken back by ", str(row["undone_by"]), " ", marks.age(row["undone_time"])], className="dim")
    result = row.get("result") or {}
    refused = f", {wording.count(result['refused'])} refused" if result.get("refused") else ""
    return html.Span(f"{row['state']}{refused}")
