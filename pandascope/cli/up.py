"""`panda up`: start the supervisor in the background (or become it), and return when the API answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from core.configuration import Settings, make_data_directory
from core.errors import PandaError
from pandascope.cli.options import AsJson, Data, print_json, with_data
from pandascope.environment import ENVIRONMENT_FILE, read_environment_file
from pandascope.supervisor.installation import SUPERVISOR, AlreadyRunning, is_alive
from pandascope.supervisor.logs import log_to_stderr, open_log
from pandascope.supervisor.records import ProcessRecords

_OTHER_START_PATIENCE_S = 180.0


def command(
    data: Data = None,
    host: Annotated[str | None, typer.Option(metavar="H", help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(metavar="P", min=0, max=65535, help="TCP port; 0 takes any free one.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes that answer HTTP.")] = None,
    pilots: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Most pilots of the local queue at a time.")
    ] = None,
    no_site: Annotated[bool, typer.Option("--no-site", help="No local queue, no pilots.")] = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, and stop everything on Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything: database, API with the monitor, agents, and a local queue whose pilots start on demand.

    Returns when the API answers. Address and token are written to DATA/panda.env, where every other command finds them.
    """
    given = {"host": host, "port": port, "api_workers": workers, "pilots": pilots, "site": False if no_site else None}
    overrides = {name: value for name, value in given.items() if value is not None}
    settings = Settings.load(data, **overrides)
    show = _Announcement(with_data("", settings.data), as_json)
    if _running(settings.data):
        show.already(_wait_for_other(settings.data, show))
        return
    for name in ("PANDA_URL", "PANDA_TOKEN"):
        os.environ.pop(name, None)  # of another server: our own programs take theirs from the data directory
    for name, value in {"data": settings.data, **overrides}.items():
        os.environ[f"PANDA_{name.upper()}"] = str(value)
    if foreground:
        from pandascope.supervisor.supervisor import Supervisor

        log_to_stderr()
        Supervisor(settings, show.report).run()
        return
    try:
        _start_in_background(settings.data, show)
    except AlreadyRunning:
        show.already(_wait_for_other(settings.data, show))


class _Announcement:
    """Says where everything is. `data_option` is what commands need to find this installation, if anything."""

    def __init__(self, data_option: str, as_json: bool) -> None:
        self._data_option = data_option
        self._as_json = as_json

    def command(self, name: str) -> str:
        """A `panda` command for this installation, as the reader has to type it."""
        return f"panda {name}{self._data_option}"

    def report(self, report: dict[str, Any]) -> None:
        """Show a step of the start, or its end."""
        if "ready" in report:
            self._show(report["ready"], already=False)
        elif not self._as_json:
            typer.secho(f"  {report['step']} ...", dim=True, err=True)

    def already(self, ready: dict[str, Any]) -> None:
        """Show what runs since before."""
        self._show(ready, already=True)

    def _show(self, ready: dict[str, Any], *, already: bool) -> None:
        data, url = Path(ready["data"]), ready["url"]
        places = {
            "monitor": f"{url}/monitor/",
            "console": self.command("tui"),
            "data": str(data),
            "logs": str(data / "logs"),
            "token": str(data / ENVIRONMENT_FILE),
            "stop": self.command("down"),
        }
        if self._as_json:
            print_json({"url": url, "already_up": already, **places})
            return
        typer.secho(f"pandascope is {'already ' if already else ''}up: {url}", bold=True)
        notes = {"token": "  (address and token, readable by you only)"}
        for name, place in places.items():
            typer.echo(f"  {name:<8} {place}{notes.get(name, '')}")


def _running(data: Path) -> bool:
    record = ProcessRecords(data).find(SUPERVISOR)
    return record is not None and record.process() is not None


def _start_in_background(data: Path, show: _Announcement) -> None:
    make_data_directory(data)
    reading, writing = os.pipe()
    arguments = [sys.executable, "-P", "-m", "pandascope.cli.main", "supervise", "--report-fd", str(writing)]
    try:
        with open_log(data / "logs" / "supervisor.log") as log:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[writing], start_new_session=True
            )
    except OSError as error:
        remedy = "make it writable for the user that runs this, or choose another directory with --data"
        raise PandaError(f"{error.filename}: {error.strerror}", field="data", remedy=remedy) from error
    finally:
        os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as reports:
        try:
            _follow(reports, process, data, show)
        except KeyboardInterrupt:
            process.terminate()
            typer.echo("stopping what was started", err=True)
            process.wait()
            raise


def _follow(reports: IO[str], process: subprocess.Popen[bytes], data: Path, show: _Announcement) -> None:
    """Show the steps until the supervisor says it is ready, or why it cannot be."""
    for line in reports:
        report = json.loads(line)
        if "error" in report:
            process.wait()
            error = report["error"]
            kind = AlreadyRunning if error["code"] == AlreadyRunning.code else PandaError
            raise kind(error["detail"], field=error["field"], remedy=error["remedy"])
        show.report(report)
        if "ready" in report:
            process.returncode = 0  # it goes on without us; nothing is left to wait for
            return
    process.wait()
    raise PandaError(
        f"the supervisor ended without a word (exit code {process.returncode})",
        remedy=f"the whole story is in {data / 'logs' / 'supervisor.log'}",
    )


def _wait_for_other(data: Path, show: _Announcement) -> dict[str, Any]:
    """What the supervisor that runs already serves, once it answers."""
    deadline = time.monotonic() + _OTHER_START_PATIENCE_S
    path = data / ENVIRONMENT_FILE
    while _running(data) and time.monotonic() < deadline:
        url = read_environment_file(path).get("PANDA_URL", "") if path.exists() else ""
        if url and is_alive(url):
            return {"url": url, "data": str(data)}
        time.sleep(0.1)
    raise PandaError(
        "a supervisor runs but its server does not answer",
        field="data",
        remedy=f"look into {data / 'logs'}, then `{show.command('down')}` and `{show.command('up')}`",
    )
