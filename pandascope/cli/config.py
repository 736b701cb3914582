"""`panda config`: every setting with its value, where the value comes from, and what it means."""

from __future__ import annotations

import typer

from core.configuration import Settings
from pandascope.cli.options import AsJson, Data, print_json


def command(data: Data = None, as_json: AsJson = False) -> None:
    """Show every setting, its value, where the value comes from (default, environment, a file) and its meaning.

    Set one in the environment (PANDA_PORT=8080, PANDA_TIMEOUTS__HEARTBEAT_S=600) or in DATA/panda.toml (port = 8080).
    """
    rows = list(Settings.load(data).rows())
    if as_json:
        keys = ("name", "value", "origin", "description")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    width = max(len(name) for name, *_ in rows)
    for name, value, origin, description in rows:
        typer.secho(f"{name:<{width}}", bold=origin != "default", nl=False)
        typer.echo(f"  {value!s}" + ("" if origin == "default" else f"   [{origin}]"))
        typer.secho(f"{'':<{width}}  {description}", dim=True)
