"""`panda incidents`: the list worst first, one of them in detail, and what people decide of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of, number_of
from pandascope.cli.incident_changes import Change, told
from pandascope.cli.incident_detail import show_comparison, show_incident
from pandascope.cli.rendering import age, console, footer, plain, print_json, state, table
from pandascope.cli.until import Until
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import Client

Ids = list[str] | None
_WIDE = 110
"""Columns of a terminal from which on a list has room for queue, owner and culprit line."""
_LONGEST_NAME = 30


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID|NAME=VALUE",
            help="One incident, or filters: severity=error, verdict=site, class=..., candidates=1",
        ),
    ] = None,
    acknowledge: Annotated[Ids, typer.Option("--ack", metavar="ID", help="Take it; may be repeated.")] = None,
    assign: Annotated[Ids, typer.Option("--assign", metavar="ID=NAME", help="Ask NAME to look (ID= nobody).")] = None,
    silence: Annotated[
        Ids, typer.Option("--silence", metavar="ID", help="Tell nobody of it, with --until; may be repeated.")
    ] = None,
    until: Until = None,
    resolve: Annotated[Ids, typer.Option("--resolve", metavar="ID", help="Say that it is over.")] = None,
    ending: Annotated[
        str, typer.Option("--as", metavar="WORD", help="Of --resolve: fixed, not_a_problem, duplicate or moved.")
    ] = "",
    reopen: Annotated[
        Ids, typer.Option("--reopen", metavar="ID", help="Say that it is not over, or give it back.")
    ] = None,
    comment: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; alone with an ID: a note for those who come.")
    ] = None,
    hold: Annotated[Ids, typer.Option("--hold", metavar="ID", help="Let no automation end or change it.")] = None,
    release: Annotated[Ids, typer.Option("--release", metavar="ID", help="Let automation act on it again.")] = None,
    rate: Annotated[
        Ids, typer.Option("--rate", metavar="ID=LEVEL", help="Say how severe it is: critical, error, warning.")
    ] = None,
    link: Annotated[Ids, typer.Option("--link", metavar="ID=URL", help="Add an address where more is said.")] = None,
    merge: Annotated[
        Ids, typer.Option("--merge", metavar="A=B", help="Put all of A into B, now and from now on.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="ID", help="Make a part an incident of its own, with --by.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="DIM=VALUE", help="Of --split: computing_site=CERN, jedi_task_id=...")
    ] = None,
    unlink: Annotated[
        Ids, typer.Option("--undo-link", metavar="LINK", help="Take a merge or split back, by its number.")
    ] = None,
    title: Annotated[
        str | None,
        typer.Option("--open", metavar="TITLE", help="Open one by hand; --severity, --queue, --task, --comment."),
    ] = None,
    severity: Annotated[str, typer.Option(metavar="LEVEL", help="Of --open.")] = "error",
    queue: Annotated[str, typer.Option(metavar="NAME", help="Of --open: the queue it is about.")] = "",
    task: Annotated[str | None, typer.Option(metavar="ID", help="Of --open: the task it is about.")] = None,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="A=B", help="Say what tells two incidents apart.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Incidents to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List incidents that are not resolved, worst first (state=* shows resolved ones too), show one, or decide about some.

    Decisions about many at once: `panda act acknowledge verdict=central`, which shows first what it would do.
    """
    changes: dict[str, list[str]] = {
        "acknowledge": acknowledge or [],
        "assign": assign or [],
        "silence": silence or [],
        "resolve": resolve or [],
        "reopen": reopen or [],
        "hold": hold or [],
        "release": release or [],
        "rate": rate or [],
        "link": link or [],
        "merge": merge or [],
        "split": [split] if split else [],
        "unlink": unlink or [],
        "open": [title] if title is not None else [],
    }
    wanted = [(name, word) for name, given in changes.items() for word in given]
    is_one = words is not None and len(words) == 1 and ("=" not in words[0] or words[0].startswith("/incident/"))
    if comment and not wanted:
        if not is_one:
            raise Usage("a comment of what?", field="--comment", remedy="name the incident, or add --ack ID or another")
        wanted = [("comment", (words or [""])[0])]
    elif wanted and words:
        raise Usage("either a list or a change", field="ID", remedy="name the incident with the option: --ack ID")
    if (until is not None) != bool(silence) or (by is not None) != bool(split) or (ending and not resolve):
        raise Usage(
            "these options go together",
            field="--until",
            remedy="--silence with --until, --split with --by, --as with --resolve",
        )
    with connect(url, data) as client:
        if wanted:
            change = Change(client, comment or "", until, ending, by, severity, queue, task)
            rows: list[dict[str, Any]] = []
            try:
                rows += (change.carry_out(name, word) for name, word in wanted)
            finally:  # what was done is told, whatever is refused after it
                print_json({"incidents": rows}) if as_json else told(console(), rows)
        elif compare is not None:
            first, _, second = compare.partition("=")
            document = client.compare_incidents(number_of(first, "incident"), number_of(second, "incident"))
            print_json(document) if as_json else show_comparison(console(), document)
        elif is_one and words:
            document = client.incident(number_of(words[0], "incident"))
            print_json(document) if as_json else show_incident(console(), document)
        else:
            _list(client, filters_of(words), limit, as_json)


def _list(client: Client, filters: dict[str, str], limit: int, as_json: bool) -> None:
    document = client.incidents(**{"limit": limit, **filters, "strict": 1})
    if as_json:
        print_json(document)
        return
    terminal, rows = console(), document["incidents"]
    if rows:
        terminal.print(incident_table(rows, terminal.width))
    else:
        terminal.print(Text("no incidents" + (" match" if filters else ": all is well"), style="green"))
    footer(terminal, document, len(rows), "more with --limit")


def incident_table(rows: list[dict[str, Any]], width: int = _WIDE) -> Any:
    """Incidents as a table, in the order given; what a narrow terminal has no room for is left out."""
    columns = (
        ">id",
        "severity",
        "state",
        "whose fault",
        ">jobs",
        ">last seen",
        "~what",
        "queue",
        "with",
        "~culprit line",
    )
    kept = len(columns) if width >= _WIDE else columns.index("queue")
    shown = [
        (
            row["incident_id"],
            state(row["severity"]),
            state(row["state"]),
            _short(verdict_words(row)),
            row["job_count"],
            age(row["last_seen"]),
            row["title"] + (f" (explains {row['inhibits']})" if row["inhibits"] else ""),
            _short(row["computing_site"]),
            row["owner"] or (f"({plain(row['assigned_to'])})" if row["assigned_to"] else ""),
            row["culprit_line"],
        )[:kept]
        for row in rows
    ]
    return table(columns[:kept], shown)


def _short(text: str) -> str:
    """No name that somebody made up leaves the titles without room."""
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def verdict_words(row: dict[str, Any]) -> str:
    """`site CERN`, `central`; empty while nobody has judged it."""
    return f"{row['verdict']} {row['verdict_value']}".strip()
