"""`panda audit`: who did what to which object, with what it was before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, filters_of
from pandascope.cli.rendering import age, console, footer, plain, print_json, table
from pandascope.errors import Usage

_LONGEST_VALUE = 60
_MOST_VALUES = 6
_WIDE = 110


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE",
            help="Filters: who=ann, action=resolve, object_kind=incident, object_id=17, deed_id=3, via=cli, outcome=failed, "
            "q=TEXT.",
        ),
    ] = None,
    hours: Annotated[float | None, typer.Option(metavar="N", help="Look back this far; default: all.")] = None,
    automatic: Annotated[
        bool | None, typer.Option("--automatic/--people", help="Only what the system did, or only what people did.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Entries to show.")] = 30,
    cursor: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Go on where a page ended (--json names it).")
    ] = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List who did what, newest first, with before and after. Nothing in it can be changed or removed."""
    asked: dict[str, Any] = {"limit": limit, **filters_of(words), "strict": 1, "cursor": cursor}
    if hours is not None:
        if not 0 < hours < 1e6:
            raise Usage(f"{hours:g} hours", field="--hours", remedy="a number above 0 and below 1,000,000")
        asked["hours"] = f"{hours:g}"
    if automatic is not None:
        asked["is_automatic"] = "true" if automatic else "false"
    with connect(url, data) as client:
        document = client.audit(**asked)
    if as_json:
        print_json(document)
        return
    terminal = console()
    is_wide = terminal.width >= _WIDE
    columns = (">entry", ">age", "who", "did", "to", *(("from", ">deed") if is_wide else ()), "~changed", "~why")
    rows = [
        (
            row["audit_id"],
            age(row["time"]),
            Text(plain(row["who"]), style="dim" if row["is_automatic"] else ""),
            row["action"],
            f"{row['object_kind']} {row['object_id']}",
            *((row["via"], row["deed_id"]) if is_wide else ()),
            change_words(row["before"], row["after"]),
            row["reason"],
        )
        for row in document["entries"]
    ]
    terminal.print(table(columns, rows) if rows else "no entries" + (" match" if words else ""))
    if document["next_cursor"]:
        terminal.print(Text(f"{len(rows)} shown; more with --limit", style="dim"))
    footer(terminal, {"warnings": document["warnings"]}, len(rows), "")


def change_words(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """What differs, as `state open -> acknowledged, owner -> ann`."""
    old, new = before or {}, after or {}
    names = [name for name in [*new, *(name for name in old if name not in new)] if old.get(name) != new.get(name)]
    said = []
    for name in names[:_MOST_VALUES]:
        was = f"{_short(old[name])} " if name in old and old[name] not in (None, "", {}, []) else ""
        said.append(f"{plain(name)} {was}-> {_short(new[name]) if name in new else 'gone'}")
    return ", ".join(said) + (", ..." if len(names) > _MOST_VALUES else "")


def _short(value: Any) -> str:
    text = plain(value if isinstance(value, str | int | float | None) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
