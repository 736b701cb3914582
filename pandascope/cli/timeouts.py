"""`panda timeouts`: how long jobs may stay where they are, what each limit ended, and whom it will."""

from __future__ import annotations

from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect
from pandascope.cli.rendering import age, console, duration, print_json, table

_WIDE, _NARROW_COLUMNS = 110, 5
"""From this many terminal columns on, states and effects are shown; below it, the columns before them."""


def command(url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the timeouts: states, limit, effect, jobs past half of it, jobs ended so far."""
    with connect(url, data) as client:
        document = client.timeouts()
    if as_json:
        print_json(document)
        return
    columns = ("~what", ">limit", ">past half", ">ended", ">last", "~states", "~effect")
    rows = [
        (
            row["name"],
            duration(row["limit_s"]),
            Text(f"{row['older_than_half']:,}", style="yellow" if row["older_than_half"] else ""),
            row["ended_total"],
            age(row["last_ended_time"]),
            " ".join(row["states"]),
            row["effect"],
        )
        for row in document["timeouts"]
    ]
    terminal = console()
    shown = columns if terminal.width >= _WIDE else columns[:_NARROW_COLUMNS]
    terminal.print(table(shown, [row[: len(shown)] for row in rows]))
    if document["last_run"]:
        looked = f"looked at {age(document['last_run'])} ago, next at {document['next_run'][11:19]} UTC"
        terminal.print(Text(looked, style="dim"))
    else:
        terminal.print(Text("no watchdog ever ran here: see `panda status`", style="yellow"))
