"""`panda pilot`: one pilot on this node, reporting to the incident store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pandascope.cli.connection import Data, Url
from pandascope.cli.parts import TokenFile, credentials_finder, reporting_as
from pandascope.errors import Usage
from pilot.agent import run_pilot
from pilot.line import Line
from pilot.options import PilotOptions

_SPOOL = "PanDA_Spool"
"""Where below the work directory a pilot's log records wait for a server that is away."""

_DEFAULTS = PilotOptions(queue="", work_directory=Path())


def command(
    queue: Annotated[str, typer.Option("--queue", help="The PanDA queue to work for.")],
    label: Annotated[
        str, typer.Option("--label", help="Which jobs: user, managed, test, or unified for user and production jobs.")
    ] = _DEFAULTS.label,
    url: Url = None,
    token_file: TokenFile = None,
    data: Data = None,
    work_dir: Annotated[
        Path, typer.Option("--work-dir", metavar="DIR", help="Jobs run in directories of their own below it.")
    ] = Path(),
    wait: Annotated[float, typer.Option("--wait", metavar="S", help="Pause when there is no job.")] = _DEFAULTS.wait_s,
    requests: Annotated[
        int, typer.Option("--requests", metavar="N", min=1, help="Requests without a job before it ends.")
    ] = _DEFAULTS.requests,
    max_jobs: Annotated[
        int, typer.Option("--max-jobs", metavar="N", min=0, help="Jobs it runs, one after the other; 0: all there are.")
    ] = _DEFAULTS.max_jobs,
    lifetime: Annotated[
        float, typer.Option("--lifetime", metavar="S", min=0, help="Time the node gives it; 0: no limit.")
    ] = _DEFAULTS.lifetime_s,
    heartbeat: Annotated[
        float, typer.Option("--heartbeat", metavar="S", min=0.1, help="Between two reports of a job.")
    ] = _DEFAULTS.heartbeat_s,
    looping_limit: Annotated[
        float, typer.Option("--looping-limit", metavar="S", min=0, help="Kill a payload that touches no file so long.")
    ] = _DEFAULTS.looping_limit_s,
    scratch_min: Annotated[
        int, typer.Option("--scratch-min", metavar="MB", min=0, help="Space that must stay free on the node's disk.")
    ] = _DEFAULTS.scratch_min_mb,
    worker_id: Annotated[str, typer.Option("--worker-id", metavar="ID", help="Its name at its factory.")] = "",
    keep_work_dir: Annotated[bool, typer.Option("--keep-work-dir", help="Leave the directories of jobs.")] = False,
) -> None:
    """Run one pilot on this node: ask for a job, run it, report it; end when there is none.

    Exit code 0: done, or there was no job. 69: the disk of the node is full. 79: the server cannot be reached.
    """
    _check_work_directory(work_dir)
    options = PilotOptions(
        queue=queue,
        work_directory=work_dir.absolute(),
        label=label,
        worker_id=worker_id,
        wait_s=wait,
        requests=requests,
        max_jobs=max_jobs,
        lifetime_s=lifetime,
        heartbeat_s=heartbeat,
        looping_limit_s=looping_limit,
        scratch_min_mb=scratch_min,
        keep_work_directory=keep_work_dir,
    )
    line = Line(credentials_finder(url, token_file, data))
    with reporting_as("pilot", line, work_dir.absolute() / _SPOOL):
        exit_code = run_pilot(line, options)
    raise typer.Exit(exit_code)


def _check_work_directory(path: Path) -> None:
    """Make the work directory, or raise Usage: better before a job is asked for than after."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"'{path}' cannot be made: {os.strerror(error.errno or 0)}"
        raise Usage(said, field="--work-dir", remedy="choose a directory that you can write to") from error
