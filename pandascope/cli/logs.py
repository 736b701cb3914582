"""`panda logs ID`: a kept log of a job, with the culprit line marked."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, number_of
from pandascope.cli.rendering import console, harmless, number, print_json
from pandascope.log_lines import log_lines

_AROUND = 20


def command(
    panda_id: Annotated[str, typer.Argument(metavar="ID", help="PandaID, or the address of the job's page.")],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="payload.stderr, payload.stdout or pilot.log; default the telling one."),
    ] = None,
    culprit: Annotated[bool, typer.Option("--culprit", help="Only the failing line and 20 lines around it.")] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the log of a job; the failing line is marked.

    In a pipe the text comes as it is, without numbers and marks.
    """
    with connect(url, data) as client:
        document = client.job_log(number_of(panda_id, "PandaID"), name)
    if as_json:
        print_json(document)
    elif culprit or sys.stdout.isatty():
        _show(document, culprit)
    else:
        typer.echo(document["text"], nl=False)


def _show(document: dict[str, Any], only_around: bool) -> None:
    from pandascope.errors import NotFound

    terminal, found = console(), document["culprit"]
    if only_around and not found:
        raise NotFound(
            f"no line of {document['name']} tells what went wrong", code="no_culprit", remedy="leave --culprit out"
        )
    first = document["first_line_number"]
    lines = list(enumerate(log_lines(document["text"]), first))
    if only_around:
        lines = [one for one in lines if abs(one[0] - found["line_number"]) <= _AROUND]
    width = len(str(lines[-1][0])) if lines else 1
    terminal.print(Text(_title(document), style="dim"), soft_wrap=True)
    for line_number, line in lines:
        is_culprit = bool(found) and line_number == found["line_number"]
        mark, style = (">", "bold red") if is_culprit else (" ", "")
        terminal.print(
            Text.assemble((f"{mark} {line_number:>{width}} ", "red" if is_culprit else "dim"), (harmless(line), style)),
            soft_wrap=True,
        )


def _title(document: dict[str, Any]) -> str:
    others = [name for name in document["names"] if name != document["name"]]
    cut = ", only its end was kept" if document["truncated"] else ""
    return f"{document['name']}: {number(int(document['line_count']), 'line')}{cut}" + (
        f"; also: {', '.join(others)} (--name)" if others else ""
    )
