"""`panda kill`: ask for the end of jobs and tasks."""

from __future__ import annotations

from typing import Annotated

import typer

from pandascope.cli.connection import AsJson, Data, Url, connect, number_of
from pandascope.cli.rendering import print_json
from pandascope.errors import Usage


def command(
    panda_ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="PandaIDs.")] = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", metavar="ID", help="A whole task; may be repeated.")
    ] = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Kill jobs, or whole tasks with --task. Jobs on a worker node end when their pilot reports next.

    Exit code 1 when one of them could not be killed: it has ended already, or does not exist.
    """
    jobs = [number_of(word, "PandaID") for word in panda_ids or []]
    task_ids = [number_of(word, "jediTaskID") for word in tasks or []]
    if not jobs and not task_ids:
        raise Usage("nothing to kill", remedy="name jobs, or a task with --task")
    with connect(url, data) as client:
        answers = dict(zip(jobs, client.kill(jobs), strict=True)) if jobs else {}
        for task_id in task_ids:
            client.kill_task(task_id)
    if as_json:
        print_json({"jobs": answers, "tasks": task_ids})
    refused = "cannot be killed (it has ended, does not exist, or is not yours)"
    for panda_id, accepted in answers.items() if not as_json else ():
        typer.echo(f"job {panda_id}: {'will be killed' if accepted else refused}")
    for task_id in task_ids if not as_json else ():
        typer.echo(f"task {task_id}: will be killed; watch with `panda tasks jedi_task_id={task_id}`")
    if not all(answers.values()):
        raise typer.Exit(1)
