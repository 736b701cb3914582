"""The server goes away while the production pilot works for it: nothing that the pilot says is lost (pilot-wire.md 2.2)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from api.app import create_app
from core.configuration import Settings
from core.queues import set_endpoint, set_queue
from tests.real.grid import Case, Grid, submit
from tests.support.real_world import RealClient, RealPilot
from tests.support.system import eventually, running_system

pytestmark = pytest.mark.timeout(600)

NO_DATABASE = "postgresql+psycopg2://nobody@127.0.0.1:1/none"


@contextmanager
def without_database(directory: Path, port: int) -> Iterator[None]:
    """The same server at the same port while its database is away."""
    app = create_app(Settings(data=directory, database_url=NO_DATABASE, database_pool_timeout_s=1), NO_DATABASE)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
    listener = socket.create_server(("127.0.0.1", port))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        listener.close()


def test_a_job_outlives_its_server_and_its_report_waits_for_the_database(
    database_url, tmp_path, client_program, pilot_program
):
    data, home, work = (tmp_path / name for name in ("data", "home", "work"))
    home.mkdir()
    work.mkdir()
    with running_system(database_url, data) as system:
        port = int(system.url.rpartition(":")[2])
        grid = Grid(system, RealClient(client_program, system.url, system.token("testuser"), home), work=work)
        set_endpoint(system.database, "REAL_DISK", mover="cp", path=str(system.storage), is_deterministic=True)
        go_on = tmp_path / "go-on"
        case = Case(f"until test -e {go_on}; do sleep 0.2; done; echo 1 > lines.txt", ("--outputs", "lines.txt"))
        submit(grid, "patient", case)
        set_queue(system.database, "Q_PATIENT", {"status": "brokeroff"})
        pilot = RealPilot(pilot_program, system, work, "Q_PATIENT")
        process = pilot.start("patient")
        eventually(lambda: grid.job("patient")["job_status"] == "running", timeout_s=120, what="the payload runs")
    output = work / "patient" / "pilot.out"
    try:
        with without_database(data, port):
            go_on.touch()
            eventually(
                lambda: _waits_with(output.read_text(errors="replace"), "'state': 'finished'"),
                timeout_s=120,
                what="the last report is not taken",
            )
        with running_system(database_url, data, listen_on=port) as system:
            grid.system = system
            eventually(lambda: grid.job("patient")["job_status"] == "finished", timeout_s=120, what="it is taken")
            assert process.wait(120) == 0
            assert {file["status"] for file in grid.files("patient", "output")} == {"ready"}
    finally:
        RealPilot.end(process)


def _waits_with(output: str, report: str) -> bool:
    """Whether the pilot found out that a report did not arrive, and what it says of the job is there."""
    sent = output.rfind(report)
    return sent >= 0 and "not now; send it again" in output[sent:]
