"""Now: what needs me? Incidents worst first, then four numbers, the states of all jobs and the throughput."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard import palette, wording
from dashboard.components import panels, plots
from dashboard.components.filters import WINDOW_FIELDS, windows
from dashboard.components.heading import freshness, heading
from dashboard.components.incident_list import incident_list
from dashboard.components.ribbon import job_ribbon
from dashboard.components.sparkline import sparkline
from dashboard.links import Links
from dashboard.page import Page, View
from pandascope.addresses import Address

_DEFAULT_HOURS = "24"


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading("What needs attention"), id="now-head"),
            html.Div(panels.skeleton(84), id="now-tiles"),
            html.Div(panels.skeleton(240), id="now-incidents"),
            html.Div(panels.skeleton(90), id="now-ribbon"),
            panels.panel(
                "Jobs ended over time, UTC",
                plots.graph("now-throughput", height=230),
                aside=html.Span(id="now-throughput-note", className="dim"),
            ),
        ],
        className="stack",
    )


_STATES = ("open", "acknowledged", "silenced")


async def _load(view: View) -> Sequence[Any]:
    window = {name: view.address.filters[name] for name in WINDOW_FIELDS if name in view.address.filters}
    window = window or {"hours": _DEFAULT_HOURS}
    summary, (throughput, note) = await asyncio.gather(view.client.summary(**window), _throughput(view, window))
    return [
        heading(
            _title(summary),
            below=freshness(summary),
            aside=windows(view.address, view.links, default_hours=_DEFAULT_HOURS),
        ),
        _tiles(summary, view.links),
        _incidents(summary, view.links),
        panels.panel("Jobs by state", job_ribbon(summary["jobs"], view.links, **window)),
        plots.stacked_bars(throughput, view.links),
        note,
    ]


async def _throughput(view: View, window: dict[str, str]) -> tuple[dict[str, Any], str | None]:
    """What ended, by final state. A system that is younger than its window is shown at the scale of what there is."""
    answer = await view.client.throughput(**window)
    bins, series = answer["bins"], _ended(answer["series"])
    busy = [index for index in range(len(bins)) if any(counts[index] for counts in series.values())]
    last_hour = -(-3600 // int(answer["bin_s"]))
    if busy and busy[0] >= len(bins) - last_hour and len(bins) > last_hour:
        answer = await view.client.throughput(hours=1)
        return {**answer, "series": _ended(answer["series"])}, "only the last hour: nothing ended before"
    return {**answer, "series": series}, None


def _ended(series: dict[str, list[int]]) -> dict[str, list[int]]:
    """The series of final states: the others count how often a state was entered on the way."""
    return {name: counts for name, counts in series.items() if name in palette.ENDED}


def _title(summary: dict[str, Any]) -> str:
    needing = summary["incidents"].get("open", 0)
    if needing:
        return f"{wording.plural(needing, 'open incident')}"
    silent = len(summary.get("silent_queues") or [])
    return f"{wording.plural(silent, 'silent queue')}" if silent else "Nothing needs attention"


def _incidents(summary: dict[str, Any], links: Links) -> html.Section:
    rows = summary.get("worst") or []
    by_severity = summary["incidents"].get("by_severity") or {}
    counts = [_severity_count(name, by_severity[name]) for name in palette.SEVERITIES if by_severity.get(name)]
    every = html.A("All incidents", href=links.page("incidents"), className="button")
    body: Any
    if not rows:
        body = panels.empty("No incident is open. New ones appear here by themselves.", every)
    else:
        body = incident_list(rows, links)
    states = [
        f"{wording.count(summary['incidents'][name])} {name}" for name in _STATES if summary["incidents"].get(name)
    ]
    severities = html.Span(", ".join(counts), className="dim", title="of those that are open or acknowledged")
    aside = [
        html.Span(", ".join(states), className="dim"),
        severities,
        html.A("All incidents", href=links.page("incidents")),
    ]
    return panels.panel("Worst incidents", body, aside=aside, flush=bool(rows))


def _severity_count(name: str, number: int) -> str:
    return f"{number} critical" if name == "critical" else wording.plural(number, name)


def _tiles(summary: dict[str, Any], links: Links) -> html.Div:
    silent = summary.get("silent_queues") or []
    waits = summary.get("waits") or {}
    failed = summary["throughput"].get("failed_last_hour") or 0
    rate = summary["throughput"].get("failure_rate")
    return html.Div(
        [
            _throughput_tile(summary, links),
            panels.tile(
                "Failure rate, last hour",
                wording.per_cent(rate),
                "no job ended in the last hour" if rate is None else f"{wording.plural(failed, 'job')} failed",
                extra=_spark(summary, "failed", palette.JOB_STATES["failed"].colour),
                href=links.page("jobs", job_status="failed", hours=1),
            ),
            panels.tile(
                "Wait for a pilot, last hour",
                wording.duration(waits.get("p50_s")),
                f"half of the jobs; 95 % within {wording.duration(waits.get('p95_s'))}"
                if waits.get("p95_s") is not None
                else "no job started in the last hour",
                href=links.page("jobs", job_status="activated"),
            ),
            panels.tile(
                "Silent queues",
                wording.count(len(silent)),
                ", ".join(silent) if silent else "every queue with work has pilots",
                href=links.page("queues"),
            ),
        ],
        className="tiles",
    )


def _throughput_tile(summary: dict[str, Any], links: Links) -> Any:
    now, before = (summary["throughput"].get(name) for name in ("finished_last_hour", "finished_same_hour_last_week"))
    if not before:
        note = "nothing to compare with a week ago"
    else:
        change = ((now or 0) - before) / before
        sign = "▲" if change > 0 else "▼" if change < 0 else "="
        note = f"{sign} {wording.per_cent(abs(change))} vs same hour last week"
    return panels.tile(
        "Finished, last hour",
        wording.count(now),
        note,
        extra=_spark(summary, "finished", palette.JOB_STATES["finished"].colour),
        href=links.page("jobs", job_status="finished", hours=1),
    )


def _spark(summary: dict[str, Any], name: str, colour: str) -> Any:
    line = summary.get("sparkline") or {}
    return sparkline(line.get(name) or [], caption=f"jobs {name} per 5 min over the last hour", colour=colour)


PAGE = Page(
    name="now",
    title=lambda address: "Now",
    layout=_layout,
    regions=(
        ("now-head", "children"),
        ("now-tiles", "children"),
        ("now-incidents", "children"),
        ("now-ribbon", "children"),
        ("now-throughput", "figure"),
        ("now-throughput-note", "children"),
    ),
    load=_load,
    topics=lambda address: ["jobs", "incidents", "queues"],
)
