"""How a share stands as a picture: a bar for what it uses, a line for what it is due, both of all that is executing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording

_FAR = 0.05
"""A share that has work and is so far below its target does not hold (domain.md 6.1)."""


def share_bar(executing: float, target: float, total: float) -> html.Div:
    """Use and target as parts of `total`; empty while nothing executes."""
    used, due = (100 * part / total if total > 0 else 0.0 for part in (executing, target))
    return html.Div(
        [
            html.Div(className="share-used", style={"width": f"{min(100, used):.1f}%"}),
            html.Div(className="share-due", style={"left": f"{min(100, due):.1f}%"}) if due else None,
        ],
        className="share-bar",
        title=f"{used:.1f} % of what is executing; due {due:.1f} %",
    )


def deviation(value: float | None, *, has_work: bool) -> Any:
    """How far a share is off its target, marked when it has work and gets too little."""
    if value is None:
        return html.Span("–", className="dim")
    per_cent = round(100 * value)
    words = f"{per_cent:+d} %" if per_cent else "0 %"
    return html.Span(words, className="chip chip-warning") if has_work and value < -_FAR else words


def deviations(samples: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, float]]]:
    """For each leaf its deviation in percent over time, where it had a target; the leaf with the largest target first."""
    curves: dict[str, list[tuple[str, float]]] = {}
    weights: dict[str, float] = {}
    for row in samples:
        target = float(row["target_power"])
        if target > 0:
            off = 100 * (float(row["executing_power"]) - target) / target
            curves.setdefault(str(row["gshare"]), []).append((str(row["bin_time"]), off))
            weights[str(row["gshare"])] = weights.get(str(row["gshare"]), 0.0) + target
    return {name: curves[name] for name in sorted(curves, key=lambda name: (-weights[name], name))}


def lanes(names: Sequence[str]) -> Any:
    """The resource types for which no further jobs are made."""
    if not names:
        return None
    words = f"{wording.plural(len(names), 'full lane')}: {', '.join(names)}"
    return html.Span(words, className="chip chip-warning", title="No further jobs are made until some have started.")
