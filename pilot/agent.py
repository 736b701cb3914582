"""The life of a pilot: look at the node, ask for a job, run it, perhaps another, end. Knows no details of any of it."""

from __future__ import annotations

import logging
import math
import time
from enum import IntEnum
from typing import Any

from pandascope.errors import ClientError, Refused
from pilot import guard
from pilot.cleaner import clean
from pilot.description import JobDescription
from pilot.job import JobRun
from pilot.line import Line
from pilot.options import PilotOptions
from pilot.orders import Orders
from pilot.probe import free_disk_mb, probe_node
from pilot.server import Server

log = logging.getLogger("pilot.agent")

_FAILURE_PAUSE_S = 1.0


class PilotExit(IntEnum):
    """What a pilot ends with; a node without space is 69, a server that cannot be reached 79 (pilot-wire.md 7)."""

    DONE = 0
    NO_SPACE = 69
    NO_COMMUNICATION = 79


class Agent:
    """One pilot. It takes jobs until there are none, its time is over, or it is told to end."""

    def __init__(self, server: Server, options: PilotOptions, orders: Orders) -> None:
        self._server, self._options, self._orders = server, options, orders
        self._started = time.monotonic()
        self._jobs_done = 0
        self._all_reported = True

    def run(self) -> PilotExit:
        """Work until the end; the exit code of the process."""
        self._options.work_directory.mkdir(parents=True, exist_ok=True)
        clean(self._options.work_directory)
        empty, failed = 0, 0
        while self._may_go_on() and empty < self._options.requests:
            if not self._has_space():
                return PilotExit.NO_SPACE
            begin = time.monotonic()
            try:
                job = self._server.acquire(self._remaining_s())
            except ClientError as error:
                failed += 1
                log.warning("asking for a job failed (%d of %d): %s", failed, self._options.failures, error)
                if failed >= self._options.failures:
                    return self._give_up(error)
                self._orders.sleep(min(self._options.wait_s, _FAILURE_PAUSE_S * 2**failed))
                continue
            failed = 0
            if job is None:
                empty += 1
                if empty < self._options.requests:
                    self._orders.sleep(self._options.wait_s)
                continue
            empty = 0
            self._run_job(job, time.monotonic() - begin)
        log.info("ends after %d jobs", self._jobs_done)
        return PilotExit.DONE if self._all_reported else PilotExit.NO_COMMUNICATION

    def _run_job(self, job: dict[str, Any], acquired_in_s: float) -> None:
        try:
            description = JobDescription.from_wire(job)
        except ValueError:
            log.exception("the server sent something that is no job")
            return
        account = JobRun(description, self._server, self._options, self._orders, self._started).run(acquired_in_s)
        self._orders.next_job()
        self._jobs_done += 1
        self._all_reported &= account.reached_server
        log.info("job %d %s", description.panda_id, account.status, extra={"panda_id": description.panda_id})

    def _may_go_on(self) -> bool:
        enough = 0 < self._options.max_jobs <= self._jobs_done
        return not enough and not self._orders.pilot_must_end and self._remaining_s() > 0

    def _remaining_s(self) -> float:
        """Time left in its life; without a limit, all the time there is."""
        if not self._options.lifetime_s:
            return math.inf
        return self._options.lifetime_s - (time.monotonic() - self._started)

    def _has_space(self) -> bool:
        """Twice the minimum a payload needs must be free before a job is asked for (domain.md 7.1)."""
        wanted_mb = 2 * self._options.scratch_min_mb
        if (free_mb := free_disk_mb(self._options.work_directory)) >= wanted_mb:
            return True
        log.error(
            "asks for no job: %d MB are free in %s, %d MB are needed", free_mb, self._options.work_directory, wanted_mb,
            extra={"kind": "service", "computing_site": self._options.queue},
        )  # fmt: skip
        return False

    def _give_up(self, error: ClientError) -> PilotExit:
        """A server that is away is not the pilot's trouble; one that refuses to give jobs is somebody's."""
        level = logging.ERROR if isinstance(error, Refused) else logging.WARNING
        about = {"computing_site": self._options.queue}
        log.log(level, "no job after %d requests that failed: %s", self._options.failures, error, extra=about)
        return PilotExit.NO_COMMUNICATION


def run_pilot(line: Line, options: PilotOptions) -> PilotExit:
    """Be a pilot in this process, until there is nothing more to do or a signal comes."""
    guard.adopt_orphans()
    guard.hide_environment()
    node = probe_node()
    log.info("starts on %s: %d cores, %d MB of memory, queue %s", node.host, node.cores, node.memory_mb, options.queue)
    orders = Orders()
    orders.listen()
    return Agent(Server(line, options, node), options, orders).run()
