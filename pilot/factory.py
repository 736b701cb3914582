"""The factory of a site: starts pilots while a queue has jobs for them, and cleans up after those that die.

Talks HTTP to the server and starts `panda pilot` processes of its own; knows nothing of what a pilot does.
A pilot that dies badly takes its job with it: nothing of the payload may live on before the server hears of it,
because the job may be given out again at once.
"""

from __future__ import annotations

import logging
import math
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pandascope.errors import ClientError, Refused
from pandascope.transport import Request
from pilot import guard
from pilot.adopted import reap_orphans
from pilot.agent import PilotExit
from pilot.deaths import Deaths
from pilot.line import Line
from pilot.wakeup import Wakeup

log = logging.getLogger("pilot.factory")

STATISTICS = "/api/v1/statistics/active_job_stats_by_site"
WORKER_ENDED = "/api/control/worker/ended"
BUSY_STATES = ("sent", "starting", "stagein", "running", "stageout")
KEPT_LOGS = 50
CALL_TIMEOUT_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


@dataclass(frozen=True)
class FactoryOptions:
    """What a factory is told when it starts. Times in seconds."""

    queue: str
    """The queue whose jobs its pilots run."""
    pilots: int
    """Pilots running at the same time, at most."""
    command: tuple[str, ...]
    """The command that starts a pilot; `--worker-id ID` is added."""
    log_directory: Path
    """One file for the output of each pilot; the newest 50 are kept."""
    poll_s: float = 0.5
    """Between two looks at the queue."""
    stop_grace_s: float = 25.0
    """How long pilots may take to end after SIGTERM."""


@dataclass
class Worker:
    """A pilot that this factory has started."""

    worker_id: str
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)


class Register:
    """Remembers pilots beyond the life of a factory. This one remembers nothing; a site may bring a better one."""

    def started(self, worker_id: str, process_id: int) -> None:
        """A pilot of this factory has started."""

    def ended(self, worker_id: str) -> None:
        """A pilot has ended, and the server knows all there is to know."""

    def inherited(self) -> tuple[int, list[str]]:
        """Of the pilots of earlier, dead factories: how many still run, and which have died."""
        return 0, []


def pilots_wanted(activated: int, busy: int, running: int, limit: int) -> int:
    """How many pilots to start, given the queue's jobs that wait and that pilots have, and the pilots there are."""
    idle = max(0, running - busy)
    return max(0, min(activated - idle, limit - running))


class Factory:
    """One loop: collect pilots that ended, tell the server of the dead, look at the queue, start what is wanted."""

    def __init__(self, line: Line, options: FactoryOptions, register: Register | None = None) -> None:
        self._line, self._options, self._register = line, options, register or Register()
        self._workers: dict[int, Worker] = {}
        self._notices: dict[str, dict[str, Any]] = {}
        self._deaths = Deaths(options.queue)
        self._wakeup = Wakeup()
        self._stopping = False
        self._name = f"{options.queue}-{uuid.uuid4().hex[:8]}"
        self._count = 0
        self._pause_s = 0.0
        self._pause_until = 0.0
        self._server_is_silent = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; then end the pilots, giving them time for their final reports."""
        guard.adopt_orphans()
        guard.hide_environment()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_soon)
        signal.signal(signal.SIGCHLD, lambda *_: self._wakeup.wake())
        log.info("at most %d pilots for queue %s", self._options.pilots, self._options.queue)
        while not self._stopping:
            try:
                self.cycle()
            except ClientError as error:
                self._note_silence(error)
            except Exception:
                log.exception("a cycle of the factory broke down", extra={"kind": "service"})
            self._wakeup.sleep(self._options.poll_s)
        self._end_pilots()

    def cycle(self) -> int:
        """One turn of the loop; how many pilots it started. Raises ClientError when the server does not answer."""
        self._collect()
        inherited = self._look_after_inherited()
        self._send_notices()
        room = self._options.pilots - inherited
        if len(self._workers) >= room or time.monotonic() < self._pause_until:
            return 0
        counts = (self._line.panda(STATISTICS, timeout_s=CALL_TIMEOUT_S) or {}).get(self._options.queue) or {}
        if self._server_is_silent:
            self._server_is_silent = False
            log.info("the server answers again")
        busy = sum(int(counts.get(state, 0)) for state in BUSY_STATES)
        running = len(self._workers) + inherited
        wanted = pilots_wanted(int(counts.get("activated", 0)), busy, running, self._options.pilots)
        for _ in range(wanted):
            self._start_pilot()
        return wanted

    def _look_after_inherited(self) -> int:
        """Speak for the pilots of a factory that was killed; how many of them run."""
        running, died = self._register.inherited()
        for worker_id in died:
            self._notices[worker_id] = {"diagnosis": "the pilot is gone, and its factory died before it"}
        return running

    def _start_pilot(self) -> None:
        self._count += 1
        worker_id = f"{self._name}-{self._count}"
        self._options.log_directory.mkdir(parents=True, exist_ok=True)
        with (self._options.log_directory / f"pilot-{worker_id}.log").open("wb") as output:
            process = subprocess.Popen(
                [*self._options.command, "--worker-id", worker_id],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._workers[process.pid] = Worker(worker_id, process)
        self._register.started(worker_id, process.pid)
        log.info("started pilot %s (pid %d)", worker_id, process.pid)
        self._prune_logs()

    def _collect(self) -> None:
        """Take note of the pilots that have ended."""
        ended = [worker for worker in self._workers.values() if worker.process.poll() is not None]
        for worker in ended:
            del self._workers[worker.process.pid]
        for worker in ended:
            self._take_leave(worker)
        if ended:
            reap_orphans(self._workers.keys())

    def _take_leave(self, worker: Worker) -> None:
        code = worker.process.returncode
        # A pilot told to end while it was still starting dies of it, before it could have had a job.
        if code == 0 or (self._stopping and code == -signal.SIGTERM):
            self._pause_s = 0.0
            self._register.ended(worker.worker_id)
            log.info("pilot %s has ended", worker.worker_id)
            self._deaths.ended_well()
        else:
            how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
            if not guard.kill_descendants(lambda: reap_orphans(self._workers.keys()), spare=self._workers.keys()):
                log.error("processes of pilot %s cannot be killed", worker.worker_id, extra=self._extra(worker))
            if code == PilotExit.NO_COMMUNICATION:
                log.warning("pilot %s has lost the server", worker.worker_id)
            else:
                self._deaths.died(worker.worker_id, how)
            cause = {"signal": -code} if code < 0 else {"exit_code": code}
            self._notices[worker.worker_id] = {"diagnosis": f"the pilot {how}", **cause}
            self._slow_down(worker)

    def _slow_down(self, worker: Worker) -> None:
        """Pilots that die young mean a node or a server in trouble: start the next ones later and later."""
        if time.monotonic() - worker.started < 10 * _FIRST_PAUSE_S:
            self._pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * self._pause_s))
            self._pause_until = time.monotonic() + self._pause_s

    def _send_notices(self) -> None:
        """Tell the server of dead pilots, each until it has answered; only then is the pilot forgotten."""
        for worker_id, notice in list(self._notices.items()):
            try:
                answer = self._line.call(
                    Request("POST", WORKER_ENDED, json={"worker_id": worker_id, **notice}, timeout_s=CALL_TIMEOUT_S)
                )
                log.info("the server knows that pilot %s is dead: %s", worker_id, answer)
            except Refused as refusal:
                log.error("the server refused the notice of a dead pilot: %s", refusal, extra={"kind": "service"})
            del self._notices[worker_id]
            self._register.ended(worker_id)

    def _note_silence(self, error: ClientError) -> None:
        if not self._server_is_silent:
            log.warning("the server does not answer: %s", error)
        self._server_is_silent = True

    def _stop_soon(self, *_: object) -> None:
        self._stopping = True
        self._wakeup.wake()

    def _end_pilots(self) -> None:
        log.info("ends %d pilots", len(self._workers))
        for worker in self._workers.values():
            worker.process.terminate()
        deadline = time.monotonic() + self._options.stop_grace_s
        while self._workers and time.monotonic() < deadline:
            self._collect()
            if self._workers:
                self._wakeup.sleep(min(0.5, max(0.0, deadline - time.monotonic())))
        for worker in self._workers.values():
            worker.process.kill()
        for worker in self._workers.values():
            worker.process.wait()
        self._collect()
        guard.kill_descendants(lambda: reap_orphans(frozenset()))
        try:
            self._send_notices()
        except ClientError as error:
            log.warning("the server does not know of %d dead pilots: %s", len(self._notices), error)

    def _prune_logs(self) -> None:
        logs = sorted(self._options.log_directory.glob("pilot-*.log"), key=_modification_time)
        for path in logs[:-KEPT_LOGS]:
            path.unlink(missing_ok=True)

    def _extra(self, worker: Worker) -> dict[str, Any]:
        return {"kind": "service", "computing_site": self._options.queue, "worker_id": worker.worker_id}


def _modification_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
