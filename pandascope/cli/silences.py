"""`panda silences`: of what nobody is told, until when and how it grew meanwhile; made for filters, and ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of, number_of
from pandascope.cli.rendering import age, console, duration, footer, number, plain, print_json, state, table
from pandascope.cli.until import Until, end_words, moment_of, silence_end
from pandascope.errors import Usage

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List what nobody is told of and until when; silence by filters; end silences.",
)


@app.callback()
def silences(
    context: typer.Context,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are over.")] = False,
    incident: Annotated[str | None, typer.Option(metavar="ID", help="Of this incident.")] = None,
    who: Annotated[str | None, typer.Option(metavar="NAME", help="Made by NAME.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Silences to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List silences, newest first, or one of the commands below. One incident: `panda incidents --silence ID --until 2h`."""
    if context.invoked_subcommand:
        return
    filters: dict[str, Any] = {"incident_id": number_of(incident, "incident")} if incident else {}
    filters |= {"who": who} if who else {}
    filters |= {"ended": 1} if ended else {}
    with connect(url, data) as client:
        document = client.silences(limit=limit, strict=1, **filters)
    if as_json:
        print_json(document)
        return
    rows = document["silences"]
    console().print(silence_table(rows) if rows else Text("no silences", style="green"))
    footer(console(), document, len(rows), "more with --limit")


@app.command()
def add(
    words: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE", help="Filters of incidents: computing_site=CERN, class=network."),
    ],
    until: Until = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who look at the list.")] = "",
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Tell nobody of incidents that filters find, those there are and those that open until the end."""
    kind, end = silence_end(until)
    with connect(url, data) as client:
        made = client.silence_matching(filters_of(words), kind, moment_of(end), reason)
    if as_json:
        print_json(made)
        return
    caught = made["incidents"]
    console().print(Text(f"{silence_words(made['silence'])}; it met {number(len(caught), 'incident')}"), soft_wrap=True)
    console().print(Text(f"next: panda silences end {made['silence']['silence_id']} ends it before", style="dim"))


@app.command()
def end(
    words: Annotated[list[str], typer.Argument(metavar="SILENCE", help="Numbers in `panda silences`.")],
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """End silences before their time: their incidents are open again, or acknowledged when somebody has them."""
    numbers = [number_of(word, "silence") for word in words]
    if not numbers:
        raise Usage("end which?", field="SILENCE", remedy="numbers in `panda silences`")
    ended: list[dict[str, Any]] = []
    with connect(url, data) as client:
        try:
            ended += (client.end_silence(silence_id) for silence_id in numbers)
        finally:  # what was done is told, whatever is refused after it
            if as_json:
                print_json({"silences": ended})
            for row in ended if not as_json else ():
                console().print(Text(f"silence {row['silence_id']} is over{_left(row)}"), soft_wrap=True)


def silence_table(rows: list[dict[str, Any]], *, of_one: bool = False) -> Any:
    """Silences as a table, in the order given; `of_one`: all of one incident, which is not named then."""
    columns = (">silence", "until", ">for", ">since then", "who", "~why", "~of", "~what")
    shown = [
        (
            row["silence_id"],
            Text(f"over: {plain(row['end_reason'])}", style="dim")
            if row["end_time"]
            else end_words(row["until_kind"], row["until_time"]),
            duration(row["age_s"]),
            _growth(row),
            row["who"],
            row["reason"],
            _subject(row),
            Text.assemble(state(row["severity"]), f" {plain(row['title'])}") if row["incident_id"] else "",
        )
        for row in rows
    ]
    return table(columns[:-2], [row[:-2] for row in shown]) if of_one else table(columns, shown)


def silence_words(row: Mapping[str, Any]) -> str:
    """A silence as a sentence: `silence 3 of incident 17 until 18:00 UTC`."""
    return f"silence {row['silence_id']} of {_subject(row)} until {end_words(row['until_kind'], row['until_time'])}"


def _subject(row: Mapping[str, Any]) -> str:
    if row["incident_id"]:
        by = f" (by {row['by_silence_id']})" if row.get("by_silence_id") else ""
        return f"incident {row['incident_id']}{by}"
    return " ".join(f"{plain(name)}={plain(value)}" for name, value in row["matcher"].items())


def _growth(row: Mapping[str, Any]) -> str:
    """`+340, x2.1`; of one by filters how many incidents it holds."""
    if not row["incident_id"]:
        return number(row["caught"] or 0, "incident")
    growth = row["growth"]
    if not growth:
        return ""
    factor = f", x{growth['factor']:.1f}" if growth["factor"] else ""
    return f"{growth['events']:+,}{factor}" if growth["events"] else "nothing new"


def _left(row: Mapping[str, Any]) -> str:
    if not row["incident_id"]:
        return ""
    since = f" after {age(row['start_time'])}" if row["start_time"] else ""
    return f"{since}: incident {row['incident_id']} is {plain(row['state'])}: {plain(row['title'])}"
