"""Shares: does everybody get what is due? The tree with use against target, and how far each was off over time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import panels
from dashboard.components.curves import curves as drawn
from dashboard.components.heading import freshness, heading
from dashboard.components.share_bar import deviation, deviations, lanes, share_bar
from dashboard.links import Links
from dashboard.page import Page, View
from pandascope.addresses import Address

_HEADS = [
    *("Share", "#Due", "Use and target", "#Executing", "#Target", "#Off now", "#Off, 24 h"),
    *("#Running", "#Activated", "#Waiting", "#Served"),
]
_PLOT = "shares-plot"
_HIDDEN, _SHOWN = {"display": "none"}, {"display": "block"}
_MOST_CURVES = 8
_HOURS = 24
_NO_CURVES = (
    "Nothing to draw yet: use and target are noted every few minutes, and in the last 24 hours no share was due anything. "
    "The first jobs that run in a share begin its curve."
)


def _layout(address: Address, links: Links) -> html.Div:
    plot = panels.panel(
        "Off target over 24 hours",
        html.Div(id=_PLOT),
        aside=html.Span("percent above or below; the largest shares; UTC", className="dim"),
    )
    return html.Div(
        [
            html.Div(heading("Shares"), id="shares-head"),
            html.Div(panels.skeleton(240), id="shares-tree"),
            html.Div(plot, id="shares-held", style=_HIDDEN),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer, samples = await asyncio.gather(view.client.shares(), view.client.share_samples(_HOURS))
    curves = dict(list(deviations(samples["samples"]).items())[:_MOST_CURVES])
    leaves = sum(1 for share in answer["shares"] if share["is_leaf"])
    return [
        heading(wording.plural(leaves, "share") if leaves else "Shares", below=freshness(answer)),
        [_warnings(answer["warnings"]), _tree(answer, view.links)],
        _SHOWN if leaves else _HIDDEN,
        drawn(curves, unit="%") or panels.empty(_NO_CURVES),
    ]


def _warnings(warnings: Sequence[str]) -> html.Ul | None:
    """What the server finds odd about the tree."""
    if not warnings:
        return None
    return html.Ul([html.Li(f"{text}.") for text in warnings], className="problem stale warnings", role="status")


def _tree(answer: Mapping[str, Any], links: Links) -> Any:
    total = float(answer["executing_power"])
    rows = [_row(share, total, links) for share in answer["shares"]]
    if not rows:
        sentence = "There is no tree of shares: priority and age decide alone. 'panda shares load FILE' makes one."
        return panels.empty(sentence)
    rows += [_unlisted_row(share) for share in answer["unlisted"]]
    unit = html.Span("executing and target: cores times the power of each", className="dim")
    return panels.panel(
        "What is due and what is used", panels.table(_HEADS, rows, class_name="shares cards"), aside=unit, flush=True
    )


def _row(share: Mapping[str, Any], total: float, links: Links) -> list[Any]:
    has_work = share["queued_jobs"] > 0
    name: Any = html.Span(share["name"], title=_matches(share), className="name")
    if share["is_leaf"]:
        name = html.A(
            share["name"], href=links.page("jobs", gshare=share["name"]), title=_matches(share), className="name"
        )
    full = lanes(share["throttled"])
    return [
        html.Div([name, full], className=f"share-name share-level-{min(5, share['level'])}"),
        f"{share['percent']:.1f} %",
        share_bar(share["executing_power"], share["target_power"], total),
        wording.count(round(share["executing_power"])),
        wording.count(round(share["target_power"])),
        deviation(share["deviation"], has_work=has_work),
        deviation(share["deviation_24h"], has_work=has_work),
        wording.count(share["executing_jobs"]),
        wording.count(share["queued_jobs"]),
        wording.count(share["waiting_jobs"]),
        wording.ordinal(share["rank"]) if share["is_leaf"] else "",
    ]


def _unlisted_row(share: Mapping[str, Any]) -> list[Any]:
    name = share["name"] or "without a share"
    return [
        html.Div(html.Span(name, className="dim"), className="share-name share-level-1"),
        *("–", None, wording.count(round(share["executing_power"])), "–", "–", "–"),
        wording.count(share["executing_jobs"]),
        wording.count(share["queued_jobs"]),
        wording.count(share["waiting_jobs"]),
        "last",
    ]


def _matches(share: Mapping[str, Any]) -> str:
    """Which work belongs to a share, in words."""
    names = ("vo", "prod_source_label", "working_group", "campaign", "processing_type", "trans_path", "rtype")
    stated = [f"{name} = {share[name]}" for name in names if share[name]]
    what = ", ".join(stated) or ("everything else" if share["is_leaf"] else "its children")
    return f"{share['description']} ({what})" if share["description"] else what


PAGE = Page(
    name="shares",
    title=lambda address: "Shares",
    layout=_layout,
    regions=(
        ("shares-head", "children"),
        ("shares-tree", "children"),
        ("shares-held", "style"),
        (_PLOT, "children"),
    ),
    load=_load,
    topics=lambda address: ["jobs"],
)
