"""The options by which every user command finds its server. Imports neither core nor HTTP before they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pandascope.client import Client

Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The server; default $PANDA_URL, else of DATA/panda.env.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data directory of a `panda up`; default $PANDA_DATA or the usual one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def connect(url: str | None, data: Path | None) -> Client:
    """A client for the server these options mean. Raises ServerUnreachable when none is known."""
    from pandascope.client import Client

    return Client(url, data=data, via="cli")


def filters_of(words: list[str] | None) -> dict[str, str]:
    """Filters given as `name=value` words, or as the address of a page of the monitor. Raises Usage for other words."""
    from pandascope.addresses import parse_address
    from pandascope.errors import Usage

    filters: dict[str, str] = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        if word.startswith(("/", "http://", "https://")):
            filters.update(parse_address(word).filters)
        elif equals and name:
            filters[name.replace("-", "_")] = value
        else:
            raise Usage(f"'{word}' is not a filter", field="filter", remedy="write name=value, as in job_status=failed")
    return filters


def number_of(word: str, kind: str) -> int:
    """The number in `17`, or in the address of such a page (`/job/17/`). Raises Usage."""
    from pandascope.addresses import parse_address
    from pandascope.errors import Usage

    if word.isascii() and word.isdigit():
        return int(word)
    if "/" in word:
        number = parse_address(word).number
        if number is not None:
            return number
    raise Usage(f"'{word}' is no {kind}", field=kind, remedy="give its number")
