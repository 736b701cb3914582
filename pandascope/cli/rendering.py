"""How answers look in a terminal: tables, ages, sizes, colours of states. Knows rich; knows no server.

Text that came from jobs is shown as text: control characters are made visible and markup is never interpreted.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "finished": "green",
    "done": "green",
    "resolved": "green",
    "online": "green",
    "failed": "red",
    "broken": "red",
    "critical": "bold red",
    "error": "red",
    "open": "red",
    "reopened": "red",
    "silenced": "dim",
    "candidate": "dim",
    "cancelled": "magenta",
    "aborted": "magenta",
    "closed": "magenta",
    "warning": "yellow",
    "acknowledged": "yellow",
    "running": "cyan",
    "holding": "blue",
}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class _Terminal(Console):
    """A console whose reader may go away (head, less): main.py knows that this is no error."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A console that highlights nothing by itself; piped output is as wide as it needs to be."""
    terminal = _Terminal(highlight=False, markup=False, stderr=stderr)
    return terminal if terminal.is_terminal else _Terminal(highlight=False, markup=False, stderr=stderr, width=200)


def print_json(document: Any) -> None:
    """Write a document as JSON to stdout."""
    typer.echo(json.dumps(document, indent=2, default=str, ensure_ascii=not _speaks_unicode()))


def plain(value: Any) -> str:
    """A value as one line of harmless text; None and empty as a dash."""
    if value is None or value == "":
        return "-"
    return harmless(str(value)).replace("\n", " ").replace("\t", " ")


def harmless(text: str) -> str:
    """Text without control characters a terminal would obey (line ends and tabs stay)."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def state(value: Any) -> Text:
    """A state word in its colour."""
    return Text(plain(value), style=STATE_STYLES.get(str(value), ""))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table; a column whose title begins with `>` is aligned right, one that begins with `~` is cut to fit."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in columns:
        # a column that may wrap is one that rich narrows; the cells themselves never wrap
        side: JustifyMethod = "right" if title.startswith(">") else "left"
        made.add_column(title.lstrip(">~"), justify=side, no_wrap=not title.startswith("~"), overflow="ellipsis")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def _cell(value: Any) -> Text:
    text = value if isinstance(value, Text) else Text(plain(value))
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def facts(pairs: Mapping[str, Any]) -> Table:
    """Names and values, one pair per line; empty values are left out."""
    made = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value not in (None, ""):
            made.add_row(name, value if isinstance(value, Text) else Text(harmless(str(value))))
    return made


def heading(text: str) -> Text:
    """The title of a part."""
    return Text(f"\n{text}", style="bold")


def age(time: str | None) -> str:
    """How long ago a time of the server was: `12 s`, `3 min`, `2 h`, `5 d`."""
    if not time:
        return "-"
    return duration((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds())


def duration(seconds: float | None) -> str:
    """A length of time in its natural unit."""
    if seconds is None:
        return "-"
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(n_bytes: float | None) -> str:
    """A number of bytes in its natural unit."""
    if n_bytes is None:
        return "-"
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def number(count: int, thing: str) -> str:
    """`1 job`, `2,000 jobs`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def counts(by_state: Mapping[str, int]) -> Text:
    """Counts by state on one line, in colour."""
    parts = [Text(f"{name} {count:,}", style=STATE_STYLES.get(name, "")) for name, count in by_state.items() if count]
    return Text(", ").join(parts) if parts else Text("none")


def error_line(error: Mapping[str, Any] | None) -> str:
    """An error as one line: component:code name."""
    return f"{error['component']}:{error['code']} {error.get('name') or ''}".strip() if error else ""


def footer(terminal: Console, document: Mapping[str, Any], shown: int, more: str) -> None:
    """What a list leaves unsaid: how many there are, warnings of the server, how to see more."""
    total = int(document.get("count") or shown)
    about = "" if document.get("exact", True) else "about "
    if total > shown:
        terminal.print(Text(f"{shown} of {about}{total:,} shown; {more}", style="dim"))
    for warning in document.get("warnings") or []:
        Console(stderr=True, highlight=False, markup=False).print(Text(f"warning: {plain(warning)}", style="yellow"))


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
