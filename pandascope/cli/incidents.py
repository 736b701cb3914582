"""`panda incidents`: the list worst first, one of them with its culprit line, and what can be done about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of, number_of
from pandascope.cli.rendering import (
    age,
    console,
    facts,
    footer,
    harmless,
    heading,
    number,
    plain,
    print_json,
    state,
    table,
)
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import Client

_THINGS = ("job", "task", "queue", "user", "record")


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID|NAME=VALUE", help="One incident, or filters: severity=error, component=pilot."),
    ] = None,
    acknowledge: Annotated[
        list[str] | None, typer.Option("--ack", metavar="ID", help="Say that you take care of it; may be repeated.")
    ] = None,
    resolve: Annotated[list[str] | None, typer.Option("--resolve", metavar="ID", help="Say that it is over.")] = None,
    reopen: Annotated[list[str] | None, typer.Option("--reopen", metavar="ID", help="Say that it is not over.")] = None,
    comment: Annotated[str | None, typer.Option(metavar="TEXT", help="A note for the next shift.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Incidents to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List open and acknowledged incidents, worst first (state=* shows resolved ones too), or show or change one."""
    changes = {"acknowledge": acknowledge or [], "resolve": resolve or [], "reopen": reopen or []}
    if comment and not any(changes.values()):
        raise Usage("a comment needs an action", field="--comment", remedy="add --ack, --resolve or --reopen ID")
    if any(changes.values()):
        _change(changes, comment, url, data, as_json)
        return
    with connect(url, data) as client:
        if words and len(words) == 1 and ("=" not in words[0] or words[0].startswith("/incident/")):
            document = client.incident(number_of(words[0], "incident"))
            print_json(document) if as_json else show_incident(console(), document)
        else:
            _list(client, filters_of(words), limit, as_json)


def _change(
    changes: dict[str, list[str]], comment: str | None, url: str | None, data: Path | None, as_json: bool
) -> None:
    rows = []
    with connect(url, data) as client:
        for action, words in changes.items():
            for word in words:
                rows.append(getattr(client, action)(number_of(word, "incident"), comment))
    if as_json:
        print_json({"incidents": rows})
        return
    for row in rows:
        console().print(
            Text.assemble(f"incident {row['incident_id']} is ", state(row["state"]), f": {plain(row['title'])}")
        )


def _list(client: Client, filters: dict[str, str], limit: int, as_json: bool) -> None:
    document = client.incidents(**{"limit": limit, **filters, "strict": 1})
    if as_json:
        print_json(document)
        return
    terminal, rows = console(), document["incidents"]
    if rows:
        terminal.print(incident_table(rows))
    else:
        terminal.print(Text("no incidents" + (" match" if filters else ": all is well"), style="green"))
    footer(terminal, document, len(rows), "more with --limit")


def incident_table(rows: list[dict[str, Any]]) -> Any:
    """Incidents as a table, in the order given."""
    columns = (">id", "severity", "state", ">jobs", "queue", ">last seen", "~what", "~culprit line")
    return table(
        columns,
        [
            (
                row["incident_id"],
                state(row["severity"]),
                state(row["state"]),
                row["job_count"],
                row["computing_site"],
                age(row["last_seen"]),
                row["title"],
                row["culprit_line"],
            )
            for row in rows
        ],
    )


def show_incident(terminal: Console, document: dict[str, Any]) -> None:
    """One incident: verdict, culprit line with its surroundings, jobs, activity."""
    row = document["incident"]
    head = (
        f"incident {row['incident_id']} ",
        state(row["severity"]),
        " ",
        state(row["state"]),
        f"  {plain(row['title'])}",
    )
    terminal.print(Text.assemble(*head))
    terminal.print(
        facts(
            {
                "seen": f"first {age(row['first_seen'])} ago, last {age(row['last_seen'])} ago",
                "hit": ", ".join(
                    number(row[f"{thing}_count"], thing.replace("record", "log record")) for thing in _THINGS
                ),
                "lost": f"{row['lost_core_s'] / 3600:.2f} core-hours",
                "owner": row["owner"],
                "grouped": document["grouping"],
            }
        )
    )
    culprit = document["culprit"]
    if culprit:
        terminal.print(heading(f"culprit line: {culprit['log_name']} of job {culprit['panda_id']}"))
        for line in culprit["around"] or [culprit]:
            is_culprit = line["line_number"] == culprit["line_number"]
            text = f"{'>' if is_culprit else ' '} {line['line_number']:>6} {harmless(line['text'])}"
            terminal.print(Text(text, style="bold red" if is_culprit else ""), soft_wrap=True)
    if document["jobs"]:
        terminal.print(heading("jobs, newest first"))
        jobs = [
            (job["panda_id"], state(job["job_status"]), job["computing_site"], job["jedi_task_id"], job["job_name"])
            for job in document["jobs"]
        ]
        terminal.print(table((">PandaID", "status", "queue", ">task", "~name"), jobs))
    for entry in document["activity"]:
        words = f"{age(entry['time'])} ago  {plain(entry['who'])}  {plain(entry['action'])}  {plain(entry['comment'])}"
        terminal.print(Text(words, style="dim"))
    if row["sample_panda_id"]:
        terminal.print(Text(f"\nnext: panda logs {row['sample_panda_id']} --culprit", style="dim"))
