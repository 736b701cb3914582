"""What the rules for failed jobs did about a job or the jobs of a task, and where the input went next."""

from __future__ import annotations

from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import marks, panels
from dashboard.links import Links


def job_retries(retries: dict[str, Any] | None, links: Links) -> html.Section | None:
    """One sentence, the jobs before and after, and each deed; nothing for a first attempt that went well."""
    if not retries or not (retries.get("deeds") or retries.get("next") or retries.get("previous")):
        return None
    whose = f" A fault of the {retries['error_class']}." if retries.get("error_class") in ("system", "user") else ""
    sentence = f"{_capital(retries.get('sentence') or '')}.{whose}"
    parts: list[Any] = [html.P(sentence, className="summary"), _chain(retries, links)]
    if retries.get("deeds"):
        parts.append(html.Ul([_deed(deed) for deed in retries["deeds"]], className="errors"))
    return panels.panel("Retries", [part for part in parts if part is not None])


def task_retries(rows: list[dict[str, Any]], links: Links) -> html.Section | None:
    """What rules did about the jobs of a task, rule by rule."""
    if not rows:
        return None
    heads = ["Error", "Action", "#Rule", "#Matched", "#Acted", "Last", "What it did last"]
    body = [
        [
            f"{row['error_source']}:{row['error_code']}",
            row["action"].replace("_", " "),
            str(row["rule_id"] or "class"),
            wording.count(row["n_matched"]),
            wording.count(row["n_acted"]),
            wording.utc(row["last_matched"]),
            row["effect"],
        ]
        for row in rows
    ]
    return panels.panel("What rules did about its failed jobs", panels.table(heads, body), flush=True)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _chain(retries: dict[str, Any], links: Links) -> html.P | None:
    before, after = retries.get("previous"), retries.get("next") or []
    parts: list[Any] = []
    if before:
        parts += ["Before: ", html.A(f"job {before}", href=links.page("job", before)), " "]
    for row in after:
        link = html.A(f"job {row['panda_id']}", href=links.page("job", row["panda_id"]))
        parts += ["Next: ", link, " ", marks.job_state(row["job_status"]), " "]
    return html.P(parts) if parts else None


def _deed(deed: dict[str, Any]) -> html.Li:
    who = f"rule {deed['rule_id']}" if deed.get("rule_id") else "class"
    return html.Li(
        [
            html.Span(who, className="error-rank"),
            html.Strong(f"{deed['error_source']}:{deed['error_code']} {deed['action'].replace('_', ' ')}"),
            html.Span(deed["effect"], className="error-diag"),
        ],
        className="error primary" if deed.get("has_acted") else "error",
    )
