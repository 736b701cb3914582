"""`panda undo`: take a deed back, or let stay what would take itself back."""

from __future__ import annotations

from typing import Annotated

import typer

from pandascope.cli.connection import AsJson, Data, Url, connect, number_of
from pandascope.cli.deeds import tell_deed
from pandascope.cli.rendering import console, print_json


def command(
    deed: Annotated[str, typer.Argument(metavar="DEED", help="Its number in `panda deeds`.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who come after.")] = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Let it stay instead: it does not take itself back when its time comes.")
    ] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put back what a deed changed: once, and only while nobody changed it later. The undo is a deed of its own.

    A killed job cannot be brought back, and a retry is not taken back.
    """
    deed_id = number_of(deed, "deed")
    with connect(url, data) as client:
        done = client.cancel_revert(deed_id, reason) if keep else client.undo_deed(deed_id, reason)
    if as_json:
        print_json(done)
    elif keep:
        console().print(f"deed {deed_id} stays as it is: it does not take itself back any more")
    else:
        tell_deed(console(), done)
