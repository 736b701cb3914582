"""Job: what happened to it? One sentence, then the failing line, the states with their times, and everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.callers import caller
from dashboard.components import marks, panels
from dashboard.components.deed_buttons import job_buttons
from dashboard.components.funnel import funnel
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.job_table import error_words
from dashboard.components.job_tabs import job_tabs
from dashboard.components.retries import job_retries
from dashboard.components.timeline import timeline
from dashboard.components.why import told, why
from dashboard.links import Links
from dashboard.page import Page, View
from pandascope.addresses import Address


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading(f"Job {address.number}"), id="job-head"),
            job_tabs(address, links),
            html.Div(id="job-why"),
            html.Div(panels.skeleton(60), id="job-failure"),
            html.Div(
                [
                    html.Div(panels.skeleton(220), id="job-left", className="stack"),
                    html.Div(panels.skeleton(220), id="job-right", className="stack"),
                ],
                className="two-columns wide-left",
            ),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer, reasons, who = await asyncio.gather(
        view.client.job(view.number), told(view.client.why_job(view.number)), caller(view.client)
    )
    job = answer["job"]
    left = [
        panels.panel("States", timeline(answer.get("history") or []), aside=html.Span("times in UTC", className="dim")),
        job_retries(answer.get("retries"), view.links),
        _files(answer.get("files") or []),
        _parameters(answer.get("parameters")),
    ]
    right = [_facts(job, answer.get("timing") or {}, view.links), _brokerage(answer.get("brokerage"))]
    head = heading(
        [html.Span(f"Job {job['panda_id']}"), marks.job_state(job["job_status"])],
        below=[html.Span(answer.get("summary") or "", className="summary"), freshness(answer)],
        aside=[job_buttons(job, may_act=who.may_end(job.get("prod_user_name"))), copy_link()],
    )
    return [head, why(reasons, view.links), _failure(answer, job, view.links), _present(left), _present(right)]


def _present(parts: list[Any]) -> list[Any]:
    return [part for part in parts if part is not None]


def _failure(answer: dict[str, Any], job: dict[str, Any], links: Links) -> Any:
    errors = answer.get("errors") or []
    line = job.get("culprit_line")
    if not errors and not line and not answer.get("incidents"):
        return None
    to_log = html.A("Open in log", href=links.page("log", job["panda_id"]), className="button", id="open-in-log")
    failing = (
        html.Div([html.Div(line, className="culprit-line mono"), to_log], className="culprit-one") if line else None
    )
    return panels.panel("What went wrong", [failing, _errors(errors), _incidents(answer, links)])


def _errors(errors: list[dict[str, Any]]) -> html.Ul:
    ordered = sorted(errors, key=lambda error: not error.get("primary"))
    return html.Ul(
        [
            html.Li(
                [
                    html.Span("primary" if error.get("primary") else "also", className="error-rank"),
                    html.Strong(error_words(error)),
                    html.Span(error.get("diag") or "", className="error-diag"),
                ],
                className="error primary" if error.get("primary") else "error",
            )
            for error in ordered
        ],
        className="errors",
    )


def _incidents(answer: dict[str, Any], links: Links) -> html.Ul:
    candidate = answer.get("candidate")
    return html.Ul(
        [
            *([html.Li(candidate["sentence"], className="error-diag", id="only-counted")] if candidate else []),
            *(
                html.Li(
                    html.A(
                        [
                            marks.severity(entry["severity"]),
                            html.Span(entry["title"]),
                            marks.incident_state(entry["state"]),
                        ],
                        href=links.page("incident", entry["incident_id"]),
                        className="incident-ref",
                    )
                )
                for entry in answer.get("incidents") or []
            ),
        ],
        className="incident-refs",
    )


def _facts(job: dict[str, Any], timing: dict[str, int], links: Links) -> html.Section:
    queue, task, user = job.get("computing_site"), job.get("jedi_task_id"), job.get("prod_user_name")
    attempt = f"{job.get('attempt_nr') or 0} of {job.get('max_attempt') or 1}"
    pairs = [
        ("Name", marks.mono(job.get("job_name")) if job.get("job_name") else None),
        ("Task", html.A(str(task), href=links.page("task", task)) if task else None),
        ("Queue", html.A(queue, href=links.page("jobs", computing_site=queue)) if queue else None),
        ("User", html.A(user, href=links.page("jobs", prod_user_name=user)) if user else None),
        ("Label", job.get("prod_source_label")),
        ("Kind", _kind(job)),
        ("Attempt", attempt),
        ("Priority", str(job.get("current_priority") or 0)),
        ("Worker node", marks.mono(job.get("modification_host")) if job.get("modification_host") else None),
        ("Pilot", marks.mono(job.get("pilot_id")) if job.get("pilot_id") else None),
        ("Batch job", marks.mono(job.get("batch_id")) if job.get("batch_id") else None),
        ("Cores asked", str(job.get("core_count") or 1)),
        ("Memory asked", wording.size(job["min_ram_mb"] * 1_000_000) if job.get("min_ram_mb") else None),
        ("CPU used", wording.duration(job.get("cpu_consumption_time_s"))),
        ("Memory used", wording.size(job["max_rss_kb"] * 1024) if job.get("max_rss_kb") else None),
        ("Pilot's time", wording.steps(timing) if timing else None),
        ("Created", wording.utc(job.get("creation_time"))),
        ("Started", wording.utc(job.get("start_time"))),
        ("Ended", wording.utc(job.get("end_time"))),
        ("Told the pilot", job.get("command_to_pilot")),
    ]
    return panels.panel("Facts", panels.facts(pairs))


def _kind(job: dict[str, Any]) -> str | None:
    """What it does for the task, of jobs that do not process its input."""
    if "preprocess" in str(job.get("special_handling") or "").split(","):
        return "preprocessing: works out what the task is"
    return "build: makes the library of the other jobs" if job.get("prod_source_label") == "panda" else None


def _files(files: list[dict[str, Any]]) -> Any:
    if not files:
        return None
    rows = [
        [
            file["type"],
            marks.mono(file["lfn"], class_name="wrap"),
            wording.size(file.get("size_bytes")),
            file.get("status") or "",
            html.Span(file.get("endpoint") or "", className="name"),
            marks.mono(file.get("checksum") or ""),
        ]
        for file in files
    ]
    heads = ["Type", "File", "#Size", "State", "Storage", "Checksum"]
    return panels.panel(f"Files ({len(files)})", panels.table(heads, rows, class_name="cards"), flush=True)


def _parameters(parameters: str | None) -> Any:
    if not parameters:
        return None
    return panels.panel("Parameters", html.Pre(parameters, className="code", tabIndex=0))


def _brokerage(decision: dict[str, Any] | None) -> Any:
    return panels.panel("Why this queue", funnel(decision)) if decision else None


PAGE = Page(
    name="job",
    title=lambda address: f"Job {address.number}",
    layout=_layout,
    regions=(
        ("job-head", "children"),
        ("job-why", "children"),
        ("job-failure", "children"),
        ("job-left", "children"),
        ("job-right", "children"),
    ),
    load=_load,
    topics=lambda address: [f"job:{address.number}"],
)
