"""`panda why ID`: why a job or a task does not run, who can do something about it, and what would help."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.addresses import Page, parse_address
from pandascope.cli.connection import AsJson, Data, Url, connect, number_of
from pandascope.cli.rendering import console, facts, harmless, heading, number, plain, print_json, state, table
from pandascope.errors import NotFound, Usage

if TYPE_CHECKING:
    from pandascope.client import Client

_FIRST_TASK_ID = 10_000_000
"""jediTaskIDs begin here (docs/api.md); PandaIDs may be as large after years."""
_NAMED_QUEUES = 3


def command(
    object_id: Annotated[str, typer.Argument(metavar="ID", help="PandaID or jediTaskID, or the address of its page.")],
    is_task: Annotated[bool, typer.Option("--task", help="It is a jediTaskID.")] = False,
    is_job: Annotated[bool, typer.Option("--job", help="It is a PandaID.")] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say why a job or a task does not run: the reason, who is responsible, what comes next, what would help.

    An ID from 10000000 on means the task of that number, and the job where there is no such task.
    """
    if is_task and is_job:
        raise Usage("it cannot be both", field="--task", remedy="give --task or --job, or neither")
    number = number_of(object_id, "PandaID or jediTaskID")
    page = parse_address(object_id).page if "/" in object_id else None
    is_task, is_job = is_task or page is Page.TASK, is_job or page in (Page.JOB, Page.LOG)
    if page is not None and not (is_task or is_job):
        raise Usage(f"'{object_id}' is the page of neither a job nor a task", field="ID", remedy="give its number")
    with connect(url, data) as client:
        document = _ask(client, number, is_task=is_task, is_job=is_job or (number < _FIRST_TASK_ID and not is_task))
    if as_json:
        print_json(document)
        return
    show(console(), document)


def _ask(client: Client, number: int, *, is_task: bool, is_job: bool) -> dict[str, Any]:
    if is_job:
        return client.why_job(number)
    try:
        return client.why_task(number)
    except NotFound:
        if is_task:
            raise
    return client.why_job(number)


def show(terminal: Console, document: Mapping[str, Any]) -> None:
    """The whole answer as text."""
    number = document["panda_id"] if document["kind"] == "job" else document["jedi_task_id"]
    terminal.print(Text.assemble(f"{document['kind']} {number} ", state(document["status"])))
    reason = document["reason"]
    if reason is None:
        terminal.print(Text("Nothing is known that keeps it from running."))
    else:
        terminal.print(Text(plain(reason["sentence"]), style="bold"))
        terminal.print(facts(_about(reason)))
    if document["start"]:
        terminal.print(heading("when it starts"))
        terminal.print(Text(plain(_start(document["start"]))))
    if document["also"]:
        terminal.print(heading("also"))
        for further in document["also"]:
            terminal.print(Text(f"- {plain(further['sentence'])}"))
    if document["brokerage"]:
        _show_brokerage(terminal, document["brokerage"])


def _about(reason: Mapping[str, Any]) -> dict[str, Any]:
    advice = "\n".join(harmless(str(line)) for line in reason["advice"])
    return {
        "responsible": f"{reason['responsible']}: {reason['responsible_words']}",
        "next": reason["next_step"],
        "at": _when(reason["next_time"]),
        "you can": advice,
    }


def _when(time: str | None) -> str:
    if not time:
        return ""
    at = datetime.fromisoformat(time).astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _start(start: Mapping[str, Any]) -> str:
    if not start["is_known"]:
        return str(start["sentence"])
    half, nine = _when(start["start_p50"]), _when(start["start_p90"])
    return f"Half the time before {half}, nine times of ten before {nine}. {start['sentence']}"


def _show_brokerage(terminal: Console, brokerage: Mapping[str, Any]) -> None:
    terminal.print(heading("queues"))
    terminal.print(Text(plain(brokerage["sentence"])))
    rows = []
    for step in brokerage["funnel"]:
        lost = step["before"] - step["after"]
        cut = f"{100 * lost / step['before']:.0f} %" if step["before"] and lost else ""
        mark = "<- binds" if step["criterion"] == brokerage["binding_step"] else ""
        examples = "; ".join(f"{out['queue']} {out['reason']}" for out in step["excluded"][:_NAMED_QUEUES])
        if lost:
            rows.append((step["criterion"], f"{step['before']:,}", f"{step['after']:,}", cut, mark, examples))
    if rows:
        terminal.print(table(("criterion", ">before", ">after", ">cut", "", "~left out"), rows))
    if brokerage["accepted"]:
        terminal.print(Text(f"accepted: {plain(', '.join(brokerage['accepted']))}", style="dim"))
    for change in brokerage["changes"]:
        queues = f"{change['accepted_then']:,} of {number(change['queue_count'], 'queue')}"
        terminal.print(Text(f"{plain(change['words'])}: {queues} instead of {change['accepted_now']:,}"))
