"""`panda site`: the factory of the local queue, as `panda up` starts it or by hand on another node."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pandascope.cli.connection import Url
from pandascope.cli.parts import TokenFile, credentials_finder, reporting_as, site_directory
from pandascope.supervisor.records import ProcessRecords
from pilot.factory import Factory, FactoryOptions, Observer
from pilot.line import Line

_RECORD = "pilot-{}"
"""Pilots are recorded under such names, so that `panda down` finds them even when this factory is dead."""


def command(
    queue: Annotated[str, typer.Option("--queue", help="The PanDA queue to work for.")] = "LOCAL",
    pilots: Annotated[
        int, typer.Option("--pilots", metavar="N", min=1, envvar="PANDA_PILOTS", help="Most pilots at a time.")
    ] = 2,
    label: Annotated[str, typer.Option("--label", help="Which jobs the pilots ask for.")] = "unified",
    url: Url = None,
    token_file: TokenFile = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", envvar="PANDA_DATA", help="Data directory of a `panda up`.")
    ] = None,
    work_dir: Annotated[
        Path | None, typer.Option("--work-dir", metavar="DIR", help="Where jobs run; default DATA/work.")
    ] = None,
    wait: Annotated[float, typer.Option("--wait", metavar="S", help="Pause of a pilot without a job.")] = 1.0,
    requests: Annotated[int, typer.Option("--requests", metavar="N", help="Requests of a pilot without a job.")] = 15,
    heartbeat: Annotated[float, typer.Option("--heartbeat", metavar="S", help="Between two reports of a job.")] = 5.0,
    scratch_min: Annotated[
        int, typer.Option("--scratch-min", metavar="MB", help="Space that must stay free on the node's disk.")
    ] = 1000,
) -> None:
    """Run a local queue: start pilots whenever the queue has jobs for them, until SIGTERM."""
    directory = site_directory(data)
    options = {
        "--queue": queue,
        "--label": label,
        "--url": url,
        "--token-file": token_file and token_file.absolute(),
        "--data": data and directory,
        "--work-dir": (work_dir or directory / "work").absolute(),
        "--wait": wait,
        "--requests": requests,
        "--max-jobs": 0,
        "--heartbeat": heartbeat,
        "--scratch-min": scratch_min,
    }
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    line = Line(credentials_finder(url, token_file, data))
    records = ProcessRecords(directory)
    with reporting_as("site", line):
        Factory(
            line,
            FactoryOptions(
                queue=queue,
                pilots=pilots,
                command=(sys.executable, "-P", "-m", "pandascope.cli.main", "pilot", *given),
                log_directory=directory / "logs" / "pilots",
            ),
            Observer(
                started=lambda worker_id, process_id: _record(records, worker_id, process_id),
                ended=lambda worker_id: records.remove(_RECORD.format(worker_id)),
            ),
        ).run()


def _record(records: ProcessRecords, worker_id: str, process_id: int) -> None:
    records.write(_RECORD.format(worker_id), process_id, factory=os.getpid())
