"""Task: how far is it, what fails in it?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.callers import caller
from dashboard.components import marks, panels
from dashboard.components.deed_buttons import task_buttons
from dashboard.components.funnel import funnel
from dashboard.components.heading import copy_link, freshness, heading
from dashboard.components.measured import measured
from dashboard.components.retries import task_retries
from dashboard.components.ribbon import job_ribbon
from dashboard.components.staging_table import staging_table
from dashboard.components.why import told, why
from dashboard.links import Links
from dashboard.page import Page, View
from pandascope.addresses import Address


def _layout(address: Address, links: Links) -> html.Div:
    return html.Div(
        [
            html.Div(heading(f"Task {address.number}"), id="task-head"),
            html.Div(panels.skeleton(90, 200), id="task-body"),
        ],
        className="stack",
    )


async def _load(view: View) -> Sequence[Any]:
    answer, reasons, who, tape = await asyncio.gather(
        view.client.task(view.number),
        told(view.client.why_task(view.number)),
        caller(view.client),
        told(view.client.staging(jedi_task_id=view.number)),
    )
    task = answer.get("task") or answer
    deeds = task_buttons(task, answer.get("jobs") or {}, may_act=who.may_end(task.get("user_name")))
    head = heading(
        [html.Span(f"Task {view.address.number}"), marks.task_state(task["status"])],
        below=[html.Span(task.get("task_name") or "", className="summary"), freshness(answer)],
        aside=[deeds, copy_link()],
    )
    said = why(reasons, view.links)
    dialog, sentences = str(task.get("error_dialog") or ""), json.dumps(reasons, ensure_ascii=False)
    is_told = said is not None and json.dumps(dialog.rstrip("."), ensure_ascii=False)[1:-1] in sentences
    problem = html.Div(dialog, className="problem") if dialog and not is_told else None
    parts = [part for part in (said, problem, _tape(tape, view.links), *_parts(answer, task, view)) if part is not None]
    return [head, html.Div(parts, className="stack")]


def _parts(answer: dict[str, Any], task: dict[str, Any], view: View) -> list[Any]:
    number = view.address.number
    every = html.A("All its jobs", href=view.links.page("jobs", jedi_task_id=number))
    counts = answer.get("jobs") or {}
    parts: list[Any] = [
        panels.panel(
            "Jobs by state",
            job_ribbon(counts, view.links, nothing="It has no jobs yet.", jedi_task_id=number),
            aside=every,
        )
    ]
    if answer.get("incidents"):
        parts.append(
            panels.panel(
                "Incidents", html.Ul([_incident(i, view.links) for i in answer["incidents"]], className="incident-refs")
            )
        )
    parts.append(panels.panel("Facts", _facts(task, answer.get("cost"), answer.get("parameters"), view.links)))
    if answer.get("destination"):
        chosen = funnel(answer["destination"], result="Outputs are collected at", of="storage")
        parts.append(panels.panel("Where its outputs are collected, and why", chosen))
    needs = measured(answer.get("measured") or [])
    if needs is not None:
        parts.append(needs)
    retries = task_retries(answer.get("retries") or [], view.links)
    if retries is not None:
        parts.append(retries)
    if answer.get("history"):
        steps = html.Ol([_step(step) for step in answer["history"]], className="steps")
        parts.append(panels.panel("History", steps, aside=html.Span("times in UTC", className="dim")))
    if answer.get("parameters"):
        text = json.dumps(answer["parameters"], indent=2, ensure_ascii=False, sort_keys=True)
        parts.append(panels.panel("Parameters", html.Pre(text, className="code", tabIndex=0)))
    return parts


def _tape(answer: dict[str, Any], links: Links) -> html.Section | None:
    """What of its input is brought from tape, for tasks that have such."""
    if not answer.get("requests"):
        return None
    every = html.A("All that is staged", href=links.page("staging"))
    table = staging_table(answer["requests"], links, has_tasks=False)
    return panels.panel("Input from tape", table, aside=every, flush=True)


def _incident(entry: dict[str, Any], links: Links) -> html.Li:
    content = [marks.severity(entry["severity"]), html.Span(entry["title"]), marks.incident_state(entry["state"])]
    return html.Li(html.A(content, href=links.page("incident", entry["incident_id"]), className="incident-ref"))


def _step(step: dict[str, Any]) -> html.Li:
    day, _, time = str(wording.clock_time(step["time"])).rpartition(" ")
    return html.Li(
        [
            marks.task_state(step["status"]),
            html.Span(day, className="dim mono"),
            html.Span(time, className="dim mono"),
            html.Div([html.Span(step["who"], className="dim"), html.Span(step["reason"])], className="step-words"),
        ]
    )


def _files(task: dict[str, Any]) -> str | None:
    """Done, failed and all files of the master input, as users know it from pbook."""
    if not task.get("n_files"):
        return None
    done, failed = wording.count(task.get("n_files_finished")), wording.count(task.get("n_files_failed"))
    return f"{done} done, {failed} failed of {wording.count(task['n_files'])}"


def _used(cost: dict[str, Any] | None) -> str | None:
    """Core-hours of the jobs that have ended, and what of it was lost."""
    if not cost:
        return None
    lost = cost["failed_core_hours"]
    words = f"{wording.hours(cost['core_hours'])} core-hours"
    return words + (f", {wording.hours(lost)} of them by jobs that failed" if lost else "")


def _first_job(parameters: dict[str, Any] | None, task: dict[str, Any], links: Links) -> html.A | None:
    """The preprocessing job, of tasks that have one."""
    if not (parameters or {}).get("preproSpec"):
        return None
    to_jobs = links.page("jobs", jedi_task_id=task["jedi_task_id"], job_name="*.preprocess")
    return html.A("its preprocessing job", href=to_jobs)


def _facts(
    task: dict[str, Any], cost: dict[str, Any] | None, parameters: dict[str, Any] | None, links: Links
) -> html.Dl:
    user = task.get("user_name")
    return panels.facts(
        [
            ("User", html.A(user, href=links.page("tasks", user_name=user)) if user else None),
            ("VO", task.get("vo")),
            ("Label", task.get("prod_source_label")),
            ("Jobs", wording.count(task.get("n_jobs"))),
            ("Files", _files(task)),
            ("Used", _used(cost)),
            ("Request", task.get("req_id") or None),
            ("Queue", task.get("site") or None),
            ("Definition worked out by", _first_job(parameters, task, links)),
            ("Outputs collected at (nucleus)", task.get("nucleus") or None),
            ("Created", wording.utc(task.get("creation_time"))),
            ("Changed", wording.utc(task.get("modification_time"))),
            ("Ended", wording.utc(task.get("end_time"))),
            ("Goal", f"{task['goal'] / 10:g} %" if task.get("goal", 1000) < 1000 else None),
            ("System acts next", wording.utc(task["next_try_time"]) if task.get("next_try_time") else None),
        ]
    )


PAGE = Page(
    name="task",
    title=lambda address: f"Task {address.number}",
    layout=_layout,
    regions=(("task-head", "children"), ("task-body", "children")),
    load=_load,
    topics=lambda address: [f"task:{address.number}"],
)
