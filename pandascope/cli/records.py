"""`panda records`: what programs said: records one by one, how many there were, and who sends them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of
from pandascope.cli.rendering import age, console, footer, harmless, heading, plain, print_json, size, table
from pandascope.errors import Usage

_LEVELS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}
_SHOWN = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE",
            help="Filters: component=pilot, host=wn7, level=ERROR, panda_id=17, jedi_task_id=..., incident_id=...",
        ),
    ] = None,
    severity: Annotated[str | None, typer.Option(metavar="LEVEL", help="At least: WARNING, ERROR, ...")] = None,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Within the message.")] = None,
    hours: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.01, help="Look back this far; default an hour, of --counts a day."),
    ] = None,
    counts: Annotated[bool, typer.Option("--counts", help="How many there were, by component and day.")] = False,
    senders: Annotated[
        bool, typer.Option("--senders", help="Which processes send, what was lost, whose clock is off.")
    ] = False,
    tracebacks: Annotated[bool, typer.Option("--tracebacks", help="With the traceback of each.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Rows to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List log records, newest first; of the last hour unless a job, a task, an incident or --hours is named."""
    if counts and senders:
        raise Usage("one or the other", field="--counts", remedy="--counts or --senders")
    asked: dict[str, Any] = {**filters_of(words), "strict": 1}
    asked |= {"hours": f"{hours:g}"} if hours is not None else {}
    if not counts and not senders:
        asked |= {"limit": limit, "severity": severity, "q": text}
    elif severity or text or tracebacks or (senders and hours is not None):
        raise Usage("these choose records", field="--severity", remedy="leave them out with --counts and --senders")
    with connect(url, data) as client:
        if counts:
            document = client.record_counts(**asked)
        elif senders:
            document = client.senders(limit=limit, **asked)
        else:
            document = client.records(**asked)
    if as_json:
        print_json(document)
    elif counts:
        _show_counts(document, limit)
    elif senders:
        _show_senders(document)
    else:
        _show_records(document, tracebacks)


def _show_records(document: dict[str, Any], tracebacks: bool) -> None:
    terminal, rows = console(), document["records"]
    shown = [
        (
            age(row["time"] or row["received_time"]),
            Text(plain(row["level"]), style=_LEVELS.get(row["level"], "")),
            row["component"],
            row["host"],
            row["panda_id"],
            row["incident_id"],
            plain(row["message"]) + (f" (x{row['repeat_count']:,})" if row["repeat_count"] > 1 else ""),
        )
        for row in rows
    ]
    if not tracebacks:
        columns = (">age", "level", "component", "~host", ">job", ">incident", "~message")
        terminal.print(table(columns, shown) if rows else "no records")
    for row, (when, level, *_, message) in zip(rows, shown, strict=True) if tracebacks else ():
        where = f"  {plain(row['component'])} {plain(row['host'])}  "
        terminal.print(Text.assemble(f"{when} ago  ", level, where, message), soft_wrap=True)
        if row["traceback"]:
            terminal.print(Text(harmless(row["traceback"]).rstrip(), style="dim"), soft_wrap=True)
    if document["next_cursor"]:
        terminal.print(Text(f"{len(rows)} shown; more with --limit", style="dim"))
    footer(terminal, {"warnings": document["warnings"]}, len(rows), "")


def _show_counts(document: dict[str, Any], limit: int) -> None:
    terminal = console()
    rows = [
        (row["component"], row["count"], *(row["levels"].get(level, "") for level in _SHOWN))
        for row in document["components"][:limit]
    ]
    columns = ("component", ">records", *(f">{level.lower()}" for level in _SHOWN))
    terminal.print(table(columns, rows) if rows else "no records")
    if document["days"]:
        terminal.print(heading("stored days"))
        days = [
            (row["day"], row["row_count"], size(row["size_bytes"]), row["kept_from"], age(row["thinned_time"]))
            for row in document["days"][:limit]
        ]
        terminal.print(table(("day", ">records", ">size", "kept from", ">thinned"), days))
    footer(terminal, {"warnings": document["warnings"]}, len(rows), "")


def _show_senders(document: dict[str, Any]) -> None:
    terminal = console()
    rows = [
        (
            age(row["last_seen"]),
            row["component"],
            row["host"],
            row["emitter"],
            row["record_count"],
            Text(f"{row['dropped_count'] or 0:,}", style="red" if row["dropped_count"] else "dim"),
            Text(f"{row['refused_count'] or 0:,}", style="yellow" if row["refused_count"] else "dim"),
            f"{row['skew_ms'] / 1000:+.1f} s" if row["skew_ms"] is not None else "",
        )
        for row in document["senders"]
    ]
    columns = (">seen", "component", "host", "~by", ">records", ">lost there", ">refused here", ">clock off")
    terminal.print(table(columns, rows) if rows else "nobody sends records")
    footer(terminal, document, len(rows), "more with --limit")
