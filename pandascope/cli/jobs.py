"""`panda jobs`: a page of jobs, newest first, with counts by state."""

from __future__ import annotations

from typing import Annotated

import typer

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of
from pandascope.cli.rendering import age, console, counts, error_line, footer, print_json, state, table


def command(
    filters: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Filters, or the address of a page of the monitor."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(metavar="N", help="Look back this far; default as in the monitor.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Jobs to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    A filter is name=value: job_status=failed, computing_site=LOCAL, jedi_task_id=10000000, error=pilot:1305,
    q=text. In values, a|b means one of them, * any text, and a leading ! not.
    """
    given = filters_of(filters) | ({"hours": f"{hours:g}"} if hours is not None else {})
    with connect(url, data) as client:
        document = client.jobs(**{"limit": limit, **given, "strict": 1})
    if as_json:
        print_json(document)
        return
    terminal, rows = console(), document["jobs"]
    if not rows:
        terminal.print("no jobs match" + (": " + " ".join(f"{k}={v}" for k, v in given.items()) if given else ""))
    else:
        facets = document.get("facets", {}).get("job_status", [])
        terminal.print(counts({facet["value"]: facet["count"] for facet in facets}))
        columns = (">PandaID", "status", "queue", ">task", "~name", ">in state for", "~error or culprit line")
        terminal.print(
            table(
                columns,
                [
                    (
                        row["panda_id"],
                        state(row["job_status"]),
                        row["computing_site"],
                        row["jedi_task_id"],
                        row["job_name"],
                        age(row["state_change_time"]),
                        row["culprit_line"] or error_line(row["error"]),
                    )
                    for row in rows
                ],
            )
        )
    footer(terminal, document, len(rows), "more with --limit, fewer with a filter")
