"""`panda incidents`: the list worst first, one of them in detail, and what people decide of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from pandascope.cli import incident_options as options
from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of, number_of
from pandascope.cli.incident_changes import Change, told
from pandascope.cli.incident_detail import show_comparison, show_incident
from pandascope.cli.rendering import age, console, footer, plain, print_json, state, table
from pandascope.cli.until import Until
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import Client

_WIDE = 110
"""Columns of a terminal from which on a list has room for queue, owner and culprit line."""
_LONGEST_NAME = 30


def command(
    words: options.Words = None,
    acknowledge: options.Acknowledge = None,
    assign: options.Assign = None,
    silence: options.Silence = None,
    until: Until = None,
    resolve: options.Resolve = None,
    ending: options.Ending = "",
    reopen: options.Reopen = None,
    comment: options.Comment = None,
    hold: options.Hold = None,
    release: options.Release = None,
    rate: options.Rate = None,
    link: options.Link = None,
    merge: options.Merge = None,
    split: options.Split = None,
    by: options.By = None,
    unlink: options.Unlink = None,
    title: options.Title = None,
    severity: options.Severity = "error",
    queue: options.Queue = "",
    task: options.Task = None,
    compare: options.Compare = None,
    limit: options.Limit = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List incidents that are not resolved, worst first (state=* shows resolved ones too), show one, or decide about some.

    Decisions about many at once: `panda act acknowledge verdict=central`, which shows first what it would do.
    """
    changes = {"acknowledge": acknowledge, "assign": assign, "silence": silence, "resolve": resolve, "reopen": reopen}
    changes |= {"hold": hold, "release": release, "rate": rate, "link": link, "merge": merge}
    changes |= {"split": [split] if split else [], "unlink": unlink, "open": [title] if title is not None else []}
    wanted = options.wanted_changes(changes, words, comment)
    options.check_pairs(until=until, silence=silence, by=by, split=split, ending=ending, resolve=resolve)
    with connect(url, data) as client:
        if wanted:
            _change(Change(client, comment or "", until, ending, by, severity, queue, task), wanted, as_json)
        elif compare is not None:
            _compare(client, compare, as_json)
        elif words and options.is_one(words):
            document = client.incident(number_of(words[0], "incident"))
            print_json(document) if as_json else show_incident(console(), document)
        else:
            _list(client, filters_of(words), limit, as_json)


def _change(change: Change, wanted: list[tuple[str, str]], as_json: bool) -> None:
    """Do all of it in order; what was done is told, whatever is refused after it."""
    rows: list[dict[str, Any]] = []
    try:
        rows += (change.carry_out(name, word) for name, word in wanted)
    finally:
        print_json({"incidents": rows}) if as_json else told(console(), rows)


def _compare(client: Client, pair: str, as_json: bool) -> None:
    first, equals, second = pair.partition("=")
    if not equals:
        raise Usage(f"'{pair}' is no pair", field="--compare", remedy="write A=B, as in 17=18")
    document = client.compare_incidents(number_of(first, "incident"), number_of(second, "incident"))
    print_json(document) if as_json else show_comparison(console(), document)


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
