"""A running payload that must be killed: by an order, or because it breaks a limit. Each with its code."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pilot import checks
from tests.pilot.conftest import Workshop, wait_for
from tests.pilot.stand_in import Answer, commanded

STUBBORN = "trap '' TERM; "
FOREVER = "while :; do sleep 0.05; done"


def test_a_kill_command_in_a_heartbeat_ends_payload_and_job(workshop: Workshop) -> None:
    def answer(update: dict[str, object]) -> Answer:
        return commanded("tobekilled" if update["job_status"] == "running" else None)

    workshop.server.answer_update = answer
    workshop.run(workshop.job(FOREVER, workshop.log()))
    final = workshop.server.final
    assert (final["job_status"], final["pilot_error_code"]) == ("failed", 1144)
    assert "job.log.tgz" in final["job_output_report"]


def test_a_kill_command_at_the_start_keeps_the_payload_from_starting(workshop: Workshop) -> None:
    workshop.server.answer_update = lambda update: commanded("tobekilled")
    sign = workshop.storage / "sign"
    fifo_like = [workshop.input(f"in{number}", b"x" * 1000) for number in range(50)]
    workshop.run(workshop.job(f"sleep 5; touch {sign}", *fifo_like))
    assert workshop.server.final["pilot_error_code"] == 1144
    assert not sign.exists()


@pytest.mark.parametrize("command", ["alreadydone", "badattemptnr"])
def test_a_job_that_is_not_ours_any_more_is_dropped_without_a_report(workshop: Workshop, command: str) -> None:
    def answer(update: dict[str, object]) -> Answer:
        return commanded(command if update["job_status"] == "running" else None)

    workshop.server.answer_update = answer
    workshop.run(workshop.job(f"echo x > out; {FOREVER}", workshop.output("out"), workshop.log()))
    assert not {"finished", "failed"} & set(workshop.server.states)
    assert not (workshop.storage / "out").exists()
    assert workshop.leftovers == []


def test_a_payload_that_ignores_sigterm_is_killed_with_all_its_children(workshop: Workshop) -> None:
    pids = workshop.storage / "pids"
    nested = f'{STUBBORN} echo $$ >> {pids}; (setsid sh -c "{STUBBORN} echo \\$\\$ >> {pids}; {FOREVER}" &) ; {FOREVER}'

    def answer(update: dict[str, object]) -> Answer:
        return commanded("tobekilled" if pids.exists() and len(pids.read_text().split()) == 2 else None)

    workshop.server.answer_update = answer
    workshop.run(workshop.job(nested), kill_grace_s=0.2)
    assert all(wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists()) for pid in pids.read_text().split())
    assert workshop.server.final["pilot_error_code"] == 1144


def test_sigterm_reaches_the_payload_first_so_that_it_can_clean_up(workshop: Workshop) -> None:
    def answer(update: dict[str, object]) -> Answer:
        is_ready = update["job_status"] == "running" and workshop.has_written("ready")
        return commanded("tobekilled" if is_ready else None)

    workshop.server.answer_update = answer
    workshop.run(workshop.job(f"trap 'echo cleaned up; exit 0' TERM; echo ready; {FOREVER}"), kill_grace_s=10)
    assert workshop.server.final["payload_stdout"] == "ready\ncleaned up\n"


def test_a_payload_that_touches_no_file_is_looping(workshop: Workshop) -> None:
    workshop.run(workshop.job("sleep 1000", loopingLimit=1))
    assert workshop.server.final["pilot_error_code"] == 1150


def test_a_payload_that_writes_now_and_then_is_not_looping(workshop: Workshop) -> None:
    workshop.run(workshop.job("for i in $(seq 16); do sleep 0.25; echo $i; done", loopingLimit=3))
    assert workshop.server.final["job_status"] == "finished"


def test_a_payload_over_its_walltime_is_killed(workshop: Workshop) -> None:
    workshop.run(workshop.job(FOREVER, maxWalltime=1))
    assert workshop.server.final["pilot_error_code"] == 1213


def test_a_payload_that_outlives_its_pilot_is_killed(workshop: Workshop) -> None:
    workshop.run(workshop.job(FOREVER), lifetime_s=0.3)
    assert workshop.server.final["pilot_error_code"] == 1213


def test_a_work_directory_that_grows_too_large_ends_the_job(workshop: Workshop) -> None:
    workshop.run(workshop.job(f"dd if=/dev/zero of=big bs=1M count=4 2>/dev/null; sync big; {FOREVER}", maxDiskCount=2))
    assert workshop.server.final["pilot_error_code"] == 1104
    assert "2 MB are allowed" in workshop.server.final["pilot_error_diag"]


def test_a_sparse_file_takes_no_space(workshop: Workshop) -> None:
    workshop.run(workshop.job("truncate -s 1G hole; sleep 0.5", maxDiskCount=2))
    assert workshop.server.final["job_status"] == "finished"


def test_output_without_end_ends_the_job(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "STDOUT_LIMIT_BYTES", 100_000)
    workshop.run(workshop.job(f"seq 100000; {FOREVER}"))
    assert workshop.server.final["pilot_error_code"] == 1106


def test_memory_beyond_twice_the_request_ends_the_job(workshop: Workshop) -> None:
    hungry = "python3 -c 'x = bytearray(80_000_000); import time; time.sleep(1000)'"
    workshop.run(workshop.job(hungry, minRamCount=20))
    assert workshop.server.final["pilot_error_code"] == 1235


def test_a_full_node_ends_the_job(workshop: Workshop) -> None:
    workshop.run(workshop.job(FOREVER), scratch_min_mb=2**40)
    assert workshop.server.final["pilot_error_code"] == 1098


def test_a_server_silent_for_too_long_ends_the_job(workshop: Workshop) -> None:
    workshop.server.answer_update = lambda update: (503, b"") if update["job_status"] == "running" else commanded()
    workshop.run(workshop.job(FOREVER), silence_limit_s=0.4)
    assert workshop.server.final["pilot_error_code"] == 1318


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 1201), (signal.SIGINT, 1208), (signal.SIGXCPU, 1204)])
def test_a_signal_to_the_pilot_ends_the_job_with_its_code(workshop: Workshop, number: int, code: int) -> None:
    workshop.when(lambda: workshop.has_written("hello"), lambda: workshop.orders.give_signal(number))
    workshop.run(workshop.job(f"echo hello; {FOREVER}", workshop.log()))
    final = workshop.server.final
    assert (final["pilot_error_code"], final["payload_stdout"]) == (code, "hello\n")
    assert "job.log.tgz" in final["job_output_report"]


def test_a_payload_that_kills_its_guard_does_not_escape(workshop: Workshop) -> None:
    pids = workshop.storage / "pids"
    workshop.run(workshop.job(f"echo $$ > {pids}; kill -9 $PPID; {FOREVER}"))
    assert workshop.server.final["pilot_error_code"] == 1305
    assert wait_for(lambda: not Path(f"/proc/{pids.read_text().strip()}").exists())


def test_every_check_says_what_it_guards_against() -> None:
    assert all(check.sentence for check in checks.CHECKS)
    assert all(check.error is not None for check in checks.CHECKS if check is not checks.OrderedToStop)
