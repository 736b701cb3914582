"""The columns of every list: what a row of the API looks like in a table. Pure, given a palette and the time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.style import Style
from rich.text import Text

from tui.palette import Palette
from tui.render.verdict import verdict_cell
from tui.text import ago, bar, bytes_size, clock, core_hours, duration, number, plain, sparkline, until
from tui.widgets.virtual_table import Column, Row

Now = Callable[[], datetime]


def _cell(value: object, style: Style | str = "", *, limit: int = 400) -> Text:
    return Text(plain(value, limit=limit), style=style, no_wrap=True, end="")


def _named(name: str, style: Style, *, empty: str = "–") -> Callable[[Row], Text]:
    return lambda row: _cell(row.get(name) if row.get(name) not in (None, "") else empty, style)


def job_columns(palette: Palette, now: Now) -> list[Column]:
    """Jobs: who it is, how it stands, and what went wrong."""
    return [
        Column("PandaID", 8, _named("panda_id", palette.strong), align="right"),
        Column("state", 14, lambda row: palette.job_status(row.get("job_status")), rank=0),
        Column("jediTaskID", 10, _named("jedi_task_id", palette.text), rank=6, align="right"),
        Column("computingSite", 13, _named("computing_site", palette.text), flex=1, most=24, rank=4),
        Column("user", 10, _named("prod_user_name", palette.muted), flex=1, most=20, rank=8),
        Column("try", 3, lambda row: _attempt(row, palette), rank=9, align="right"),
        Column("changed", 8, lambda row: _cell(ago(row.get("state_change_time"), now()), palette.muted), rank=3, align="right"),
        Column("job name", 18, _named("job_name", palette.muted), flex=2, most=48, rank=7),
        Column("what went wrong", 20, lambda row: job_trouble(row, palette), flex=6),
    ]  # fmt: skip


def failed_job_columns(palette: Palette, now: Now) -> list[Column]:
    """Jobs that failed, in little room: which, when, why."""
    return [
        Column("PandaID", 8, _named("panda_id", palette.strong), align="right"),
        Column("ago", 6, lambda row: _cell(ago(row.get("state_change_time"), now()), palette.muted), align="right"),
        Column("what went wrong", 20, lambda row: job_trouble(row, palette), flex=6),
        Column("computingSite", 13, _named("computing_site", palette.muted), flex=1, most=24, rank=2),
        Column("user", 10, _named("prod_user_name", palette.muted), flex=1, most=20, rank=3),
    ]


def _attempt(row: Row, palette: Palette) -> Text:
    attempt = row.get("attempt_nr")
    return _cell(attempt, palette.waiting if isinstance(attempt, int) and attempt > 1 else palette.muted)


def job_trouble(row: Row, palette: Palette) -> Text:
    """The culprit line of a job, else the diagnosis of its primary error, else nothing."""
    if row.get("culprit_line"):
        return _cell(row["culprit_line"], palette.bad)
    error = row.get("error")
    if isinstance(error, dict):
        label = f"{error.get('component')}:{error.get('code')}"
        return _cell(f"{label} {error.get('diag') or error.get('name') or ''}", palette.bad)
    return _cell(row.get("job_sub_status") or "", palette.muted)


def incident_columns(palette: Palette, now: Now) -> list[Column]:
    """Incidents: how bad, what, where, how much, since when."""
    return [
        Column("severity", 10, lambda row: palette.severity(row.get("severity"))),
        Column("incident", 34, lambda row: _incident_title(row, palette), flex=5),
        Column("where", 12, lambda row: _incident_place(row, palette), flex=1, most=26, rank=5),
        Column("jobs", 6, lambda row: _cell(number(row.get("job_count")), palette.text), rank=3, align="right"),
        Column("lost c·h", 8, lambda row: _cell(core_hours(row.get("lost_core_s")), palette.text), rank=6, align="right"),
        Column("since", 6, lambda row: _cell(ago(row.get("first_seen"), now()), palette.muted), rank=2, align="right"),
        Column("last", 6, lambda row: _cell(ago(row.get("last_seen"), now()), palette.muted), rank=7, align="right"),
        Column("last hour", 12, lambda row: incident_trend(row, palette), rank=4),
        Column("state", 14, lambda row: palette.incident_state(row.get("state")), rank=8),
        Column("verdict", 12, lambda row: verdict_cell(row, palette), flex=1, most=24, rank=8),
        Column("owner", 8, _named("owner", palette.muted), most=14, flex=1, rank=9),
        Column("failing line", 30, lambda row: _cell(row.get("culprit_line") or "", palette.bad), flex=5, rank=10),
    ]  # fmt: skip


_UNOWNED = {"open", "reopened"}


def _incident_title(row: Row, palette: Palette) -> Text:
    title = Text(no_wrap=True, end="")
    if row.get("state") == "acknowledged":
        title.append("◐ ", palette.active)
    elif row.get("state") == "silenced":
        title.append("◌ ", palette.muted)
    elif row.get("state") == "resolved":
        title.append("✓ ", palette.good)
    title.append(plain(row.get("title"), limit=400), palette.strong if row.get("state") in _UNOWNED else palette.text)
    if row.get("inhibits"):
        title.append(f" +{row['inhibits']} explained", palette.muted)
    return title


def _incident_place(row: Row, palette: Palette) -> Text:
    place = plain(row.get("computing_site") or row.get("component") or "–", limit=60)
    others = (row.get("queue_count") or 0) - 1
    return _cell(f"{place} +{others}" if others > 0 else place, palette.text)


def incident_trend(row: Row, palette: Palette) -> Text:
    """Twelve counts of five minutes as a sparkline."""
    counts = [float(count) for count in row.get("trend") or [] if isinstance(count, int | float)]
    return Text(sparkline(counts), style=palette.bad if any(counts) else palette.muted, end="")


_UNDER_WAY = ("sent", "starting", "running")


def queue_columns(palette: Palette, now: Now) -> list[Column]:
    """Queues: who is unwell?"""
    return [
        Column("queue", 12, _named("queue_name", palette.strong), flex=2, most=40),
        Column("status", 11, lambda row: palette.queue_status(row.get("status"))),
        Column("pilots", 15, lambda row: _contact(row, palette, now), rank=3, align="right"),
        Column("waiting", 7, lambda row: _jobs_in(row, palette, palette.waiting, "activated", "assigned"), rank=1, align="right"),
        Column("running", 7, lambda row: _jobs_in(row, palette, palette.active, *_UNDER_WAY), rank=2, align="right"),
        Column("finished/h", 10, lambda row: _cell(number(row.get("finished_last_hour")), palette.good), rank=4, align="right"),
        Column("failed/h", 8, lambda row: _failed(row, palette), align="right"),
        Column("status set", 16, lambda row: _set_by(row, palette, now), flex=4, most=50, rank=5),
        Column("site", 12, _named("site", palette.muted), flex=1, most=24, rank=8),
        Column("max cores", 9, lambda row: _cell(row.get("max_core_count") or "–", palette.muted), rank=6, align="right"),
        Column("max MB", 7, lambda row: _cell(number(row.get("max_ram_mb") or None), palette.muted), rank=7, align="right"),
        Column("comment", 16, _named("comment", palette.muted, empty=""), flex=4, rank=9),
    ]  # fmt: skip


def _set_by(row: Row, palette: Palette, now: Now) -> Text:
    """Whose word the status is, since when and why."""
    if not row.get("status_time"):
        return _cell("", palette.muted)
    who = "test jobs" if row.get("status_who") == "queue_tester" else row.get("status_who") or "the system"
    why = f": {row['status_reason']}" if row.get("status_reason") else ""
    return _cell(f"{who} {ago(row.get('status_time'), now())} ago{why}", palette.muted)


def user_columns(palette: Palette) -> list[Column]:
    """Users and groups: what they run, may and used."""
    return [
        Column("name", 16, _named("name", palette.strong), flex=3, most=40),
        Column("kind", 5, _named("kind", palette.muted), rank=5),
        Column("running", 8, lambda row: _some(row.get("running_jobs"), palette.active, palette), align="right"),
        Column("at most", 7, lambda row: _cell(number(_limit_of(row, "max_running_jobs")), palette.muted), rank=4, align="right"),
        Column("queued", 8, lambda row: _some(row.get("queued_jobs"), palette.waiting, palette), align="right"),
        Column("held", 6, lambda row: _some(row.get("held_jobs"), palette.bad, palette), rank=1, align="right"),
        Column("tasks", 6, lambda row: _some(row.get("active_tasks"), palette.text, palette), rank=2, align="right"),
        Column("CPU h/1d", 9, lambda row: _hours(row, "cpu_hours_1d", palette), rank=6, align="right"),
        Column("7d", 9, lambda row: _hours(row, "cpu_hours_7d", palette), rank=7, align="right"),
        Column("30d", 9, lambda row: _hours(row, "cpu_hours_30d", palette), rank=8, align="right"),
        Column("standing", 18, lambda row: _standing(row, palette), flex=4, rank=3),
    ]  # fmt: skip


def _limit_of(row: Row, name: str) -> Any:
    return (row.get("limits") or {}).get(name)


def _hours(row: Row, name: str, palette: Palette) -> Text:
    return _cell(core_hours(3600 * float(row.get(name) or 0)), palette.text if row.get(name) else palette.muted)


def _standing(row: Row, palette: Palette) -> Text:
    limits = row.get("limits") or {}
    if limits.get("is_banned"):
        return _cell(f"✗ banned {until(limits.get('banned_until'))}: {limits.get('reason') or ''}", palette.bad)
    if limits.get("boost_priority") is not None:
        return _cell(
            f"priority {limits['boost_priority']} {until(limits.get('boost_until'))}: {limits.get('reason') or ''}",
            palette.active,
        )
    return _cell("", palette.muted)


def _contact(row: Row, palette: Palette, now: Now) -> Text:
    last = ago(row.get("last_pilot_contact"), now())
    if row.get("silent"):
        return _cell("✗ never" if last == "–" else f"✗ silent {last}", palette.bad)
    return _cell("never" if last == "–" else f"{last} ago", palette.muted if last == "–" else palette.text)


def _jobs_in(row: Row, palette: Palette, style: Style, *statuses: str) -> Text:
    jobs = row.get("jobs") or {}
    amount = sum(int(jobs.get(status) or 0) for status in statuses)
    return _cell(number(amount), style if amount else palette.muted)


def _failed(row: Row, palette: Palette) -> Text:
    amount = row.get("failed_last_hour")
    return _cell(number(amount), palette.bad if amount else palette.muted)


def task_columns(palette: Palette, now: Now) -> list[Column]:
    """Tasks: how far, and what is left over."""
    return [
        Column("jediTaskID", 10, _named("jedi_task_id", palette.strong), align="right"),
        Column("state", 15, lambda row: palette.task_status(row.get("status"))),
        Column("name", 18, _named("task_name", palette.text), flex=4, most=60),
        Column("done", 18, lambda row: progress(row, palette, 12)),
        Column("jobs", 7, lambda row: _cell(number(row.get("n_jobs")), palette.text), rank=2, align="right"),
        Column("failed", 7, lambda row: _some(row.get("n_failed"), palette.bad, palette), rank=1, align="right"),
        Column("active", 7, lambda row: _some(row.get("n_active"), palette.active, palette), rank=3, align="right"),
        Column("user", 10, _named("user_name", palette.muted), flex=1, most=20, rank=6),
        Column("changed", 8, lambda row: _cell(ago(row.get("modification_time"), now()), palette.muted), rank=4, align="right"),
        Column("note", 14, _named("error_dialog", palette.bad, empty=""), flex=4, rank=7),
    ]  # fmt: skip


def _some(value: Any, style: Style, palette: Palette) -> Text:
    return _cell(number(value), style if value else palette.muted)


def progress(row: Row, palette: Palette, width: int) -> Text:
    """Ended jobs of a task: a bar (finished, then failed) and per cent."""
    total = max(1, int(row.get("n_jobs") or 0))
    finished = int(row.get("n_finished") or 0)
    failed = int(row.get("n_failed") or 0) + int(row.get("n_cancelled") or 0)
    good = "█" * round(finished / total * width)
    bad = bar(failed / total, width - len(good)) if failed else ""
    if failed and not bad.strip():
        bad = "▏"
    text = Text(no_wrap=True, end="")
    text.append(good, palette.good).append(bad[: width - len(good)], palette.bad)
    text.append("░" * max(0, width - len(text.plain)), palette.muted)
    return text.append(f" {(finished + failed) / total * 100:3.0f} %", palette.text)


def file_columns(palette: Palette) -> list[Column]:
    """Files of a job."""
    return [
        Column("type", 7, _named("type", palette.muted)),
        Column("lfn", 20, _named("lfn", palette.text), flex=3),
        Column("status", 11, lambda row: _file_status(row, palette)),
        Column("size", 8, lambda row: _cell(bytes_size(row.get("size_bytes")), palette.text), align="right"),
        Column("checksum", 12, _named("checksum", palette.muted), rank=2),
        Column("endpoint", 10, _named("endpoint", palette.muted), rank=3, flex=1, most=16),
    ]  # fmt: skip


def _file_status(row: Row, palette: Palette) -> Text:
    status = row.get("status")
    style = palette.bad if status == "failed" else palette.good if status in {"ready", "finished"} else palette.muted
    return _cell(status, style)


def history_line(entry: Row, palette: Palette) -> tuple[Text, Text, Text, Text]:
    """One state of a job's history: when, which, how long, why."""
    why = " ".join(plain(entry.get(name), limit=200) for name in ("host", "reason") if entry.get(name))
    return (
        _cell(clock(entry.get("modification_time")), palette.muted),
        palette.job_status(entry.get("job_status")),
        _cell(duration(entry.get("duration_s")), palette.text),
        _cell(why, palette.muted),
    )
