"""`panda job ID`: one job on one screen."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, number_of
from pandascope.cli.rendering import console, duration, facts, heading, plain, print_json, size, state, table


def command(
    panda_id: Annotated[str, typer.Argument(metavar="ID", help="PandaID, or the address of the job's page.")],
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one job: what happened, errors, history, files."""
    with connect(url, data) as client:
        document = client.job(number_of(panda_id, "PandaID"))
    if as_json:
        print_json(document)
        return
    _show(console(), document)


def _show(terminal: Console, document: dict[str, Any]) -> None:
    job = document["job"]
    terminal.print(Text.assemble(f"job {job['panda_id']} ", state(job["job_status"]), f"  {plain(job['job_name'])}"))
    terminal.print(Text(plain(document["summary"])))
    terminal.print(
        facts(
            {
                "task": job["jedi_task_id"],
                "queue": job["computing_site"],
                "user": job["prod_user_name"],
                "node": job["modification_host"],
                "pilot": job["pilot_id"],
                "batch job": job["batch_id"],
                "attempt": f"{job['attempt_nr']} of {job['max_attempt']}",
                "asks for": f"{job['core_count']} cores, {job['min_ram_mb'] or 'any'} MB",
                "CPU time": duration(job["cpu_consumption_time_s"]) if job["cpu_consumption_time_s"] else "",
                "memory peak": size(job["max_rss_kb"] * 1024) if job["max_rss_kb"] else "",
                "pilot's time": ", ".join(
                    f"{name.replace('_', ' ')} {duration(taken)}"
                    for name, taken in document.get("timing", {}).items()
                    if taken
                ),
                "command": document["parameters"],
            }
        )
    )
    _show_errors(terminal, document)
    _show_retries(terminal, document.get("retries"))
    terminal.print(heading("history"))
    terminal.print(
        table(
            ("state", "since", ">for", "~reason"),
            [
                (
                    state(step["job_status"]),
                    _clock(step["modification_time"]),
                    duration(step["duration_s"]),
                    step["reason"],
                )
                for step in document["history"]
            ],
        )
    )
    if document["files"]:
        terminal.print(heading("files"))
        rows = [
            (file["type"], file["status"], size(file["size_bytes"]), file["lfn"], file["endpoint"])
            for file in document["files"]
        ]
        terminal.print(table(("type", "status", ">size", "~name", "storage"), rows))
    if document["logs"]:
        names = ", ".join(f"{log['name']} ({size(log['size_bytes'])})" for log in document["logs"])
        terminal.print(Text(f"\nlogs: {names}   read with: panda logs {job['panda_id']}", style="dim"))


def _show_errors(terminal: Console, document: dict[str, Any]) -> None:
    if document["errors"]:
        terminal.print(heading("errors"))
        for error in sorted(document["errors"], key=lambda error: not error["primary"]):
            style = "red" if error["primary"] else "dim"
            name = f"{error['component']}:{error['code']} {error['name'] or ''}"
            terminal.print(Text(f"{plain(name)}  {plain(error['diag'])}", style=style))
    if document["job"].get("culprit_line"):
        terminal.print(Text.assemble(("culprit line  ", "dim"), (plain(document["job"]["culprit_line"]), "bold red")))
    for incident in document["incidents"]:
        title = f"incident {incident['incident_id']} ({incident['state']}): {plain(incident['title'])}"
        terminal.print(Text(f"{title}   panda incidents {incident['incident_id']}", style="yellow"))
    if document.get("candidate"):
        terminal.print(Text(plain(document["candidate"]["sentence"]), style="dim"))


def _show_retries(terminal: Console, retries: dict[str, Any] | None) -> None:
    if not retries or not (retries["deeds"] or retries["next"] or retries["previous"]):
        return
    terminal.print(heading("retries"))
    whose = f"; a fault of the {retries['error_class']}" if retries["error_class"] in ("system", "user") else ""
    terminal.print(Text(plain(retries["sentence"] + whose)))
    for deed in retries["deeds"]:
        who = f"rule {deed['rule_id']}" if deed["rule_id"] else "class"
        words = f"{who}  {deed['error_source']}:{deed['error_code']} {deed['action']}: {plain(deed['effect'])}"
        terminal.print(Text(words, style="" if deed["has_acted"] else "dim"))


def _clock(time: str) -> str:
    return time[:19].replace("T", " ")
