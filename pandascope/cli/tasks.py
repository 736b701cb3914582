"""`panda tasks`: a page of tasks, newest first."""

from __future__ import annotations

from typing import Annotated

import typer

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of
from pandascope.cli.rendering import age, console, footer, print_json, state, table


def command(
    filters: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Filters: status=running, user_name=...")
    ] = None,
    hours: Annotated[float | None, typer.Option(metavar="N", help="Look back this far.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Tasks to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first, with how far they are."""
    given = filters_of(filters) | ({"hours": f"{hours:g}"} if hours is not None else {})
    with connect(url, data) as client:
        document = client.tasks(**{"limit": limit, **given, "strict": 1})
    if as_json:
        print_json(document)
        return
    terminal, rows = console(), document["tasks"]
    columns = (">task", "status", ">jobs", ">finished", ">failed", ">killed", ">active", "user", ">age", "~name")
    counted = ("n_jobs", "n_finished", "n_failed", "n_cancelled", "n_active", "user_name")
    if rows:
        terminal.print(
            table(
                columns,
                [
                    (
                        row["jedi_task_id"],
                        state(row["status"]),
                        *(row[name] for name in counted),
                        age(row["creation_time"]),
                        row["task_name"],
                    )
                    for row in rows
                ],
            )
        )
    else:
        terminal.print("no tasks match")
    footer(terminal, document, len(rows), "more with --limit")
