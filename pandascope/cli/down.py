"""`panda down`: stop everything of an installation, also what a killed supervisor left running."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psutil
import typer

from pandascope.cli.options import AsJson, Data, data_directory, print_json
from pandascope.environment import ENVIRONMENT_FILE
from pandascope.supervisor.installation import DATABASE, PILOT_PREFIX, STOP_PATIENCE_S, SUPERVISOR
from pandascope.supervisor.records import ProcessRecords

_PILOT_PATIENCE_S, _SERVICE_PATIENCE_S = 30.0, 10.0


def command(data: Data = None, as_json: AsJson = False) -> None:
    """Stop everything: pilots (after their final report), API, agents, PostgreSQL."""
    directory = data_directory(data)
    stopped = stop_installation(directory)
    if as_json:
        print_json({"data": str(directory), "stopped": stopped})
    elif stopped:
        typer.echo(f"pandascope is down ({', '.join(stopped)} stopped); the data stay in {directory}")
    else:
        typer.echo(f"nothing was running in {directory}")


def stop_installation(data: Path) -> list[str]:
    """Stop all processes of a data directory and return the names of those that ran."""
    if not data.is_dir():
        return []
    records = ProcessRecords(data)
    running = [record.name for record in records.read() if record.process() is not None]
    _stop_supervisor(records)
    left = [record for record in records.read() if record.name not in (DATABASE, SUPERVISOR)]
    pilots = [record for record in left if record.name.startswith(PILOT_PREFIX)]
    records.stop(pilots, patience_s=_PILOT_PATIENCE_S)
    records.stop([record for record in left if record not in pilots], patience_s=_SERVICE_PATIENCE_S)
    from core.database.embedded import EmbeddedPostgres

    postgres = EmbeddedPostgres(data)
    if postgres.pid is not None and DATABASE not in running:
        running.append(DATABASE)
    if postgres.cluster.exists():
        postgres.stop()
    for name in (DATABASE, SUPERVISOR):
        records.remove(name)
    (data / ENVIRONMENT_FILE).unlink(missing_ok=True)
    return running


def _stop_supervisor(records: ProcessRecords) -> None:
    record = records.find(SUPERVISOR)
    process: Any = record.process() if record else None
    if process is None:
        return
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_PATIENCE_S)
    except psutil.TimeoutExpired:
        process.kill()
    except psutil.NoSuchProcess:
        return
