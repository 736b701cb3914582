"""`panda queues`: what every queue has and does."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect
from pandascope.cli.rendering import age, console, counts, print_json, state, table


def command(url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List queues with their jobs, their last hour and their last pilot."""
    with connect(url, data) as client:
        document = client.queues()
    if as_json:
        print_json(document)
        return
    columns = ("queue", "status", "jobs", ">finished 1 h", ">failed 1 h", ">last pilot", "~limits")
    console().print(
        table(
            columns,
            [
                (
                    row["queue_name"],
                    state(row["status"]),
                    counts(row["jobs"]),
                    row["finished_last_hour"],
                    row["failed_last_hour"],
                    Text(f"{age(row['last_pilot_contact'])} SILENT", style="red")
                    if row["silent"]
                    else age(row["last_pilot_contact"]),
                    _limits(row),
                )
                for row in document["queues"]
            ],
        )
    )


def _limits(row: dict[str, Any]) -> str:
    limits = (("max_core_count", "cores"), ("max_ram_mb", "MB memory"), ("max_walltime_s", "s"))
    return ", ".join(f"{row[name]} {unit}" for name, unit in limits if row[name]) or "none"
