"""A short table of jobs, for pages that show a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import marks, panels
from dashboard.links import Links


def job_table(rows: Sequence[dict[str, Any]], links: Links) -> html.Div:
    """PandaID (link), state, queue, user, changed, failing line with a link into the log."""
    return panels.table(
        ["PandaID", "State", "Queue", "Worker node", "User", "Changed", "Failing line", "Log"],
        [
            [
                html.A(str(row["panda_id"]), href=links.page("job", row["panda_id"]), className="mono"),
                marks.job_state(row["job_status"]),
                row.get("computing_site") or "",
                marks.mono(row.get("modification_host") or ""),
                row.get("prod_user_name") or "",
                marks.age(row.get("state_change_time")),
                marks.mono(failing_line(row), class_name="clip"),
                html.A("open", href=links.page("log", row["panda_id"])),
            ]
            for row in rows
        ],
        class_name="jobs-table cards",
    )


def failing_line(row: dict[str, Any]) -> str:
    """The culprit line, else what the primary error says."""
    error = row.get("error") or {}
    return wording.gist(row.get("culprit_line")) or str(error.get("diag") or "")


def error_words(error: dict[str, Any] | None) -> str:
    """'pilot 1305: payload failed', empty without an error."""
    if not error:
        return ""
    name = f" {error['name']}" if error.get("name") else ""
    return f"{error['component']}:{error['code']}{name}"
