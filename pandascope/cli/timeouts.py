"""`panda timeouts`: how long jobs may stay where they are, what each limit ended, and whom it will."""

from __future__ import annotations

from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect
from pandascope.cli.rendering import age, console, duration, print_json, table


def command(url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the timeouts: states, limit, effect, jobs past half of it, jobs ended so far."""
    with connect(url, data) as client:
        document = client.timeouts()
    if as_json:
        print_json(document)
        return
    columns = ("what", "states", ">limit", ">past half", ">ended", ">last", "~effect")
    rows = [
        (
            row["name"],
            " ".join(row["states"]),
            duration(row["limit_s"]),
            Text(f"{row['older_than_half']:,}", style="yellow" if row["older_than_half"] else ""),
            row["ended_total"],
            age(row["last_ended_time"]),
            row["effect"],
        )
        for row in document["timeouts"]
    ]
    terminal = console()
    terminal.print(table(columns, rows))
    if document["last_run"]:
        terminal.print(Text(f"looked at {age(document['last_run'])} ago, next at {document['next_run']}", style="dim"))
    else:
        terminal.print(Text("no watchdog ever ran here: see `panda status`", style="yellow"))
