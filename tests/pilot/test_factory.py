"""The factory: pilots when there is work, and order after those that die."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pilot.factory import pilots_wanted
from tests.pilot.conftest import Workshop, wait_for
from tests.pilot.stand_in import StandIn

Start = Callable[..., "subprocess.Popen[bytes]"]


@given(some.integers(0, 100), some.integers(0, 100), some.integers(0, 100), some.integers(1, 100))
def test_never_more_pilots_than_allowed_or_than_jobs(activated: int, busy: int, running: int, limit: int) -> None:
    wanted = pilots_wanted(activated, busy, running, limit)
    assert 0 <= wanted <= activated
    assert wanted == 0 or running + wanted <= limit


@pytest.mark.parametrize(
    ("activated", "busy", "running", "limit", "wanted"),
    [(1, 0, 0, 2, 1), (5, 0, 0, 2, 2), (5, 2, 2, 4, 2), (1, 0, 1, 4, 0)],
)
def test_pilots_are_started_for_jobs_that_no_idle_pilot_will_take(
    activated: int, busy: int, running: int, limit: int, wanted: int
) -> None:
    assert pilots_wanted(activated, busy, running, limit) == wanted


@pytest.fixture
def start_site(server: StandIn, tmp_path: Path) -> Iterator[Start]:
    """Start `panda site` with further options; it is ended, with its pilots, at the end."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "panda.env").write_text(f"PANDA_URL={server.url}\nPANDA_TOKEN={server.token}\n")
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        arguments = ["site", "--data", str(data), "--pilots", "2", "--wait", "0.05", "--heartbeat", "0.1"]
        arguments += ["--scratch-min", "0", "--requests", "200"]
        with (tmp_path / "site.log").open("ab") as output:
            command = [sys.executable, "-m", "pandascope.cli.main", *arguments, *options]
            started.append(subprocess.Popen(command, stdout=output, stderr=output))
        return started[-1]

    yield start
    left = pilots_of(data)
    for process in started:
        process.terminate()
        process.wait(60)
    for pilot in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pilot).kill()


def pilots_of(data: Path) -> list[int]:
    """Process ids in the records of pilots."""
    return [int(json.loads(path.read_text())["pid"]) for path in (data / "run").glob("pilot-*.json")]


def test_pilots_start_when_there_is_work_and_drain_the_queue(
    server: StandIn, workshop: Workshop, start_site: Start
) -> None:
    start_site()
    server.jobs.extend(workshop.job(f"echo {number}") for number in range(6))
    server.statistics = {"LOCAL": {"activated": 6}}
    assert wait_for(lambda: server.states.count("finished") == 6)
    workers = {update["worker_id"] for update in server.updates}
    assert 1 <= len(workers) <= 2
    assert all(worker.startswith("LOCAL-") for worker in workers)


def test_a_pilot_killed_with_kill_9_is_reported_and_nothing_of_it_is_left(
    server: StandIn, workshop: Workshop, start_site: Start, tmp_path: Path
) -> None:
    pids = workshop.storage / "pids"
    server.jobs.append(
        workshop.job(f"(trap '' TERM; setsid sh -c 'echo $$ > {pids}; exec sleep 1000' &); exec sleep 1000")
    )
    server.statistics = {"LOCAL": {"activated": 1}}
    start_site("--pilots", "1")
    assert wait_for(lambda: pids.exists() and pids.read_text().strip() != "")
    payload = psutil.Process(int(pids.read_text()))
    server.statistics = {}
    pilot, guard = [process for process in payload.parents() if "pilot" in " ".join(process.cmdline())][1::-1]
    guard.kill()
    pilot.kill()
    assert wait_for(lambda: bool(server.ended_workers))
    assert server.ended_workers[0]["signal"] == 9
    assert server.ended_workers[0]["worker_id"] == server.updates[0]["worker_id"]
    assert wait_for(lambda: not payload.is_running())


def test_sigterm_ends_the_pilots_with_their_final_reports(
    server: StandIn, workshop: Workshop, start_site: Start
) -> None:
    server.jobs.extend(workshop.job("exec sleep 1000") for _ in range(2))
    server.statistics = {"LOCAL": {"activated": 2}}
    site = start_site()
    assert wait_for(
        lambda: len({update["job_id"] for update in server.updates if update["job_status"] == "running"}) == 2
    )
    site.send_signal(signal.SIGTERM)
    assert site.wait(60) == 0
    assert [update["pilot_error_code"] for update in server.updates if update["job_status"] == "failed"] == [1201, 1201]
    assert server.ended_workers == []


def test_a_new_factory_speaks_for_the_dead_pilots_of_a_killed_one(
    server: StandIn, workshop: Workshop, start_site: Start, tmp_path: Path
) -> None:
    server.jobs.append(workshop.job("exec sleep 1000"))
    server.statistics = {"LOCAL": {"activated": 1}}
    first = start_site("--pilots", "1")
    assert wait_for(lambda: "running" in server.states)
    server.statistics = {}
    first.kill()
    first.wait()
    (pilot,) = pilots_of(tmp_path / "data")
    start_site("--pilots", "1")
    assert psutil.pid_exists(pilot)
    psutil.Process(pilot).kill()
    assert wait_for(lambda: bool(server.ended_workers))
    assert server.ended_workers[0]["worker_id"] == server.updates[0]["worker_id"]
    assert wait_for(lambda: pilots_of(tmp_path / "data") == [])
