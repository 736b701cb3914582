"""`panda shares`: the tree of global shares as it stands, and how operators change it."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect
from pandascope.cli.rendering import console, footer, number, print_json, table
from pandascope.errors import Usage

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="The tree of global shares: show it, edit it, tag work anew.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The share.")]
_FAR = 0.05
"""Deviation beyond which a share that has work does not hold."""


@app.callback()
def show(context: typer.Context, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show the tree with targets and use; or one of the commands below to change it."""
    if context.invoked_subcommand:
        return
    with connect(url, data) as client:
        document = client.shares()
    if as_json:
        print_json(document)
        return
    terminal = console()
    if not document["shares"]:
        terminal.print("There is no tree: priority and age decide alone. `panda shares load FILE` makes one.")
    columns = ("share", ">percent", ">target", ">executing", ">off now", ">off 24 h", ">running", ">queued", "~served")
    rows = [_row(share) for share in document["shares"]]
    rows += [
        (
            f"({row['name'] or 'no share'})",
            *("–", "–", f"{row['executing_power']:.0f}", "–", "–"),
            row["executing_jobs"],
            row["queued_jobs"],
            "after all others" if document["shares"] else "",
        )
        for row in document["unlisted"]
    ]
    if rows:
        terminal.print(table(columns, rows))
    footer(terminal, document, len(rows), "")


def _row(share: dict[str, Any]) -> tuple[Any, ...]:
    full = ", ".join(share["throttled"])
    served = f"{share['rank']}." if share["is_leaf"] else ""
    return (
        "  " * (share["level"] - 1) + share["name"],
        f"{share['percent']:.1f}",
        f"{share['target_power']:.0f}",
        f"{share['executing_power']:.0f}",
        _off(share["deviation"], has_work=share["queued_jobs"] > 0),
        _off(share["deviation_24h"], has_work=share["queued_jobs"] > 0),
        share["executing_jobs"],
        share["queued_jobs"],
        Text(f"{served} full: {full}", style="yellow") if full else served,
    )


def _off(deviation: float | None, *, has_work: bool) -> Any:
    if deviation is None:
        return "–"
    per_cent = round(100 * deviation)
    return Text(f"{per_cent:+d} %" if per_cent else "0 %", style="red" if has_work and deviation < -_FAR else "")


@app.command("set")
def set_share(
    name: Name,
    value: Annotated[float | None, typer.Option(metavar="X", help="Weight among its siblings.")] = None,
    parent: Annotated[str | None, typer.Option(metavar="NAME", help='The share above it; "" for the top.')] = None,
    position: Annotated[
        int | None, typer.Option(metavar="N", help="Work goes to the first leaf that matches, in this order.")
    ] = None,
    vo: Annotated[str | None, typer.Option(metavar="REGEX", help="Of the virtual organisation.")] = None,
    label: Annotated[str | None, typer.Option(metavar="REGEX", help="Of the prodSourceLabel.")] = None,
    group: Annotated[str | None, typer.Option(metavar="REGEX", help="Of the working group.")] = None,
    campaign: Annotated[str | None, typer.Option(metavar="REGEX", help="Of the campaign.")] = None,
    processing_type: Annotated[str | None, typer.Option(metavar="REGEX", help="Of the processing type.")] = None,
    trans_path: Annotated[str | None, typer.Option(metavar="REGEX", help="Of the transformation.")] = None,
    rtype: Annotated[str | None, typer.Option(metavar="REGEX", help="Of the kind of resource it runs at.")] = None,
    max_queued: Annotated[
        int | None, typer.Option(metavar="N", help="Jobs that may wait; 0: as the installation says.")
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a share or change some of its attributes. Expressions match the whole value; "" matches everything."""
    if value is not None and not math.isfinite(value):
        raise Usage(f"{value} is no weight", field="value", remedy="a number, 0 or more")
    changes = {
        "value": value,
        "parent": parent,
        "position": position,
        "vo": vo,
        "prod_source_label": label,
        "working_group": group,
        "campaign": campaign,
        "processing_type": processing_type,
        "trans_path": trans_path,
        "rtype": rtype,
        "max_queued_jobs": max_queued,
        "description": description,
    }
    with connect(url, data) as client:
        share = client.set_share(name, **{key: given for key, given in changes.items() if given is not None})
        warnings = client.shares()["warnings"]
    _warn([line for line in warnings if line.startswith(f"{name}:")])
    _done(share, f"{share['name']}: value {share['value']:g}, position {share['position']}", as_json=as_json)


@app.command()
def remove(name: Name, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Take a leaf out of the tree; `panda shares retag` gives its live work to others."""
    with connect(url, data) as client:
        answer = client.remove_share(name)
    _done(answer, f"{name} is removed", as_json=as_json)


@app.command()
def load(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON: a list of shares, as `panda shares dump` writes.")
    ],
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put the whole tree of a file in place of the one that is: all of it, or nothing."""
    shares = _read(file)
    with connect(url, data) as client:
        stored = client.set_share_tree(shares)
        _warn(client.shares()["warnings"])
    _done({"shares": stored}, f"the tree has {number(len(stored), 'share')} now", as_json=as_json)


@app.command()
def dump(url: Url = None, data: Data = None) -> None:
    """Write the tree as JSON, for `panda shares load`."""
    with connect(url, data) as client:
        print_json(client.share_tree())


@app.command()
def retag(
    running: Annotated[bool, typer.Option("--running", help="Also jobs that a pilot has.")] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give live tasks and jobs the shares that the tree gives them now."""
    with connect(url, data) as client:
        changed = client.retag(running_too=running)
    _done(changed, f"{number(changed['tasks'], 'task')} and {number(changed['jobs'], 'job')} changed", as_json=as_json)


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Usage(f"{file}: {os.strerror(error.errno or 0)}", field="file", remedy="name a readable file") from error
    except ValueError as error:
        raise Usage(f"{file} is no JSON: {error}", field="file", remedy="see `panda shares dump`") from error
    shares = document.get("shares") if isinstance(document, dict) else document
    if not isinstance(shares, list):
        raise Usage(f"{file} holds no list of shares", field="file", remedy="see `panda shares dump`")
    return shares


def _warn(warnings: list[str]) -> None:
    """Beside the answer, which programs may read."""
    footer(console(), {"warnings": warnings}, 0, "")


def _done(document: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        console().print(Text(sentence))
