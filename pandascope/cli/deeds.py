"""`panda deeds`: what people did to incidents, jobs, tasks and queues, what became of it, and what takes it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of, number_of
from pandascope.cli.rendering import age, console, facts, footer, heading, number, plain, print_json, table
from pandascope.cli.until import clock_words, end_words, moment_words

_SHOWN_TARGETS = 40
_STATES = {"done": "green", "partly": "yellow", "failed": "red", "executing": "cyan"}


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID|NAME=VALUE", help="One deed, or filters: who=ann, action=drain, target=CERN."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Deeds to show.")] = 30,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List what people did with `panda act`, the console and the web, newest first, or show one deed with its targets."""
    with connect(url, data) as client:
        if words and len(words) == 1 and "=" not in words[0]:
            document = client.deed(number_of(words[0], "deed"))
            print_json(document) if as_json else _show(console(), document)
            return
        document = client.deeds(**{"limit": limit, **filters_of(words), "strict": 1})
    if as_json:
        print_json(document)
        return
    rows = document["deeds"]
    console().print(deed_table(rows) if rows else "no deeds" + (" match" if words else " yet: `panda act --help`"))
    footer(console(), document, len(rows), "more with --limit")


def deed_table(rows: list[dict[str, Any]]) -> Any:
    """Deeds as a table, in the order given."""
    columns = (">deed", ">age", "who", "what", "state", "from", "~ends", "~why")
    return table(
        columns,
        [
            (
                row["deed_id"],
                age(row["time"]),
                row["who"],
                what(row),
                Text(row["state"], style=_STATES.get(row["state"], "")),
                row["via"],
                _end(row),
                row["reason"],
            )
            for row in rows
        ],
    )


def what(deed: Mapping[str, Any]) -> str:
    """`drain 2 queues`; `undo deed 17`."""
    if deed["action"] == "undo":
        return f"undo deed {(deed['parameters'] or {}).get('deed_id', '?')}"
    return f"{plain(deed['action'])} {number(deed['target_count'], plain(deed['target_kind']))}"


def tell_deed(terminal: Console, deed: Mapping[str, Any]) -> None:
    """What a deed that was just done came to, and what can be done next."""
    result = deed["result"] or {}
    said = [
        f"{result[name]:,} {words}"
        for name, words in (("done", "done"), ("gone", "with nothing left to do"), ("refused", "left alone"))
        if result.get(name)
    ]
    line = Text.assemble(f"deed {deed['deed_id']}: {what(deed)}: ", (deed["state"], _STATES.get(deed["state"], "")))
    terminal.print(line + (f" ({', '.join(said)})" if said else ""))
    for note in (result.get("notes") or [])[:10]:
        terminal.print(Text(f"  {plain(note['target'])} {plain(note['note'])}", style="dim"), soft_wrap=True)
    number_ = deed["deed_id"]
    if deed["state"] == "executing":
        terminal.print(Text(f"it goes on in the background; `panda deeds {number_}` shows how far it is", style="dim"))
    elif deed.get("can_be_undone"):
        until = f"; by itself it goes back {_revert(deed)}" if deed["revert_state"] == "waiting" else ""
        terminal.print(Text(f"next: panda undo {number_} takes it back{until}", style="dim"))


def _show(terminal: Console, document: Mapping[str, Any]) -> None:
    deed, states = document["deed"], document["target_states"]
    terminal.print(Text.assemble(f"deed {deed['deed_id']} ", (deed["state"], _STATES.get(deed["state"], ""))))
    by = f" from {plain(deed['via'])}" if deed["via"] else ""
    terminal.print(
        facts(
            {
                "what": what(deed),
                "who": f"{plain(deed['who'])}{by}, {age(deed['time'])} ago ({clock_words(deed['time'])})",
                "why": plain(deed["reason"]) if deed["reason"] else "",
                "how": _parameters(deed["parameters"] or {}),
                "incident": deed["incident_id"],
                "targets": ", ".join(f"{count:,} {plain(state)}" for state, count in states.items()),
                "ends": _end(deed),
            }
        )
    )
    targets = document["targets"]
    if targets:
        terminal.print(heading(f"targets ({plain(deed['target_kind'])})"))
        rows = [(row["target"], row["state"], row["note"]) for row in targets[:_SHOWN_TARGETS]]
        terminal.print(table(("target", "state", "~note"), rows))
        if sum(states.values()) > len(rows):
            left = sum(states.values()) - len(rows)
            terminal.print(Text(f"and {left:,} more; up to 500 with --json", style="dim"))
    if deed.get("can_be_undone"):
        terminal.print(Text(f"\nnext: panda undo {deed['deed_id']}", style="dim"))


def _parameters(parameters: Mapping[str, Any]) -> str:
    if "until_kind" in parameters:
        return f"until {end_words(str(parameters['until_kind']), str(parameters.get('until') or ''))}"
    return ", ".join(f"{plain(name)} {moment_words(value)}" for name, value in parameters.items() if value)


def _end(deed: Mapping[str, Any]) -> str:
    if deed["undone_time"]:
        by = f" by {plain(deed['undone_by'])}" if deed["undone_by"] else ""
        return f"undone{by} {age(deed['undone_time'])} ago" + (
            f" (deed {deed['undo_deed_id']})" if deed["undo_deed_id"] else ""
        )
    if not deed["revert_kind"]:
        return ""
    return {
        "waiting": f"goes back {_revert(deed)}{_progress(deed)}",
        "cancelled": "stays: its revert was called off",
        "superseded": "stays: somebody changed it since",
        "done": "went back",
    }.get(deed["revert_state"], "")


def _progress(deed: Mapping[str, Any]) -> str:
    """`: 7 of 20 test jobs succeeded`, of a deed that waits for them."""
    progress = deed.get("revert_progress")
    return f": {plain(progress['sentence'])}" if progress else ""


def _revert(deed: Mapping[str, Any]) -> str:
    if deed["revert_kind"] == "tests":
        wanted = deed.get("revert_count")
        return f"when {number(wanted, 'test job') if wanted else 'test jobs'} finished"
    return f"at {clock_words(deed['revert_time'])}"
