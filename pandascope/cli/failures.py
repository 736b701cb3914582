"""What to tell about jobs that failed: their incidents with culprit lines, and the command to type next."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from pandascope.cli.rendering import number, plain

if TYPE_CHECKING:
    from pandascope.client import Client

_PATIENCE_S = 5.0


def failure_incidents(client: Client, jedi_task_id: int) -> list[dict[str, Any]]:
    """The incidents of a task's failures; they follow a failure within a second or two, so it asks a few times."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        rows = list(client.incidents(jedi_task_id=jedi_task_id, state="*", limit=10)["incidents"])
        if rows or time.monotonic() > deadline:
            return rows
        time.sleep(0.3)


def show_failures(terminal: Console, client: Client, jedi_task_id: int, with_data: str = "") -> None:
    """Why jobs of a task failed. `with_data` is what commands need to find the same server (" --data DIR")."""
    incidents = failure_incidents(client, jedi_task_id)
    show_incidents(terminal, incidents, with_data)
    if not incidents:
        for job in client.jobs(jedi_task_id=jedi_task_id, job_status="!finished", facets=0, limit=5)["jobs"]:
            _line(terminal, f"job {job['panda_id']} {job['job_status']}   next: panda job {job['panda_id']}{with_data}")


def show_incidents(terminal: Console, rows: Iterable[dict[str, Any]], with_data: str | None = "") -> None:
    """Three lines for each incident: what, the culprit line, what to type next (not with None: nobody can ask then)."""
    for row in rows:
        _line(
            terminal, f"incident {row['incident_id']}, {number(row['job_count'], 'job')}: {plain(row['title'])}", "red"
        )
        if row["culprit_line"]:
            _line(terminal, f"  culprit line  {plain(row['culprit_line'])}", "bold")
        if row["sample_panda_id"] and with_data is not None:
            _line(terminal, f"  next          panda logs {row['sample_panda_id']} --culprit{with_data}")


def _line(terminal: Console, text: str, style: str = "") -> None:
    """One line, cut at the width of a terminal."""
    terminal.print(Text(text, style=style), no_wrap=True, overflow="ellipsis" if terminal.is_terminal else "ignore")
