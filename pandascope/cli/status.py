"""`panda status`: what runs, since when and where. Exit code 3 when the server does not answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from pandascope.cli.options import AsJson, Data, data_directory, print_json, with_data
from pandascope.environment import ENVIRONMENT_FILE, read_environment_file
from pandascope.supervisor.installation import DATABASE, is_alive
from pandascope.supervisor.records import ProcessRecord, ProcessRecords

_DOWN = 3


def command(data: Data = None, as_json: AsJson = False) -> None:
    """Show what runs, since when and where. Exit code 0 when the server answers, 3 when it does not."""
    status = installation_status(data_directory(data))
    if as_json:
        print_json(status)
    else:
        _show(status)
    if status["state"] != "up":
        raise typer.Exit(_DOWN)


def installation_status(data: Path) -> dict[str, Any]:
    """State of an installation: "up" (it answers), "starting or stuck" (processes but no answer), "down"."""
    path = data / ENVIRONMENT_FILE
    url = read_environment_file(path).get("PANDA_URL", "") if path.exists() else ""
    processes = [_row(record, data) for record in ProcessRecords(data).read()] if data.is_dir() else []
    running = [row for row in processes if row["state"] == "running"]
    state = "up" if url and is_alive(url) else "starting or stuck" if running else "down"
    return {
        "state": state,
        "url": url or None,
        "monitor": f"{url}/monitor/" if url else None,
        "data": str(data),
        "logs": str(data / "logs"),
        "processes": processes,
    }


def _row(record: ProcessRecord, data: Path) -> dict[str, Any]:
    alive = record.process() is not None
    if record.name == DATABASE and alive:
        from core.database.embedded import EmbeddedPostgres

        alive = EmbeddedPostgres(data).is_running()
    return {
        "name": record.name,
        "pid": record.pid,
        "since": record.since,
        "state": "running" if alive else "gone",
        "restarts": record.details.get("restarts", 0),
        "address": record.details.get("address", ""),
    }


def _show(status: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 140)  # addresses and paths are to be copied: let the terminal wrap them
    where = status["url"] or status["data"]
    console.print(f"[bold]pandascope is {status['state']}[/bold]: {where}")
    if status["processes"]:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("process", "pid", "state", "since", "restarts", "address"):
            table.add_column(title, justify="right" if title in ("pid", "restarts") else "left")
        for row in status["processes"]:
            since = f"{row['since'][:19].replace('T', ' ')} ({_age(row['since'])})"
            style = "" if row["state"] == "running" else "red"
            cells = (row["name"], str(row["pid"]), row["state"], since, str(row["restarts"]), row["address"])
            table.add_row(*cells, style=style)
        console.print(table)
    data = Path(status["data"])
    console.print(f"data {status['data']}   logs {status['logs']}")
    if status["state"] == "down":
        console.print(f"start it with: {with_data('panda up', data)}")


def _age(since: str) -> str:
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
