"""The parts of the supervisor one by one: records, services, the lifeline, logs, the port."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import PandaError
from pandascope.supervisor.access import write_environment_file
from pandascope.supervisor.lifeline import Lifeline
from pandascope.supervisor.listener import PortTaken, local_url, open_listener
from pandascope.supervisor.logs import KEPT_FILES, open_log, rotate
from pandascope.supervisor.pulse import Pulse, beat
from pandascope.supervisor.records import ProcessRecord, ProcessRecords
from pandascope.supervisor.service import Command, Service, how_it_ended
from tests.support.system import eventually

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture
def records(tmp_path: Path) -> ProcessRecords:
    return ProcessRecords(tmp_path)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def service_of(records: ProcessRecords, code: str, **environment: str | None) -> Service:
    log = records.directory.parent / "logs" / "it.log"
    return Service(Command("it", [sys.executable, "-c", code], environment, (), log), records)


def test_a_record_finds_its_process_again(records, sleeper):
    written = records.write("it", sleeper.pid, address="here")
    assert records.read() == [written]
    found = records.find("it")
    assert found is not None
    process = found.process()
    assert process is not None
    assert process.pid == sleeper.pid


def test_a_recycled_pid_is_not_taken_for_the_recorded_process_and_never_killed(records, sleeper):
    started = psutil.Process(sleeper.pid).create_time()
    impostor = ProcessRecord("it", sleeper.pid, started - 3600)
    assert impostor.process() is None
    records.stop([impostor], patience_s=0.1)
    assert sleeper.poll() is None


def test_a_process_that_ignores_sigterm_is_killed_when_patience_ends(records, sleeper):
    records.stop([records.write("it", sleeper.pid)], patience_s=0.2)
    assert not psutil.pid_exists(sleeper.pid)
    assert records.read() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "x"}', "\x00"])
def test_a_damaged_record_is_passed_over(records, content):
    records.directory.mkdir()
    (records.directory / "it.json").write_text(content)
    assert records.read() == []


def test_a_service_that_dies_is_reported_once_and_started_again_later_and_later(records):
    service = service_of(records, "raise SystemExit(7)")
    service.start()
    pauses = []
    for _ in range(4):
        ended = eventually(service.check, what="the end of the process")
        assert ended is not None
        assert ended.sentence == f"it (pid {ended.pid}) ended with exit code 7"
        pauses.append(ended.restart_in_s)
    assert pauses == [0.25, 0.5, 1.0, 2.0]
    service.wait(30)
    assert records.read() == []


BEATS_THEN_HANGS = """
import signal, sys, time
from pandascope.supervisor.pulse import beat
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    beat(int(sys.argv[1]))
    time.sleep(0.05)
"""


def test_a_service_that_hangs_is_killed_reported_and_started_again(records):
    pulse = Pulse(silence_s=0.5)
    arguments = [sys.executable, "-c", BEATS_THEN_HANGS, str(pulse.child_end)]
    log = records.directory.parent / "logs" / "it.log"
    service = Service(Command("it", arguments, {}, (), log), records, pulse)
    service.start()

    def beats() -> bool:
        assert service.check() is None
        return pulse._has_beaten

    eventually(beats, what="the first sign of life")
    pid = service._process.pid
    os.kill(pid, signal.SIGSTOP)
    ended = eventually(service.check, what="the end of the process that hangs")
    assert re.fullmatch(rf"it \(pid {pid}\) gave no sign of life for \d+ s and was killed", ended.sentence)
    assert ended.return_code == -signal.SIGKILL
    eventually(lambda: service.check() or service.is_running, what="another one")
    eventually(beats, what="its first sign of life")
    service._process.kill()
    ended = eventually(service.check, what="the end of the second")
    assert ended.how == "was killed by SIGKILL"
    service.wait(30)


def test_a_process_that_still_starts_is_given_more_time_than_one_that_has_beaten():
    pulse = Pulse(silence_s=0.0, start_silence_s=60.0)
    assert pulse.silence_too_long_s() is None
    beat(pulse.child_end)
    assert pulse.silence_too_long_s() is None
    assert pulse.silence_too_long_s() is not None
    pulse.begin()
    assert pulse.silence_too_long_s() is None


def test_a_supervisor_that_was_away_itself_blames_nobody(monkeypatch):
    pulse = Pulse(silence_s=20.0)
    beat(pulse.child_end)
    assert pulse.silence_too_long_s() is None
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600)  # both were stopped, and it is the first to go on
    assert pulse.silence_too_long_s() is None
    for later in range(3600, 3621, 3):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        assert pulse.silence_too_long_s() is None
    monkeypatch.setattr(time, "monotonic", lambda: now + 3622)
    assert pulse.silence_too_long_s() == 22


def test_beats_that_nobody_takes_do_not_stop_a_process():
    pulse = Pulse()
    for _ in range(100_000):
        beat(pulse.child_end)
    os.close(pulse._reading)
    beat(pulse.child_end)


def test_signals_are_called_by_name():
    assert [how_it_ended(code) for code in (-9, -15, 3)] == [
        "was killed by SIGKILL",
        "was killed by SIGTERM",
        "ended with exit code 3",
    ]


def test_a_service_writes_to_its_own_log_and_gets_the_environment_it_needs(records, monkeypatch):
    monkeypatch.setenv("SECRET", "s")
    service = service_of(
        records, "import os; print(os.environ['GIVEN'], os.environ.get('SECRET'))", GIVEN="g", SECRET=None
    )
    service.start()
    service.wait(30)
    log = service.command.log
    assert log.read_text() == "g None\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_child_ends_when_the_supervisors_end_of_the_lifeline_is_closed():
    lifeline = Lifeline()
    code = "from pandascope.supervisor.lifeline import hold; hold(); print('ready', flush=True); import time; time.sleep(600)"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **lifeline.environment()},
        pass_fds=[lifeline.child_end],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    os.close(lifeline.child_end)
    assert child.poll() is None
    os.close(lifeline._own_end)
    assert child.wait(30) == 70
    child.stdout.close()


def test_logs_beyond_the_limit_are_rotated_under_their_writer(tmp_path):
    path = tmp_path / "api.log"
    with open_log(path) as log:
        for number in range(KEPT_FILES + 2):
            log.write(f"{number}".encode() * 100)
            rotate(tmp_path, limit_bytes=50)
            assert path.stat().st_size == 0
        log.write(b"after")
    assert path.read_bytes() == b"after"
    kept = [(tmp_path / f"api.log.{number}").read_bytes()[:1] for number in range(1, KEPT_FILES + 1)]
    assert kept == [b"4", b"3", b"2"]
    assert len(list(tmp_path.iterdir())) == KEPT_FILES + 1


def test_a_taken_port_names_the_program_that_has_it():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            open_listener("127.0.0.1", port)
    assert caught.value.field == "port"
    assert f"process {os.getpid()}" in caught.value.detail
    assert "--port" in caught.value.remedy


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "not an address"])
def test_an_address_that_is_not_ours_is_refused_by_name(host):
    with pytest.raises(PandaError) as caught:
        open_listener(host, 0)
    assert caught.value.field == "host"
    assert host in caught.value.detail


def test_addresses_for_programs_on_this_machine():
    hosts = {"127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]", "node7": "node7"}
    assert {host: local_url(host, 80) for host in hosts} == {host: f"http://{name}:80" for host, name in hosts.items()}


def test_the_environment_file_replaces_an_open_one_by_a_private_one(tmp_path):
    (tmp_path / "panda.env").write_text("old")
    (tmp_path / "panda.env").chmod(0o644)
    path = write_environment_file(tmp_path, "http://127.0.0.1:1", "secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PANDA_URL=http://127.0.0.1:1\nPANDA_TOKEN=secret\n" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]
