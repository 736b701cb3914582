"""`panda queues`: what every queue has and does, who set its status and why; operators set it here."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect
from pandascope.cli.rendering import age, console, counts, plain, print_json, state, table
from pandascope.errors import Usage

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List queues and what they do; set their status.",
)

_WIDE = 110
"""From this many columns on there is room for the limits of queues: who set the status and why comes first."""

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue.")]


@app.callback()
def queues(context: typer.Context, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """List queues with their jobs, their last hour and their last pilot."""
    if context.invoked_subcommand:
        return
    with connect(url, data) as client:
        document = client.queues()
    if as_json:
        print_json(document)
        return
    columns = ("queue", "status", "~jobs", ">done/h", ">failed/h", ">last pilot", "~status set", "~limits")
    terminal = console()
    shown = columns if terminal.width >= _WIDE else columns[:-1]
    rows = [
        (
            row["queue_name"],
            state(row["status"]),
            counts(row["jobs"]),
            row["finished_last_hour"],
            row["failed_last_hour"],
            Text(f"{age(row['last_pilot_contact'])} SILENT", style="red")
            if row["silent"]
            else age(row["last_pilot_contact"]),
            _set_by(row),
            _limits(row),
        )
        for row in document["queues"]
    ]
    terminal.print(table(shown, [row[: len(shown)] for row in rows]) if rows else "no queues: `panda site` starts one")


@app.command(name="set")
def set_(
    queue: Name,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="online, offline, test, brokeroff or paused.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the history of the queue.")] = "",
    release: Annotated[
        bool, typer.Option("--release", help="Give it back to the automaton, which goes by its test jobs.")
    ] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Set the status of a queue. The automaton leaves it alone then, until --release."""
    if status is None and not release:
        raise Usage("nothing to set", field="--status", remedy="add --status STATUS or --release")
    changes: dict[str, Any] = {"reason": reason, "release": release} | ({"status": status} if status else {})
    with connect(url, data) as client:
        present = {row["queue_name"] for row in client.queues(queue_name=queue)["queues"]}
        if queue not in present:
            raise Usage(f"there is no queue {queue}", field="QUEUE", remedy="see `panda queues` for the names")
        row = client.set_queue(queue, **changes)
    if as_json:
        print_json(row)
        return
    whose = {"person": "set by a person", "automaton": "set by its test jobs"}.get(
        row["status_set_by"], "for the automaton"
    )
    console().print(Text.assemble(f"{row['queue_name']} is ", state(row["status"]), f", {whose}"))


@app.command()
def history(queue: Name, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show who set the status of a queue, when and why."""
    with connect(url, data) as client:
        document = client.queue_history(queue)
    if as_json:
        print_json(document)
        return
    rows = [
        (row["time"][:19], state(row["previous_status"]), state(row["status"]), row["who"], row["reason"])
        for row in document["changes"]
    ]
    console().print(table(("time (UTC)", "from", "to", "who", "~why"), rows))


def _limits(row: dict[str, Any]) -> str:
    limits = (("max_core_count", "cores"), ("max_ram_mb", "MB memory"), ("max_walltime_s", "s"))
    return ", ".join(f"{row[name]} {unit}" for name, unit in limits if row[name]) or "none"


def _set_by(row: dict[str, Any]) -> str:
    if not row["status_time"]:
        return ""
    why = f": {plain(row['status_reason'])}" if row["status_reason"] else ""
    return f"{age(row['status_time'])} ago by {plain(row['status_who'])}{why}"
