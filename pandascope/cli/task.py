"""`panda task ID`: one task on one screen."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, number_of
from pandascope.cli.rendering import age, console, counts, facts, heading, plain, print_json, state, table

_STEPS = 20
"""Of the history of a task that went to and fro, the last ones."""


def command(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="jediTaskID, or the address of the task's page.")],
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one task: how far it is, what its scouts measured, what was tried again, incidents, history."""
    number = number_of(task_id, "jediTaskID")
    with connect(url, data) as client:
        document = client.task(number)
        reason = None if as_json else client.why_task(number)["reason"]
    if as_json:
        print_json(document)
        return
    _show(console(), document, reason["sentence"] if reason else "")


def _show(terminal: Console, document: dict[str, Any], why: str) -> None:
    task = document["task"]
    number, status = task["jedi_task_id"], state(task["status"])
    terminal.print(Text.assemble(f"task {number} ", status, f"  {plain(task['task_name'])}"))
    if why:
        terminal.print(Text(plain(why)))
    failed = f", {task['n_files_failed']} given up" if task["n_files_failed"] else ""
    pieces = f"{task['n_files_finished']} of {task['n_files']} done{failed}" if task["n_files"] else ""
    terminal.print(
        facts(
            {
                "user": task["user_name"],
                "input": pieces,
                "jobs": counts(document["jobs"]),
                "queue": task["site"],
                "nucleus": task["nucleus"],
                "share": task["gshare"],
                "used": _used(document.get("cost")),
                "age": age(task["creation_time"]),
                "message": task["error_dialog"],
                "command": _command_of(document["parameters"]),
            }
        )
    )
    _show_measured(terminal, document["measured"])
    _show_retries(terminal, document["retries"])
    _show_incidents(terminal, document["incidents"])
    _show_history(terminal, document["history"])
    follow = f"\nits jobs: panda jobs jedi_task_id={number}   why it stands where it does: panda why {number}"
    terminal.print(Text(follow, style="dim"))


def _used(cost: dict[str, Any] | None) -> str:
    """Of the jobs that have ended, a minute or so late."""
    if not cost:
        return ""
    lost = cost["failed_core_hours"]
    return f"{_hours(cost['core_hours'])} core-hours" + (
        f", {_hours(lost)} of them by jobs that failed" if lost else ""
    )


def _hours(value: float) -> str:
    """`0`, `< 0.1`, `12.3`."""
    return "< 0.1" if 0 < value < 0.05 else f"{value:,.1f}" if value else "0"


def _command_of(parameters: dict[str, Any]) -> str:
    """What its owner typed: the whole line of prun, or the command of `panda run`."""
    typed = parameters.get("cliParams") or parameters.get("jobParameters")
    return typed if isinstance(typed, str) else ""


def _show_measured(terminal: Console, measured: list[dict[str, Any]]) -> None:
    """What scouts, and later the first jobs, were seen to need, and what that changed."""
    for look in measured:
        terminal.print(heading(f"measured by {look['stage']}"))
        if look["reason"]:
            terminal.print(Text(plain(look["reason"])))
        values = (f"{value['name']} {value['value']} {value['unit']}".strip() for value in look["values"])
        if said := ", ".join(values):
            terminal.print(Text(plain(said)))
        for change in look["changed"]:
            old = "unset" if change["old"] is None else change["old"]
            terminal.print(Text(plain(f"{change['parameter']}: {old} -> {change['new']}"), style="cyan"))


def _show_retries(terminal: Console, retries: list[dict[str, Any]]) -> None:
    if retries:
        terminal.print(heading("rules for failed jobs"))
        rows = [
            (
                f"{row['error_source']}:{row['error_code']}",
                row["action"],
                row["n_matched"],
                row["n_acted"],
                row["effect"],
            )
            for row in retries
        ]
        terminal.print(table(("error", "rule", ">met", ">acted", "~last"), rows))


def _show_incidents(terminal: Console, incidents: list[dict[str, Any]]) -> None:
    if incidents:
        terminal.print(heading("incidents"))
        rows = [
            (row["incident_id"], state(row["severity"]), state(row["state"]), row["job_count"], row["title"])
            for row in incidents
        ]
        terminal.print(table((">id", "severity", "state", ">jobs", "~what"), rows))


def _show_history(terminal: Console, history: list[dict[str, Any]]) -> None:
    terminal.print(heading("history"))
    if len(history) > _STEPS:
        terminal.print(Text(f"the last {_STEPS} of {len(history)} steps", style="dim"))
    rows = [(state(step["status"]), _clock(step["time"]), step["who"], step["reason"]) for step in history[-_STEPS:]]
    terminal.print(table(("state", "since", "who", "~reason"), rows))


def _clock(time: str) -> str:
    return time[:19].replace("T", " ")
