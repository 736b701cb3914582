"""`panda staging`: datasets that are brought from tape to disk, how far they are, and what keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of
from pandascope.cli.rendering import age, console, footer, number, plain, print_json, size, state, table

_WIDE = 110
"""From this many columns on there is room for times and tasks."""


def command(
    filters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE",
            help="Filters: status=staging (status=*: what is through, too), dataset=..., jedi_task_id=..., request_id=..., "
            "source_endpoint=..., q=TEXT.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Requests to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List what is brought from tape, newest first: from where to where, how far, and what keeps it."""
    with connect(url, data) as client:
        document = client.staging(**{"limit": limit, **filters_of(filters), "strict": 1})
    if as_json:
        print_json(document)
        return
    terminal, rows = console(), document["requests"]
    is_wide = terminal.width >= _WIDE
    columns = (
        ">request",
        "status",
        ">files",
        "from",
        "to",
        *((">last", ">tasks") if is_wide else ()),
        "~dataset, and why",
    )
    if not rows:
        terminal.print(
            "nothing is brought from tape now: add status=* for what was" if not filters else "no requests match"
        )
        return
    terminal.print(
        table(
            columns,
            [
                (
                    row["request_id"],
                    state(row["status"]),
                    f"{row['n_staged']:,}/{row['n_files']:,}",
                    row["source_endpoint"] or "?",
                    row["destination_endpoint"] or "?",
                    *((age(row["progress_time"] if row["n_staged"] else None), _tasks(row)) if is_wide else ()),
                    _about(row),
                )
                for row in rows
            ],
        )
    )
    footer(terminal, document, len(rows), "more with --limit")


def _tasks(row: Mapping[str, Any]) -> str:
    return str(row["tasks"][0]) if row["n_tasks"] == 1 else number(row["n_tasks"], "task")


def _about(row: Mapping[str, Any]) -> Text:
    said = [f"{plain(row['dataset'])} ({size(row['n_bytes'])})"]
    if row["place_in_queue"]:
        said.append(f"number {row['place_in_queue']} in the queue")
    text = Text(", ".join(said))
    trouble = [row["pace"]] if row["pace"] else []
    if row["n_failed"]:
        trouble.append(f"{number(row['n_failed'], 'file')} failed")
    trouble += [plain(row["trouble"])] if row["trouble"] else []
    if trouble:
        text.append(f"  {'; '.join(trouble)}", style="red" if row["pace"] == "stuck" or row["n_failed"] else "yellow")
    return text
