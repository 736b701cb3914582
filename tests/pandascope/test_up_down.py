"""`panda up` to `panda down` as people and scripts use them: real processes, real signals, a real port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from core.database.embedded import EmbeddedPostgres
from pandascope.environment import read_environment_file
from pandascope.supervisor.records import ProcessRecord, ProcessRecords
from tests.support.scratch import scratch_directory
from tests.support.system import eventually

PANDA = [sys.executable, "-P", "-m", "pandascope.cli.main"]


@dataclass
class Installation:
    """A data directory and the commands on it."""

    data: Path

    def panda(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this installation and check its exit code."""
        command = [*PANDA, *arguments, "--data", str(self.data)]
        env = {**os.environ, **environment}
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=240, check=False)
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done

    def up(self, *options: str, **environment: str) -> str:
        """Start without a site, on a free port, with one worker; return the address."""
        self.panda("up", "--port", "0", "--workers", "1", "--no-site", *options, **environment)
        return self.environment["PANDA_URL"]

    @property
    def environment(self) -> dict[str, str]:
        return read_environment_file(self.data / "panda.env")

    def record(self, name: str) -> ProcessRecord:
        found = ProcessRecords(self.data).find(name)
        assert found is not None
        return found

    def kill(self, name: str) -> int:
        pid = self.record(name).pid
        os.kill(pid, signal.SIGKILL)
        return pid

    def status(self) -> dict[str, Any]:
        command = [*PANDA, "status", "--json", "--data", str(self.data)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)  # type: ignore[no-any-return]

    def processes(self) -> list[psutil.Process]:
        """Every process with this directory in its arguments or its working directory."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ().get("PANDA_DATA") if "python" in process.name() else None
                if str(self.data) in (environment, *process.cmdline()) or process.cwd().startswith(str(self.data)):
                    found.append(process)
            except psutil.Error:
                continue
        return [process for process in found if process.pid != os.getpid()]


@pytest.fixture
def installation(short_directory: Path) -> Iterator[Installation]:
    made = Installation(short_directory / "data")
    yield made
    made.panda("down")
    assert made.processes() == []


@pytest.fixture(scope="module")
def running() -> Iterator[Installation]:
    """An installation that is up, for tests that leave it up."""
    with scratch_directory("panda-up-") as directory:
        made = Installation(directory / "data")
        made.up()
        yield made
        made.panda("down")
        assert made.processes() == []


def test_the_environment_file_is_private_and_opens_the_api(running):
    path = running.data / "panda.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    values = running.environment
    headers = {"Authorization": f"Bearer {values['PANDA_TOKEN']}"}
    assert httpx.get(f"{values['PANDA_URL']}/api/v1/system/is_alive").status_code == 200
    assert httpx.get(f"{values['PANDA_URL']}/api/monitor/jobs", headers=headers).status_code == 200


def test_everything_that_holds_secrets_is_closed_to_others(running):
    for name in ("issuer.jwk", "panda.env", "run", "logs", "postgres"):
        assert stat.S_IMODE((running.data / name).stat().st_mode) & 0o077 == 0, name
    assert stat.S_IMODE(running.data.stat().st_mode) & 0o066 == 0


def test_a_second_up_says_so_and_starts_nothing(running):
    before = running.record("supervisor")
    done = running.panda("up", "--port", "1")
    assert f"already up: {running.environment['PANDA_URL']}" in done.stdout
    assert json.loads(running.panda("up", "--json").stdout)["already_up"] is True
    assert running.record("supervisor") == before


def test_status_lists_every_process_with_its_address(running):
    status = json.loads(running.panda("status", "--json").stdout)
    assert status["state"] == "up"
    rows = {row["name"]: row for row in status["processes"]}
    assert {name for name, row in rows.items() if row["state"] == "running"} >= {"api-1", "agents", "postgres"}
    assert rows["api-1"]["address"] == status["url"] == running.environment["PANDA_URL"]
    text = running.panda("status").stdout
    assert status["url"] in text
    assert str(rows["agents"]["pid"]) in text


def test_a_taken_port_is_told_with_who_has_it_and_what_to_do(running, installation):
    port = running.environment["PANDA_URL"].rsplit(":", 1)[1]
    done = installation.panda("up", "--port", port, code=1)
    assert f"port {port}" in done.stderr
    assert str(running.record("api-1").pid) in done.stderr or str(running.record("supervisor").pid) in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    assert not EmbeddedPostgres(installation.data).is_running()


def test_a_token_is_printed_alone_and_accepted(running):
    done = running.panda(
        "token", "create", "--user", "Jane Doe", "--vo", "atlas", "--role", "pilot", "--role", "operator"
    )
    token = done.stdout.strip()
    assert token.count(".") == 2
    url = running.environment["PANDA_URL"]
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{url}/api/v1/system/get_user_attributes", headers=headers).json()["success"] is True


def test_a_token_for_an_installation_that_never_was_comes_with_a_warning(installation):
    done = installation.panda("token", "create", "--user", "jane", "--vo", "atlas")
    assert "nothing was ever up" in done.stderr
    assert done.stdout.strip().count(".") == 2


def test_an_unknown_role_is_refused_by_name(running):
    done = running.panda("token", "create", "--user", "jane", "--vo", "atlas", "--role", "emperor", code=1)
    assert "emperor" in done.stderr
    assert "operator" in done.stderr


def test_a_killed_worker_comes_back_on_the_same_port_and_is_reported(running):
    url = running.environment["PANDA_URL"]
    pid = running.kill("api-1")
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=5):
        pass  # the port never goes away: the connection waits for the next worker
    eventually(lambda: running.record("api-1").pid != pid, what="another worker", timeout_s=60)
    assert httpx.get(f"{url}/api/v1/system/is_alive", timeout=60).status_code == 200
    assert f"api-1: was killed by SIGKILL (pid {pid})" in (running.data / "logs" / "supervisor.log").read_text()


def test_a_worker_that_hangs_is_replaced_and_reported(running):
    url = running.environment["PANDA_URL"]
    httpx.get(f"{url}/api/v1/system/is_alive", timeout=60)
    pid = running.record("api-1").pid
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: running.record("api-1").pid != pid, what="another worker", timeout_s=90)
    assert httpx.get(f"{url}/api/v1/system/is_alive", timeout=60).status_code == 200
    headers = {"Authorization": f"Bearer {running.environment['PANDA_TOKEN']}"}

    def incident() -> bool:
        page = httpx.get(f"{url}/api/monitor/incidents?component=api-1", headers=headers, timeout=60).json()
        return any("gave no sign of life" in row["title"] for row in page["incidents"])

    eventually(incident, what="the incident", timeout_s=60)


def test_open_streams_do_not_hold_up_a_worker_that_stops(running):
    url = running.environment["PANDA_URL"]
    headers = {"Authorization": f"Bearer {running.environment['PANDA_TOKEN']}"}
    with httpx.stream("GET", f"{url}/api/monitor/stream", headers=headers, timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        pid = running.record("api-1").pid
        os.kill(pid, signal.SIGTERM)
        assert "event: heartbeat" in list(lines)  # to its proper end: a cut connection would raise
    eventually(lambda: running.record("api-1").pid != pid, what="another worker", timeout_s=60)
    log = (running.data / "logs" / "api-1.log").read_text()
    assert "timeout graceful shutdown exceeded" not in log


def test_killed_agents_come_back(running):
    pid = running.kill("agents")
    eventually(lambda: running.record("agents").pid != pid, what="other agents", timeout_s=60)


def test_a_killed_postgresql_is_recovered_and_the_rest_reconnects(running):
    url = running.environment["PANDA_URL"]
    pid = running.kill("postgres")
    headers = {"Authorization": f"Bearer {running.environment['PANDA_TOKEN']}"}

    def answers() -> bool:
        return (
            running.record("postgres").pid != pid
            and httpx.get(f"{url}/api/monitor/jobs", headers=headers, timeout=60).status_code == 200
        )

    # its recovery reads and syncs files: on a machine that is busy with the disk that takes a while
    eventually(answers, what="answers from the database", timeout_s=150)
    assert "postgres: was killed by SIGKILL" in (running.data / "logs" / "supervisor.log").read_text()


def test_after_kill_9_of_the_supervisor_up_recovers_and_down_leaves_nothing(installation):
    installation.up()
    children = [installation.record(name) for name in ("api-1", "agents")]
    database = installation.record("postgres")
    installation.kill("supervisor")
    eventually(lambda: all(child.process() is None for child in children), what="the end of the children", timeout_s=60)
    assert installation.status()["state"] != "up"
    assert database.process() is not None
    installation.up()
    assert installation.record("postgres").pid == database.pid
    assert "died without stopping" in (installation.data / "logs" / "supervisor.log").read_text()
    installation.kill("supervisor")
    installation.panda("down")
    assert installation.processes() == []
    assert installation.panda("status", code=3).stdout.startswith("pandascope is down")


def test_two_starts_at_once_make_one_installation(installation):
    command = [*PANDA, "up", "--port", "0", "--workers", "1", "--no-site", "--json", "--data", str(installation.data)]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(start.communicate(timeout=240)[0]) for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert len({answer["url"] for answer in answers}) == 1


def test_in_the_foreground_a_signal_stops_everything(installation):
    command = [
        *PANDA,
        "up",
        "--port",
        "0",
        "--workers",
        "1",
        "--no-site",
        "--foreground",
        "--data",
        str(installation.data),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert "pandascope is up" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert installation.processes() == []


def test_a_database_of_ones_own_is_used_and_left_running(installation, database_url):
    done = installation.panda("up", "--port", "0", "--workers", "1", "--no-site", PANDA_DATABASE_URL=database_url)
    assert "starting PostgreSQL" not in done.stderr
    assert re.search(r"connecting to PostgreSQL at /.*, database test_", done.stderr)
    assert not (installation.data / "postgres").exists()
    installation.panda("down")


def test_a_wrong_database_address_is_told_in_words(installation):
    url = "postgresql+psycopg2://nobody@127.0.0.1:9/nothing"
    done = installation.panda("up", "--port", "0", code=1, PANDA_DATABASE_URL=url)
    assert "PANDA_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_of_another_postgresql_is_refused(installation):
    server = EmbeddedPostgres(installation.data)
    server.start()
    server.stop()
    (server.cluster / "PG_VERSION").write_text("14\n")
    done = installation.panda("up", "--port", "0", code=1)
    assert "PostgreSQL 14" in done.stderr
    assert "18" in done.stderr
    (server.cluster / "PG_VERSION").write_text("18\n")


def test_a_wrong_setting_fits_on_one_screen(installation):
    done = installation.panda("up", code=1, PANDA_TIMEOUTS__HEARTBEAT_S="soon")
    assert "timeouts.heartbeat_s" in done.stderr
    assert "PANDA_TIMEOUTS__HEARTBEAT_S" in done.stderr
    assert len(done.stderr.splitlines()) <= 5
