"""The panels around an incident: what it costs, what was before, what it explains, merges and splits, records, history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import buttons, filters, marks, panels
from dashboard.components.silence_table import end_words, growth
from dashboard.components.verdict import NAMES
from dashboard.links import Links

_BREAKDOWN_FIELDS = ("computing_site", "jedi_task_id", "prod_user_name", "modification_host", "storage", "dataset")
_OF_JOBS = ("computing_site", "jedi_task_id", "prod_user_name", "modification_host")
_LABELS = {"storage": "Storage", "dataset": "Dataset"}
_MOST_VALUES = 12
_MOST_ACTIVITY = 60

Row = Mapping[str, Any]


def costs(answer: Row) -> html.Section | None:
    """What it costs, and what of that is lost for good."""
    found = answer.get("economics") or {}
    if not found.get("jobs"):
        return None
    share = found.get("slot_share")
    pairs = [
        ("Failed jobs", wording.count(found["jobs"])),
        ("Tried again", wording.count(found["retried"])),
        ("Lost for good", wording.count(found["residue"])),
        ("Work lost", wording.core_hours(3600 * found["lost_core_h"])),
        ("Work lost for good", wording.core_hours(3600 * found["residue_lost_core_h"])),
        ("Of the running cores", wording.per_cent(share) if share else ""),
    ]
    return panels.panel("What it costs", panels.facts(pairs))


def silences(rows: Sequence[Row], *, may_act: bool) -> html.Section | None:
    """Silences of it, those in force first by nature: the newest is the one that counts."""
    if not rows:
        return None
    return panels.panel("Silences", html.Ol([_silence(row, may_act) for row in rows], className="activity"))


def _silence(row: Row, may_act: bool) -> html.Li:
    until = ["ended ", marks.age(row["end_time"])] if row["end_time"] else [f"until {end_words(row)}"]
    end = buttons.button("End", "end-silence", row["silence_id"], title="tell of it again from now on")
    head = [html.Strong(row["who"]), " ", marks.age(row["start_time"]), " · ", *until, " · grown by ", growth(row)]
    is_open = not row["end_time"]
    return html.Li(
        [
            html.Div([html.Span(head), buttons.row(end) if may_act and is_open else None], className="between-line"),
            html.Div(row["reason"], className="comment") if row["reason"] else None,
        ],
        className=None if is_open else "dim",
    )


def previous(rows: Sequence[Row], links: Links) -> html.Section:
    """Earlier occurrences of the same trouble, with what ended each."""
    if not rows:
        return panels.panel(
            "Seen before?", html.P("Not that anybody knows: this is the first incident of its kind.", className="dim")
        )
    return panels.panel("Seen before", html.Ol([_occurrence(row, links) for row in rows], className="activity"))


def _occurrence(row: Row, links: Links) -> html.Li:
    head = [
        html.A(f"#{row['incident_id']}", href=links.page("incident", row["incident_id"])),
        html.Span([" last seen ", marks.age(row["last_seen"])]),
        html.Span(
            f", {wording.plural(row['job_count'], 'job')}, {wording.core_hours(row['lost_core_s'])}", className="dim"
        ),
    ]
    verdict = NAMES.get(str(row["verdict"] or ""), "").lower()
    whose = f"{verdict} {row['verdict_value'] or ''}".strip()
    by = f" by {row['resolved_by']}" if row["resolved_by"] else ""
    ending = str(row["resolution"] or "ended").replace("_", " ")
    ended = f"{ending}{by}" if row["state"] == "resolved" else f"still {row['state']}"
    return html.Li([html.Div(head), html.Div(f"{whose}: {ended}" if whose else ended, className="comment")])


def explained(rows: Sequence[Row], links: Links) -> html.Section | None:
    """Incidents that this one explains: nobody is told of them."""
    if not rows:
        return None
    heads = ["#Incident", "Severity", "State", "What", "Queue", "#Jobs", "#Lost", "Last seen"]
    cells = [
        [
            html.A(str(row["incident_id"]), href=links.page("incident", row["incident_id"])),
            marks.severity(row["severity"]),
            marks.incident_state(row["state"]),
            html.Span(row["title"], title=row["title"], className="clip"),
            row["computing_site"] or "",
            wording.count(row["job_count"]),
            wording.core_hours(row["lost_core_s"]),
            marks.age(row["last_seen"]),
        ]
        for row in rows
    ]
    aside = html.Span("nobody is told of these while this one lasts", className="dim")
    return panels.panel(
        f"It explains {wording.plural(len(rows), 'other')}",
        panels.table(heads, cells, class_name="cards"),
        aside=aside,
        flush=True,
    )


def links_panel(rows: Sequence[Row], links: Links, *, may_act: bool) -> html.Section | None:
    """Merges and splits, each with the button that takes it back."""
    if not rows:
        return None
    return panels.panel(
        "Merges and splits", html.Ol([_link(row, links, may_act) for row in rows], className="activity")
    )


def _link(row: Row, links: Links, may_act: bool) -> html.Li:
    one, other = (
        html.A(f"#{row[name]}", href=links.page("incident", row[name])) if row[name] else html.Span("–")
        for name in ("incident_id", "into_incident_id")
    )
    if row["kind"] == "merge":
        words: list[Any] = [one, " was merged into ", other]
    else:
        words = [html.Span(f"{filters.label(row['dimension'])} {row['value']}"), " was split off ", one, " as ", other]
    undone = [" · taken back by ", row["undone_by"], " ", marks.age(row["undone_time"])] if row["undone_time"] else []
    undo = buttons.button("Undo", "unlink", row["link_id"], title="put everything back where it was")
    head = html.Span([*words, " by ", row["who"], " ", marks.age(row["time"]), *undone])
    return html.Li(
        [
            html.Div([head, buttons.row(undo) if may_act and not undone else None], className="between-line"),
            html.Div(row["comment"], className="comment") if row["comment"] else None,
        ]
    )


def breakdown(found: Mapping[str, Sequence[Row]], row: Row, links: Links) -> html.Section | None:
    """Where it happens, by queue, task, user, node, storage and dataset."""
    tables = [_breakdown_table(field, found[field], row, links) for field in _BREAKDOWN_FIELDS if found.get(field)]
    return panels.panel("Where it happens", html.Div(tables, className="breakdowns")) if tables else None


def _breakdown_table(field: str, values: Sequence[Row], row: Row, links: Links) -> html.Div:
    total = sum(int(value["count"]) for value in values) or 1
    rest = len(values) - _MOST_VALUES
    more = html.P(f"and {wording.plural(rest, 'other')}", className="dim facet-hint") if rest > 0 else None
    rows = [html.Li(_value(field, value, total, row, links)) for value in values[:_MOST_VALUES]]
    return html.Div([html.H3(_LABELS.get(field) or filters.label(field)), html.Ul(rows), more])


def _value(field: str, value: Row, total: int, row: Row, links: Links) -> Any:
    words = str(value["value"] or "Not specified")
    parts = [
        html.Span(className="facet-bar", style={"width": f"{100 * int(value['count']) / total:.1f}%"}),
        html.Span(words, className="facet-name", title=words),
        html.Span(wording.count(value["count"]), className="facet-count"),
    ]
    if field not in _OF_JOBS:
        return html.Div(parts, className="facet-row")
    meant = filters.literally(words) if value["value"] not in (None, "") else words
    return html.A(parts, href=links.page("jobs", incident=row["incident_id"], **{field: meant}), className="facet-row")


def activity(answer: Row) -> html.Section:
    """The history, newest first, and why these events are one incident."""
    rows = list(reversed(answer.get("activity") or []))
    entries = [
        html.Li(
            [
                html.Div(
                    [html.Strong(_action(deed["action"])), html.Span(" by "), html.Span(deed["who"] or "the system")]
                ),
                html.Div(deed["comment"], className="comment") if deed.get("comment") else None,
                html.Div(marks.age(deed["time"]), className="dim"),
            ]
        )
        for deed in rows[:_MOST_ACTIVITY]
    ]
    if len(rows) > _MOST_ACTIVITY:
        entries.append(html.Li(f"and {wording.count(len(rows) - _MOST_ACTIVITY)} earlier", className="dim"))
    why = html.P(answer.get("grouping"), className="dim")
    body = [html.Ol(entries, className="activity") if entries else html.P("Nobody has acted on it yet."), why]
    return panels.panel("Activity", body)


def _action(name: Any) -> str:
    return str(name).replace("_", " ")


def records(rows: Sequence[Row]) -> html.Section:
    """The newest log records that belong to it."""
    if not rows:
        return panels.panel("Log records", "No records are kept.")
    lines = [
        html.Div(
            [
                html.Span(wording.clock_time(record["time"])[11:], className="log-number"),
                html.Span(record.get("level") or "", className=f"level level-{str(record.get('level')).lower()}"),
                html.Span(record.get("component") or "", className="dim"),
                html.Span(record.get("message") or "", className="log-text"),
            ],
            className="record",
        )
        for record in rows
    ]
    zone = html.Span("times in UTC", className="dim")
    return panels.panel("Log records", html.Div(lines, className="records mono"), aside=zone)


def report(answer: Row) -> str:
    """What to tell the site, as text: the facts, a few jobs, the failing line. The browser adds where to look."""
    row, verdict, culprit = answer["incident"], answer.get("verdict") or {}, answer.get("culprit") or {}
    jobs = ", ".join(str(job["panda_id"]) for job in (answer.get("jobs") or [])[:5])
    costs_ = answer.get("economics") or {}
    lines = [
        f"{row['title']} [{row['severity']}, {row['state']}]",
        f"first seen {wording.utc(row['first_seen'])}, last seen {wording.utc(row['last_seen'])}",
        f"{wording.plural(row['job_count'] or 0, 'job')}, {wording.core_hours(row['lost_core_s'])} lost, "
        f"{wording.plural(costs_.get('residue') or 0, 'job')} for good",
        f"verdict: {verdict['verdict']} {verdict['value'] or ''}: {verdict['sentence']}" if verdict else "",
        f"failing line ({culprit['log_name']} of job {culprit['panda_id']}): {culprit['text']}" if culprit else "",
        f"jobs: {jobs}" if jobs else "",
    ]
    return "\n".join(line for line in lines if line)
