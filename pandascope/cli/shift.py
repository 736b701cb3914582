"""`panda shift`: who has the watch, what they note, and the handover that both sign."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.cli.connection import AsJson, Data, Url, connect, number_of
from pandascope.cli.rendering import age, console, facts, footer, harmless, heading, plain, print_json, table
from pandascope.cli.until import clock_words
from pandascope.errors import ClientError, Refused, Usage

if TYPE_CHECKING:
    from pandascope.client import Client

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="The shift log: begin a shift, note, read and edit the handover, sign it out and in.",
)

Which = Annotated[str | None, typer.Option("--shift", metavar="ID", help="Another shift than the running one.")]
Digest = Annotated[str, typer.Option("--digest", metavar="TEXT", help="Of the text that you read; `draft` names it.")]
_LARGEST = 200_000


@app.callback()
def shift(context: typer.Context, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Show who has the watch now and what is noted, or one of the commands below."""
    if not context.invoked_subcommand:
        show(None, url, data, as_json)


@app.command()
def start(
    people: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Who has the watch; default: you.")] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of several logs, which.")] = "",
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Begin a shift where nobody has the watch. One that runs is handed over: sign-out by who goes, sign-in by who comes."""
    with connect(url, data) as client:
        row = client.start_shift(name, people or [])
    _began(row, as_json)


@app.command()
def note(
    words: Annotated[list[str], typer.Argument(metavar="TEXT", help="What those who come should know.")],
    incident: Annotated[str | None, typer.Option(metavar="ID", help="The incident it is about.")] = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write something down in the running shift."""
    incident_id = number_of(incident, "incident") if incident else None
    with connect(url, data) as client:
        row = client.note_shift(None, " ".join(words), incident_id)
    if as_json:
        print_json(row)
    else:
        about = f" about incident {row['incident_id']}" if row["incident_id"] else ""
        console().print(f"noted{about} in shift {row['shift_id']}")


@app.command()
def show(
    which: Annotated[str | None, typer.Argument(metavar="ID", help="Another shift than the running one.")] = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show a shift: who has it, its notes, how far its handover is."""
    with connect(url, data) as client:
        document = client.shift(_number(client, which))
    print_json(document) if as_json else _show(console(), document)


@app.command()
def draft(which: Which = None, url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """Print the handover as it stands: made of what happened, or as somebody wrote it, and what happened since then."""
    with connect(url, data) as client:
        document = client.shift(_number(client, which))
    if as_json:
        print_json({name: document[name] for name in ("shift", "draft", "draft_digest", "difference")})
        return
    terminal = console()
    terminal.print(Text(harmless(document["draft"])), soft_wrap=True)
    if document["difference"]:
        terminal.print(heading("since it was edited (bring it in with `panda shift edit`)"))
        for line in document["difference"]:
            terminal.print(Text(plain(line), style=_DIFFERENCE.get(line[:1], "")), soft_wrap=True)
    row = document["shift"]
    if row["state"] == "running":
        following = f"who goes: panda shift sign-out --digest {document['draft_digest']}"
        if row["outgoing_by"]:
            signed = f"signed by {plain(row['outgoing_by'])} at {clock_words(row['outgoing_time'])}"
            following = f"{signed}; who comes: panda shift sign-in --digest {row['digest']}"
        terminal.print(Text(following, style="dim"), soft_wrap=True)


_DIFFERENCE = {"+": "green", "-": "red", "@": "dim"}


@app.command()
def edit(
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Take the text of a file (- for stdin), open no editor."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw the edits away: the draft of what happened again.")
    ] = False,
    which: Which = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write the handover in your own words, in $EDITOR. It takes the signature of the text before away."""
    if file is not None and fresh:
        raise Usage("a text, or none", field="--fresh", remedy="either --file or --fresh")
    with connect(url, data) as client:
        document = client.shift(_number(client, which))
        row = document["shift"]
        text = "" if fresh else _read(file) if file is not None else _edited(document["draft"])
        if text is None:
            console().print("nothing changed")
            return
        changed = client.edit_draft(row["shift_id"], text, None if fresh else row["draft_time"])
    if as_json:
        print_json(changed)
        return
    said = "is the draft of what happened again" if fresh else "is written"
    console().print(f"the handover of shift {row['shift_id']} {said}")
    console().print(Text("next: panda shift sign-out", style="dim"))


@app.command("sign-out")
def sign_out(
    digest: Digest = "", which: Which = None, url: Url = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Sign the handover as one who goes: its text is frozen until somebody edits it. With the --digest that `draft` names
    nothing is signed that you have not read."""
    with connect(url, data) as client:
        row = client.sign_out(number_of(which, "shift") if which else None, digest)
    if as_json:
        print_json(row)
        return
    console().print(
        Text(f"shift {row['shift_id']} is signed by {plain(row['outgoing_by'])} (SHA-256 {row['digest'][:16]}…)")
    )
    console().print(Text("next: who comes reads `panda shift draft` and types `panda shift sign-in`", style="dim"))


@app.command("sign-in")
def sign_in(
    people: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Who has the watch; default: you.")] = None,
    digest: Digest = "",
    which: Which = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Sign the handover as one who comes, and begin the next shift. It has to be somebody else than who goes."""
    with connect(url, data) as client:
        row = client.sign_in(number_of(which, "shift") if which else None, people or [], digest)
    _began(row, as_json)


@app.command()
def export(
    which: Annotated[str | None, typer.Argument(metavar="ID", help="Another shift than the running one.")] = None,
    output: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there (never over a file); default stdout.")
    ] = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write the handover with its signatures as Markdown."""
    with connect(url, data) as client:
        shift_id = _number(client, which)
        text = client.shift_markdown(shift_id)["markdown"]
    if output is not None:
        try:
            with output.open("x", encoding="utf-8") as opened:
                opened.write(text)
        except OSError as error:
            raise Refused(f"{output}: {error.strerror}", field="--out", remedy="another name") from error
    if as_json:
        print_json({"shift_id": shift_id, "markdown": text, "file": str(output) if output else None})
    elif output is not None:
        console().print(Text(f"the handover of shift {shift_id} is in {plain(output)}"))
    else:
        typer.echo(harmless(text), nl=not text.endswith("\n"))


@app.command("list")
def list_shifts(
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Shifts to show.")] = 15,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List shifts, newest first."""
    with connect(url, data) as client:
        document = client.shifts(limit=limit)
    if as_json:
        print_json(document)
        return
    columns = (">shift", "name", "began", "ended", "~people", ">notes", "~went", "~came")
    rows = [
        (
            *(row["shift_id"], row["name"], clock_words(row["start_time"])),
            Text("running", style="cyan") if row["state"] == "running" else clock_words(row["end_time"]),
            *(", ".join(row["people"]), row["note_count"], row["outgoing_by"], row["incoming_by"]),
        )
        for row in document["shifts"]
    ]
    console().print(table(columns, rows) if rows else "no shifts yet: `panda shift start`")
    footer(console(), document, len(rows), "more with --limit")


def _number(client: Client, which: str | None) -> int:
    """The shift that is meant: the one named, else the running one. Raises Refused when nobody has the watch."""
    if which:
        return number_of(which, "shift")
    running = client.shifts(state="running", limit=1)["shifts"]
    if not running:
        raise Refused(
            "nobody has the watch", code="no_shift", remedy="`panda shift start` begins one; `panda shift list`"
        )
    return int(running[0]["shift_id"])


def _show(terminal: Console, document: Mapping[str, Any]) -> None:
    row = document["shift"]
    is_running = row["state"] == "running"
    style = "cyan" if is_running else "green"
    people = ", ".join(plain(one) for one in row["people"])
    terminal.print(
        Text.assemble(f"shift {row['shift_id']} of {people} ", (plain(row["state"]).replace("_", " "), style))
    )
    went = f"{plain(row['outgoing_by'])}, {clock_words(row['outgoing_time'])}" if row["outgoing_by"] else ""
    came = f"{plain(row['incoming_by'])}, {clock_words(row['incoming_time'])}" if row["incoming_by"] else ""
    lines = document["draft"].count("\n")
    terminal.print(
        facts(
            {
                "name": plain(row["name"]),
                "since": f"{clock_words(row['start_time'])} ({age(row['start_time'])} ago)",
                "until": clock_words(row["end_time"]) if row["end_time"] else "",
                "handover": f"{lines} lines, {'edited' if row['is_edited'] else 'made of what happened'}",
                "signed out": went or ("not yet" if is_running else "by nobody"),
                "signed in": came or ("" if is_running else "by nobody"),
            }
        )
    )
    for entry in document["notes"]:
        about = f" (incident {entry['incident_id']})" if entry["incident_id"] else ""
        words = f"{clock_words(entry['time'])}  {plain(entry['who'])}{about}: {plain(entry['text'])}"
        terminal.print(Text(words), soft_wrap=True)
    if row.get("is_overdue"):
        terminal.print(Text("it should have been handed over long ago", style="yellow"))
    if document["difference"]:
        terminal.print(Text("more has happened since the handover was edited: panda shift draft", style="yellow"))
    if is_running:
        following = "panda shift sign-in (who comes)" if row["outgoing_by"] else "panda shift draft, then sign-out"
        terminal.print(Text(f"next: {following}", style="dim"))


def _began(row: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    people = ", ".join(plain(one) for one in row["people"])
    console().print(Text(f"shift {row['shift_id']} began at {clock_words(row['start_time'])}: {people}"))
    if row["previous_id"]:
        console().print(Text(f"the handover it began with: panda shift export {row['previous_id']}", style="dim"))


def _read(file: Path) -> str:
    try:
        text = sys.stdin.read(_LARGEST + 1) if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read: {error}", field="--file", remedy="a text file in UTF-8") from error
    if not text.strip():
        raise Usage("the text is empty", field="--file", remedy="--fresh brings the draft back")
    return text


def _edited(text: str) -> str | None:
    """The text as it comes out of the editor; None when it was left as it was."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    if not command and not sys.stdout.isatty():
        raise ClientError("there is no terminal to edit in", remedy="set EDITOR, or use --file FILE")
    command = command or "vi"
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "handover.md"
        file.write_text(harmless(text), "utf-8")
        try:
            ended = subprocess.run([*shlex.split(command), str(file)], check=False)
        except (OSError, ValueError) as error:
            remedy = "set EDITOR, or use --file FILE"
            raise ClientError(f"the editor {command} does not start: {error}", field="EDITOR", remedy=remedy) from error
        if ended.returncode:
            raise ClientError(f"{command} ended with {ended.returncode}: nothing was written", field="EDITOR")
        written = _read(file)
    return None if written == harmless(text) else written
