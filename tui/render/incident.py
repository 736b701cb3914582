"""An incident in words: the verdict numbers, the failing line with what stands around it, its course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tui.palette import Palette
from tui.render.columns import incident_trend
from tui.render.facts import facts
from tui.render.verdict import verdict_line
from tui.text import ago, bar, core_hours, number, plain, plural, stamp
from tui.widgets.virtual_table import Row

_BREAKDOWN = {
    "computing_site": "queues",
    "jedi_task_id": "tasks",
    "prod_user_name": "users",
    "modification_host": "nodes",
    "storage": "storages",
    "dataset": "datasets",
}


_ENTRIES = 12
"""Entries of the activity that are shown."""


def headline(row: Row, palette: Palette) -> Text:
    """Severity, state and title."""
    text = Text()
    text.append_text(palette.severity(row.get("severity"))).append("  ")
    text.append_text(palette.incident_state(row.get("state"))).append("  ")
    return text.append(plain(row.get("title"), limit=1000), palette.strong)


def extent(row: Row, palette: Palette) -> Text:
    """How much is hurt: `23 jobs of 2 tasks and 1 user at 3 queues, 4.2 core-hours lost`."""
    jobs = row.get("job_count") or 0
    text = Text(style=palette.text)
    if jobs:
        text.append(plural(jobs, "job"), palette.strong)
        text.append(
            f" of {plural(row.get('task_count') or 0, 'task')} and {plural(row.get('user_count') or 0, 'user')}"
            f" at {plural(row.get('queue_count') or 0, 'queue')}, "
        )
        text.append(f"{core_hours(row.get('lost_core_s'))} core-hours lost", palette.strong)
    else:
        text.append("no job is hurt so far")
    if row.get("record_count"):
        text.append(f", {plural(row['record_count'], 'log record')}")
    return text


def verdict(
    row: Row, palette: Palette, now: datetime, *, brief: bool = False, judged: Mapping[str, Any] | None = None
) -> RenderableType:
    """What it is, whose it is, how much, where and since when; without its course when brief. `judged`: the verdict with
    its sentence, where it is known."""
    where = plain(row.get("computing_site") or "–")
    others = (row.get("queue_count") or 0) - 1
    where += f" and {plural(others, 'other queue')}" if others > 0 else ""
    first, last = (ago(row.get(name), now) for name in ("first_seen", "last_seen"))
    is_one_line = brief and bool(row.get("computing_site"))
    trend = incident_trend(row, palette)
    trend.append("  last hour, 5 minutes each", palette.muted)
    return Group(
        headline(row, palette),
        facts(
            [
                ("verdict", verdict_line(row, judged, palette)),
                ("extent", extent(row, palette)),
                ("where", Text(f"{where} · since {first}, last {last} ago" if is_one_line else where)),
                ("since", Text("" if is_one_line else f"{first} ago, last {last} ago")),
                ("course", Text("") if brief else trend),
                ("owner", whose(row, palette)),
                ("part of", _part_of(row, palette)),
            ],
            palette,
        ),
    )


def whose(row: Row, palette: Palette) -> Text:
    """Who has it, who was asked to look, whose decision automation respects."""
    said = [
        plain(row.get("owner"), limit=80),
        f"assigned to {plain(row['assigned_to'], limit=80)}" if row.get("assigned_to") else "",
        f"held by {plain(row['held_by'], limit=80)}" if row.get("held_by") else "",
    ]
    return Text(" · ".join(filter(None, said)), style=palette.text)


def _part_of(row: Row, palette: Palette) -> Text:
    if row.get("merged_into"):
        return Text(f"incident {row['merged_into']}: it was merged into that", style=palette.active)
    if row.get("inhibited_by"):
        return Text(
            f"incident {row['inhibited_by']}, which explains it; nobody is told of this one", style=palette.active
        )
    return Text("")


def reason(row: Row, grouping: str, palette: Palette) -> RenderableType | None:
    """Who reported it with which code, and why these events are together."""
    component, code = row.get("component"), row.get("code")
    cause = f"{component}:{code}" if component and code is not None else component or ""
    if not cause and not grouping:
        return None
    return facts(
        [
            ("reported as", Text(" · ".join(filter(None, [plain(cause), _step_words(row)])))),
            ("one because", Text(plain(grouping))),
        ],
        palette,
    )


def _step_words(row: Row) -> str:
    """`in stage-out · class storage`."""
    step, kind = plain(row.get("step"), limit=60), plain(row.get("error_class"), limit=40)
    return " · ".join(filter(None, [f"in {step}" if step else "", f"class {kind}" if kind else ""]))


def incident_card(row: Row, palette: Palette, now: datetime) -> RenderableType:
    """The row under the cursor of a list, in full."""
    parts: list[RenderableType] = [verdict(row, palette, now)]
    if row.get("culprit_line"):
        parts += [Text(""), Text(plain(row["culprit_line"], limit=2000), style=palette.bad, overflow="fold")]
    return Group(*parts)


def culprit(
    found: Mapping[str, Any] | None, row: Row, palette: Palette, *, around_it: int = 8
) -> RenderableType | None:
    """The failing line with at most `around_it` lines before it and half as many after it; from the row alone while the
    rest is on its way."""
    if not found:
        line = row.get("culprit_line")
        return Text(plain(line, limit=2000), style=palette.bad, overflow="fold") if line else None
    number_of_it = int(found.get("line_number") or 0)
    around = [
        line
        for line in found.get("around") or []
        if -around_it <= int(line.get("line_number") or 0) - number_of_it <= around_it // 2
    ] or [{"line_number": found.get("line_number"), "text": found.get("text")}]
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", no_wrap=True, style=palette.muted)
    table.add_column(no_wrap=True, width=1)
    table.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
    for line in around:
        is_culprit = line.get("line_number") == found.get("line_number")
        style = palette.bad if is_culprit else palette.muted
        table.add_row(
            Text(str(line.get("line_number") or "")),
            Text("▶" if is_culprit else " ", style=style),
            Text(plain(line.get("text"), limit=2000), style=style, overflow="fold" if is_culprit else "ellipsis",
                 no_wrap=not is_culprit),
        )  # fmt: skip
    return table


def culprit_source(found: Mapping[str, Any] | None) -> str:
    """Where the lines are from."""
    if not found:
        return ""
    kept = "the log is gone, these lines were kept" if found.get("is_kept") else "l opens it"
    return f"job {found.get('panda_id')} · {plain(found.get('log_name'))} line {found.get('line_number')} · {kept}"


def breakdown(tables: Mapping[str, Sequence[Mapping[str, Any]]], palette: Palette, width: int) -> RenderableType | None:
    """The top values of each dimension with bars, side by side."""
    shown = [(title, list(tables.get(name) or [])[:6]) for name, title in _BREAKDOWN.items() if tables.get(name)]
    if not shown:
        return None
    outer = Table.grid(padding=(0, 3), expand=True)
    per_row = 1 if width < 50 else 2
    for _ in range(per_row):
        outer.add_column(ratio=1)
    cells = [_dimension(title, values, palette) for title, values in shown]
    for start in range(0, len(cells), per_row):
        outer.add_row(*cells[start : start + per_row])
    return outer


def _dimension(title: str, values: Sequence[Mapping[str, Any]], palette: Palette) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=8, no_wrap=True)
    table.add_row(Text(title, style=palette.heading), Text(""), Text(""))
    highest = max((value.get("count") or 0 for value in values), default=1) or 1
    for value in values:
        count = value.get("count") or 0
        table.add_row(
            Text(plain(value.get("value") if value.get("value") not in (None, "") else "Not specified", limit=80)),
            Text(number(count), style=palette.strong),
            Text(bar(count / highest, 8), style=palette.bad),
        )
    return table


def activity(entries: Sequence[Row], palette: Palette) -> RenderableType | None:
    """Who did what, newest last; of many the last ones."""
    if not entries:
        return None
    left_out = len(entries) - _ENTRIES
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, style=palette.muted)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    if left_out > 0:
        table.add_row(Text(""), Text("…"), Text(""), Text(f"{left_out} earlier ones: panda incidents N shows them"))
    for entry in entries[-_ENTRIES:]:
        table.add_row(
            Text(stamp(entry.get("time"))),
            Text(plain(entry.get("who"), limit=30), style=palette.strong),
            Text(plain(entry.get("action"), limit=30), style=palette.active),
            Text(plain(entry.get("comment"), limit=1000)),
        )
    return table


def records(entries: Sequence[Row], palette: Palette) -> RenderableType | None:
    """Log records, as they were stored."""
    if not entries:
        return None
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, style=palette.muted)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style=palette.active, max_width=18, overflow="ellipsis")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for entry in entries:
        word = plain(entry.get("level"), limit=10)
        style = (
            palette.bad if word in {"ERROR", "CRITICAL"} else palette.waiting if word == "WARNING" else palette.muted
        )
        table.add_row(
            Text(stamp(entry.get("time"))),
            Text(word, style=style),
            Text(plain(entry.get("component"), limit=40)),
            Text(plain(entry.get("message"), limit=400), no_wrap=True, overflow="ellipsis"),
        )
    return table
