"""Pilots as processes of their own: how they begin, how they end, and what is left when they are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.pilot.conftest import Workshop, wait_for
from tests.pilot.stand_in import StandIn, commanded, refused

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start_pilot(server: StandIn, tmp_path: Path) -> Iterator[Start]:
    """Start `panda pilot` for queue LOCAL with further options."""
    token = tmp_path / "token"
    token.write_text(server.token)
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        arguments = ["pilot", "--queue", "LOCAL", "--url", server.url, "--token-file", str(token)]
        arguments += [
            "--work-dir",
            str(tmp_path / "jobs"),
            "--wait",
            "0.05",
            "--heartbeat",
            "0.1",
            "--scratch-min",
            "0",
        ]
        output = (tmp_path / "pilot.log").open("ab")
        # Without capabilities root may look into other processes as little as anybody.
        plain = ["setpriv", "--bounding-set", "-all"] if os.geteuid() == 0 and shutil.which("setpriv") else []
        process = subprocess.Popen(
            [*plain, sys.executable, "-m", "pandascope.cli.main", *arguments, *options],
            stdout=output,
            stderr=output,
            env={**os.environ, "PANDA_TOKEN": "never-for-payloads"},
        )
        output.close()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_pilot_without_a_job_asks_again_and_ends_well(server: StandIn, start_pilot: Start) -> None:
    pilot = start_pilot("--requests", "3", "--worker-id", "w-1")
    assert pilot.wait(60) == 0
    assert len(server.requests) == 3
    request = server.requests[0]
    assert (request["site_name"], request["prod_source_label"], request["worker_id"]) == ("LOCAL", "user", "w-1")
    assert request["cores"] >= 1
    assert request["memory"] > 0
    assert request["disk_space"] > 0
    assert 0 < request["remaining_time"] <= 324_000


def test_a_pilot_runs_as_many_jobs_as_it_may(server: StandIn, workshop: Workshop, start_pilot: Start) -> None:
    server.jobs.extend(workshop.job(f"echo {number}") for number in range(3))
    assert start_pilot("--max-jobs", "2").wait(60) == 0
    assert server.states.count("finished") == 2
    assert len(server.jobs) == 1


def test_a_pilot_gives_up_after_errors_in_a_row(server: StandIn, start_pilot: Start) -> None:
    server.answer_acquire = lambda request: refused("there is no queue 'LOCAL'")
    assert start_pilot().wait(60) == 79
    assert len(server.requests) == 5


def test_nonsense_instead_of_a_job_does_not_end_the_pilot(
    server: StandIn, workshop: Workshop, start_pilot: Start
) -> None:
    server.jobs.extend([{"jobPars": "no id"}, workshop.job("true")])
    assert start_pilot("--max-jobs", "1").wait(60) == 0
    assert "finished" in server.states


def test_sigterm_gives_a_proper_final_report(server: StandIn, workshop: Workshop, start_pilot: Start) -> None:
    server.jobs.append(workshop.job("echo working; exec sleep 1000", workshop.log()))
    pilot = start_pilot()
    assert wait_for(lambda: "running" in server.states)
    pilot.send_signal(signal.SIGTERM)
    assert pilot.wait(60) == 0
    assert server.final["pilot_error_code"] == 1201
    assert server.final["pilot_error_diag"] == "Job killed by signal: SIGTERM"
    assert "job.log.tgz" in server.final["job_output_report"]
    assert len(server.requests) == 1


def test_sigterm_ends_an_idle_pilot_at_once(server: StandIn, start_pilot: Start) -> None:
    pilot = start_pilot("--wait", "1000")
    assert wait_for(lambda: bool(server.requests))
    pilot.send_signal(signal.SIGTERM)
    assert pilot.wait(60) == 0


def test_a_silent_server_does_not_keep_a_pilot_that_must_end(
    server: StandIn, workshop: Workshop, start_pilot: Start
) -> None:
    server.jobs.append(workshop.job("exec sleep 1000"))
    server.answer_update = lambda update: (503, b"") if update["job_status"] == "failed" else commanded()
    pilot = start_pilot()
    assert wait_for(lambda: "running" in server.states)
    pilot.send_signal(signal.SIGTERM)
    assert pilot.wait(60) == 79
    assert workshop.leftovers


def test_nothing_of_a_payload_outlives_a_pilot_killed_with_kill_9(
    server: StandIn, workshop: Workshop, start_pilot: Start
) -> None:
    pids = workshop.storage / "pids"
    stubborn = f"trap '' TERM HUP; echo $$ >> {pids}; while :; do sleep 0.05; done"
    child = workshop.storage / "child.sh"
    child.write_text(stubborn)
    server.jobs.append(workshop.job(f"(setsid sh {child} &) ; sh {child} & {stubborn}"))
    pilot = start_pilot()
    assert wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 3)
    processes = [psutil.Process(int(pid)) for pid in pids.read_text().split()]
    pilot.kill()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []


def test_the_token_cannot_be_read_by_the_payload_from_the_pilots_environment(
    server: StandIn, workshop: Workshop, start_pilot: Start
) -> None:
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may read every process")
    search = (
        "for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; done 2>/dev/null | grep -c never-for-payloads; true"
    )
    server.jobs.append(workshop.job(search))
    assert start_pilot().wait(60) == 0
    assert server.final["payload_stdout"] == "0\n"


def test_a_renewed_token_is_read_from_its_file(server: StandIn, workshop: Workshop, start_pilot: Start) -> None:
    go = workshop.storage / "go"
    server.jobs.append(workshop.job(f"while [ ! -e {go} ]; do sleep 0.05; done"))
    pilot = start_pilot()
    assert wait_for(lambda: "running" in server.states)
    server.token = "renewed"
    (workshop.storage.parent / "token").write_text("renewed")
    go.touch()
    assert pilot.wait(60) == 0
    assert server.final["job_status"] == "finished"


def test_a_node_without_space_gets_no_job(server: StandIn, start_pilot: Start) -> None:
    assert start_pilot("--scratch-min", str(2**40)).wait(60) == 69
    assert server.requests == []
