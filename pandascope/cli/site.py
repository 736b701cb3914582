"""`panda site`: the factory of the local queue, as `panda up` starts it or by hand on another node."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer

from pandascope.cli.connection import Url
from pandascope.cli.parts import TokenFile, credentials_finder, reporting_as, site_directory
from pandascope.supervisor.logs import SPOOL
from pandascope.supervisor.records import ProcessRecords
from pilot.factory import Factory, FactoryOptions, Register
from pilot.line import Line

_PREFIX = "pilot-"
"""What the names of pilots' records begin with (pandascope.supervisor.supervisor.PILOT_PREFIX)."""


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
    with reporting_as("site", line, directory / SPOOL):
        Factory(
            line,
            FactoryOptions(
                queue=queue,
                pilots=pilots,
                command=(sys.executable, "-P", "-m", "pandascope.cli.main", "pilot", *given),
                log_directory=directory / "logs" / "pilots",
            ),
            RecordedPilots(directory),
        ).run()


class RecordedPilots(Register):
    """Pilots as records among those of the other processes of a site, so that `panda down` finds them, too."""

    def __init__(self, data: Path) -> None:
        self._records = ProcessRecords(data)
        self._factory = uuid.uuid4().hex

    def started(self, worker_id: str, process_id: int) -> None:
        """Write a record."""
        self._records.write(_PREFIX + worker_id, process_id, factory=self._factory)

    def ended(self, worker_id: str) -> None:
        """Remove the record."""
        self._records.remove(_PREFIX + worker_id)

    def inherited(self) -> tuple[int, list[str]]:
        """Look at the records that another factory wrote."""
        others = [
            record
            for record in self._records.read()
            if record.name.startswith(_PREFIX) and record.details.get("factory") != self._factory
        ]
        dead = [record for record in others if record.process() is None]
        return len(others) - len(dead), [record.name.removeprefix(_PREFIX) for record in dead]
