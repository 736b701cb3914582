"""Options and output that the commands about an installation share. Knows settings; starts nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.configuration import Settings
from core.errors import ConfigurationError

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data directory; default $PANDA_DATA, else the usual place."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def data_directory(data: Path | None) -> Path:
    """The data directory meant. A broken configuration does not matter when the directory is named."""
    try:
        return Settings.load(data).data
    except ConfigurationError:
        if data is None:
            raise
        return data.expanduser().resolve()


def print_json(answer: Any) -> None:
    """Write an answer as JSON to stdout."""
    typer.echo(json.dumps(answer, indent=2, default=str))


def with_data(command: str, data: Path) -> str:
    """A `panda` command as the reader has to type it for this data directory."""
    usual = Settings.model_fields["data"].get_default(call_default_factory=True)
    return command if Path(usual).expanduser().resolve() == data else f"{command} --data {data}"
