"""`panda run`: a shell command over files as jobs; waits, shows progress, collects. Knows options and words for people.

What is done stands in pandascope/running.py, waiting.py and collecting.py.
"""

from __future__ import annotations

import locale
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from pandascope.cli import run_options as options
from pandascope.cli.connection import AsJson, Data, Url, connect
from pandascope.cli.failures import failure_incidents, show_failures
from pandascope.cli.many_values import ManyValuesCommand
from pandascope.cli.rendering import console, counts, number, print_json, size
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import Client
    from pandascope.collecting import Collected
    from pandascope.running import Submitted

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_INTERRUPTED = 130


@app.command("run", cls=ManyValuesCommand)
def command(
    execute: options.Execute,
    inputs: options.Inputs = None,
    outputs: options.Outputs = None,
    files_per_job: options.FilesPerJob = None,
    jobs: options.Jobs = None,
    sandbox: options.Sandbox = None,
    site: options.Site = None,
    memory: options.Memory = None,
    cores: options.Cores = None,
    walltime: options.Walltime = None,
    disk: options.Disk = None,
    attempts: options.Attempts = None,
    scouts: options.Scouts = False,
    preprocess: options.Preprocess = None,
    name: options.Name = None,
    wait: options.Wait = False,
    timeout: options.Timeout = None,
    collect: options.Collect = None,
    merge: options.Merge = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Run a shell command over files as jobs.

    panda run --exec 'wc -w %IN > %OUT' --in 'data/*.txt' --out counts.txt --files-per-job 5 --collect results

    Jobs see the files by the names given here (data/a.txt); a file outside of the current directory by its name alone.
    A directory means all files below it except hidden ones. Exit code 1 when a job failed.
    """
    _check_what_follows(outputs or [], wait=wait, timeout=timeout, collect=collect, merge=merge)
    _sort_as_the_shell_does()
    wanted: dict[str, Any] = {
        "inputs": inputs or [],
        "outputs": outputs or [],
        "files_per_job": files_per_job,
        "n_jobs": jobs,
        "sandbox": sandbox or [],
        "site": site,
        "memory_mb": memory,
        "cores": cores,
        "walltime_s": walltime,
        "disk_mb": disk,
        "attempts": attempts,
        "scouts": scouts,
        "preprocess": preprocess,
        "name": name,
    }
    with connect(url, data) as client:
        submitted = _submit(client, execute, wanted, as_json)
        if not (wait or collect):
            _say_submitted(client, submitted, as_json)
            return
        task = _wait(client, submitted, timeout, as_json)
        collected = client.collect(submitted.jedi_task_id, collect, merge=merge) if collect else None
        _report(client, task, collected, data, as_json)
    if task["status"] != "done" or (collected and collected.not_merged):
        raise typer.Exit(1)


def _check_what_follows(
    outputs: list[str], *, wait: bool, timeout: float | None, collect: Path | None, merge: bool
) -> None:
    """Raise Usage, before anything runs, when what shall be done after it makes no sense."""
    if merge and collect is None:
        raise Usage("there is nothing to merge", field="--merge", remedy="say where to collect: --collect DIR")
    if timeout is not None and not (wait or collect):
        raise Usage("nothing is waited for", field="--timeout", remedy="add --wait")
    if collect is not None:
        _check_collection(collect, outputs)


def _check_collection(folder: Path, outputs: list[str]) -> None:
    """Raise Usage, before anything runs, when outputs could not be collected afterwards."""
    if not outputs:
        raise Usage("there is nothing to collect", field="--collect", remedy="name what the command makes: --out NAME")
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise Usage(f"'{there}' is not a directory", field="--collect", remedy="choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise Usage(f"'{there}' is not writable for you", field="--collect", remedy="choose another directory")


def _sort_as_the_shell_does() -> None:
    try:
        locale.setlocale(locale.LC_COLLATE, "")
    except locale.Error:  # a locale that is not installed: sort by code point, as the shell then does too
        locale.setlocale(locale.LC_COLLATE, "C")


def _submit(client: Client, execute: str, options: dict[str, Any], as_json: bool) -> Submitted:
    with console(stderr=True).status("reading files") as status:

        def show(stage: str, done: int, total: int) -> None:
            status.update(f"{stage}: {done:,} of {total:,}")

        submitted = client.run(execute, on_stage=None if as_json else show, **options)
    if not as_json:
        about = (
            f" over {number(submitted.n_inputs, 'file')}, {size(submitted.input_bytes)}" if submitted.n_inputs else ""
        )
        console(stderr=True).print(f"task {submitted.jedi_task_id} submitted{about}")
    return submitted


def _say_submitted(client: Client, submitted: Submitted, as_json: bool) -> None:
    task_id = submitted.jedi_task_id
    if as_json:
        print_json(
            {
                "jedi_task_id": task_id,
                "task_name": submitted.task_name,
                "n_input_files": submitted.n_inputs,
                "input_bytes": submitted.input_bytes,
                "monitor": f"{client.url}/monitor/task/{task_id}/",
            }
        )
    else:
        typer.echo(f"watch it: panda tasks jedi_task_id={task_id}, or {client.url}/monitor/task/{task_id}/")


def _wait(client: Client, submitted: Submitted, timeout: float | None, as_json: bool) -> dict[str, Any]:
    from pandascope.cli.progress import TaskProgress

    task_id = submitted.jedi_task_id
    try:
        with TaskProgress(f"task {task_id}", is_shown=not as_json) as progress:
            return client.wait(task_id, timeout_s=timeout, on_progress=progress.show)
    except KeyboardInterrupt:
        typer.echo(
            f"\ntask {task_id} goes on without you; stop it with: panda kill --task {task_id}\n"
            f"watch it with: panda tasks jedi_task_id={task_id}",
            err=True,
        )
        raise typer.Exit(_INTERRUPTED) from None


def _report(
    client: Client, task: dict[str, Any], collected: Collected | None, data: Path | None, as_json: bool
) -> None:
    failed = task["status"] != "done"
    if as_json:
        incidents = failure_incidents(client, task["jedi_task_id"]) if failed else []
        print_json({"task": task, "incidents": incidents, "collected": collected and collected.as_document()})
        return
    terminal = console()
    by_state = {name: int(task[f"n_{name}"] or 0) for name in ("finished", "failed", "cancelled")}
    ended = "ended, but not every job finished" if task["status"] == "finished" else task["status"]
    terminal.print(Text.assemble(f"task {task['jedi_task_id']} {ended}: ", counts(by_state)))
    if collected is not None:
        _say_collected(terminal, collected)
    if task["status"] == "broken" and task.get("error_dialog"):
        terminal.print(Text(str(task["error_dialog"]), style="yellow"))
    if failed:
        show_failures(terminal, client, task["jedi_task_id"], f" --data {data}" if data else "")


def _say_collected(terminal: Any, collected: Collected) -> None:
    terminal.print(
        f"{number(len(collected.files), 'output')}, {size(collected.total_bytes)}, verified, in {collected.folder}"
    )
    for path in collected.merged:
        terminal.print(f"merged: {path}")
    for name in collected.not_merged:
        terminal.print(Text(f"{name} was not merged: the output of some jobs is missing", style="yellow"))
