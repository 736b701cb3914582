"""A job in words: what it is, what happened when, what went wrong, how its queue was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.render.columns import history_line
from tui.render.facts import facts
from tui.text import ago, bar, bytes_size, duration, number, plain, stamp
from tui.widgets.virtual_table import Row

_MOST_EXCLUDED = 4


def summary(row: Row, sentence: str, palette: Palette, now: datetime) -> RenderableType:
    """State, the one sentence, and what identifies the job."""
    head = Text()
    head.append_text(palette.job_status(row.get("job_status")))
    head.append(f"  {ago(row.get('state_change_time'), now)} ago", palette.muted)
    if row.get("command_to_pilot"):
        head.append(f"  ⚑ {plain(row['command_to_pilot'])}", palette.waiting)
    parts: list[RenderableType] = [head]
    if sentence:
        parts.append(Text(plain(sentence, limit=2000), style=palette.text))
    return Group(*parts)


def what_it_is(row: Row, palette: Palette) -> RenderableType:
    """Names and figures."""

    def text(name: str) -> Text:
        return Text(plain(row.get(name), limit=1000))

    attempt = (
        f"{row.get('attempt_nr')} of {row.get('max_attempt')}" if row.get("max_attempt") else row.get("attempt_nr")
    )
    cores, memory = row.get("core_count"), row.get("min_ram_mb")
    asked = [f"{cores} core{'s' if cores != 1 else ''}" if cores else "", f"{number(memory)} MB" if memory else ""]
    used = [
        f"CPU {duration(row['cpu_consumption_time_s'])}" if row.get("cpu_consumption_time_s") is not None else "",
        f"memory {bytes_size(row['max_rss_kb'] * 1024)}" if row.get("max_rss_kb") else "",
    ]
    return facts(
        [
            ("task", text("jedi_task_id")),
            ("job name", text("job_name")),
            ("queue", text("computing_site")),
            ("node", text("modification_host")),
            ("pilot", text("pilot_id")),
            ("user", text("prod_user_name")),
            ("label", text("prod_source_label")),
            ("processing", text("processing_type")),
            ("kind", Text(_kind(row))),
            ("priority", text("current_priority")),
            ("attempt", Text(plain(attempt))),
            ("asked for", Text(", ".join(filter(None, asked)))),
            ("used", Text(", ".join(filter(None, used)))),
            ("created", Text(stamp(row.get("creation_time")))),
            ("started", Text(stamp(row.get("start_time")))),
            ("ended", Text(stamp(row.get("end_time")))),
        ],
        palette,
    )


def _kind(row: Row) -> str:
    """What it does for the task, of jobs that do not process its input."""
    if "preprocess" in plain(row.get("special_handling")).split(","):
        return "preprocessing: works out what the task is"
    return "build: makes the library of the other jobs" if row.get("prod_source_label") == "panda" else ""


def timeline(history: Sequence[Row], palette: Palette) -> RenderableType | None:
    """Every state with its time and how long it took, longest bars longest."""
    if not history:
        return None
    longest = max((entry.get("duration_s") or 0 for entry in history), default=0) or 1
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(width=10, no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for entry in history:
        when, state, took, why = history_line(entry, palette)
        share = bar((entry.get("duration_s") or 0) / longest, 10)
        table.add_row(when, state, took, Text(share, style=palette.job_style(entry.get("job_status"))), why)
    return table


def errors(found: Sequence[Row], palette: Palette) -> RenderableType | None:
    """Errors, the primary one first."""
    if not found:
        return None
    parts: list[RenderableType] = []
    for error in sorted(found, key=lambda error: not error.get("primary")):
        label = plain(f"{error.get('component')}:{error.get('code')} {error.get('name') or ''}".strip(), limit=120)
        text = Text(label, style=palette.bad if error.get("primary") else palette.muted)
        text.append("  primary" if error.get("primary") else "  also", palette.muted)
        parts.append(text)
        if error.get("diag"):
            parts.append(Text(plain(error["diag"], limit=2000), style=palette.text, overflow="fold"))
    return Group(*parts)


def culprit_line(row: Row, palette: Palette) -> RenderableType | None:
    """The line that failed."""
    line = row.get("culprit_line")
    return Text(plain(line, limit=2000), style=palette.bad, overflow="fold") if line else None


def incidents(found: Sequence[Row], palette: Palette, candidate: Row | None = None) -> RenderableType | None:
    """The incidents that cover the job, or why its failure is none."""
    if not found:
        return Text(plain(candidate.get("sentence")), style=palette.muted, overflow="fold") if candidate else None
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for row in found:
        table.add_row(
            palette.severity(row.get("severity")),
            palette.incident_state(row.get("state")),
            Text(f"{row.get('incident_id')}  {plain(row.get('title'), limit=400)}", style=palette.text),
        )
    return table


def brokerage(
    decision: Mapping[str, Any] | None, palette: Palette, *, nobody: str = "no queue could take it"
) -> RenderableType | None:
    """Which candidates were left after each criterion; `nobody` says that there was none."""
    if not decision:
        return None
    chosen = decision.get("chosen")
    head = Text(f"chosen: {plain(chosen)}" if chosen else nobody, style=palette.strong)
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1, overflow="fold")
    for step in decision.get("funnel") or []:
        before, after = step.get("before"), step.get("after")
        lost = before != after
        text = Text(plain(step.get("sentence") or step.get("criterion")), style=palette.text if lost else palette.muted)
        if step.get("note"):
            text.append(f"\n{plain(step['note'])}", palette.muted)
        excluded = list(step.get("excluded") or [])
        for out in excluded[:_MOST_EXCLUDED]:
            text.append(
                f"\n{plain(out.get('queue'), limit=80)}: {plain(out.get('reason'), limit=300)}", palette.waiting
            )
        if len(excluded) > _MOST_EXCLUDED:
            text.append(f"\n… and {number(len(excluded) - _MOST_EXCLUDED)} more", palette.muted)
        table.add_row(Text(f"{before} → {after}", style=palette.waiting if lost else palette.muted), text)
    return Group(head, table)
