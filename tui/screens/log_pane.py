"""The log beside a job or an incident on a large screen: one answer of the log call drawn in a LogView."""

from __future__ import annotations

from typing import Any

from pandascope.client import AsyncClient
from pandascope.errors import NotFound
from tui.text import plain, plain_lines, plural
from tui.widgets.log_view import LogView


async def ask_log(client: AsyncClient, panda_id: int, name: str | None = None) -> dict[str, Any]:
    """The log of a job; empty when none is kept (yet)."""
    try:
        return await client.job_log(panda_id, name)
    except NotFound:
        return {}


def show_log(view: LogView, log: dict[str, Any]) -> None:
    """Lines, name and length; the first time at the failing line, else at the end."""
    is_first = not view.lines
    culprit = log.get("culprit") or {}
    view.show(
        plain_lines(str(log.get("text") or "")),
        first_line_number=int(log.get("first_line_number") or 1),
        culprit_number=culprit.get("line_number"),
    )
    view.border_title = f"Log {plain(log.get('name') or '')}".strip().replace("[", r"\[")
    view.border_subtitle = plural(len(view.lines), "line") if view.lines else "no log is kept"
    if is_first and culprit.get("line_number"):
        view.call_after_refresh(view.go_to_number, int(culprit["line_number"]))
    elif is_first:
        view.call_after_refresh(view.go_to, len(view.lines) - 1)
