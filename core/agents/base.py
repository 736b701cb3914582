"""The one shape of every loop that must not die. Knows leases and clocks; does not know what an agent does.

An agent does its work in `cycle()`. The runner gives each agent a thread, takes an advisory lock for it (so that any
number of hosts may run all agents and each is active once), and writes its last and next run into `agent_runs`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import zlib
from abc import ABC, abstractmethod
from typing import Any

from core import tracing
from core.agents.troubles import AgentTroubles
from core.database import Database

_LEASE_NAMESPACE = 7_305
_here: set[str] = set()


class Agent(ABC):
    """A named loop. `period_s` is the pause after a cycle that found nothing to do."""

    name: str
    period_s: float

    @abstractmethod
    def cycle(self) -> int:
        """Do one round and return how much was done; more than zero means: come back at once."""


class AgentLoop(threading.Thread):
    """Runs one agent until told to stop; survives every exception of its cycle and reports it."""

    def __init__(self, agent: Agent, database: Database, stop: threading.Event) -> None:
        super().__init__(name=f"agent-{agent.name}", daemon=True)
        self._agent = agent
        self._database = database
        self._stop_event = stop
        self._troubles = AgentTroubles(agent.name)

    def run(self) -> None:
        """Lease, cycle, report, sleep; again until stopped."""
        while not self._stop_event.is_set():
            try:
                with self._database.dedicated_connection() as lease:
                    if _take_lease(lease, self._agent.name):
                        self._work_under(lease)
            except Exception as error:  # noqa: BLE001  (a loop that must not die)
                self._troubles.failed(error)
            self._stop_event.wait(2.0)

    def _work_under(self, lease: Any) -> None:
        next_note = 0.0
        cycles = 0
        while not self._stop_event.is_set():
            started = time.monotonic()
            done, error = 0, None
            try:
                done = self._agent.cycle()
            except Exception as raised:  # noqa: BLE001  (a loop that must not die)
                error = raised
                self._troubles.failed(raised)
            else:
                self._troubles.worked()
            now = time.monotonic()
            if done or error is not None:  # of the many that find nothing to do nobody reads
                failed = type(error).__name__ if error is not None else ""
                tracing.past("agent cycle", now - started, failed=failed, agent=self._agent.name, done=done)
            cycles += 1
            if error is not None or now >= next_note:
                # the lease lives on this connection: when it is gone, another host may have the agent already
                _note_run(lease, self._agent, now - started, cycles, error)
                next_note, cycles = now + 2.0, 0
            pause_s = self._agent.period_s if error is None else max(1.0, self._agent.period_s)
            self._stop_event.wait(0.0 if done and error is None else pause_s)


def _take_lease(connection: Any, name: str) -> bool:
    with connection.cursor() as cursor:
        key = zlib.crc32(name.encode()) & 0x7FFFFFFF
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LEASE_NAMESPACE, key))
        return bool(cursor.fetchone()[0])


_NOTE_RUN = """
INSERT INTO agent_runs (name, host, process_id, last_run, next_run, duration_ms, cycle_count, last_error, last_error_time)
VALUES (%(name)s, %(host)s, %(process_id)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(period_s)s),
        %(duration_ms)s, %(cycles)s, %(error)s, CASE WHEN %(error)s <> '' THEN clock_timestamp() END)
ON CONFLICT (name) DO UPDATE SET
    host = excluded.host, process_id = excluded.process_id, last_run = excluded.last_run, next_run = excluded.next_run,
    duration_ms = excluded.duration_ms, cycle_count = agent_runs.cycle_count + excluded.cycle_count,
    last_error = excluded.last_error,
    last_error_time = coalesce(excluded.last_error_time, agent_runs.last_error_time)
"""


def _note_run(connection: Any, agent: Agent, duration_s: float, cycles: int, error: Exception | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _NOTE_RUN,
            {
                "name": agent.name,
                "host": socket.gethostname(),
                "process_id": os.getpid(),
                "period_s": agent.period_s,
                "duration_ms": int(duration_s * 1000),
                "cycles": cycles,
                "error": str(error) if error else "",
            },
        )


def agents_here() -> frozenset[str]:
    """Names of the agents that this process was started with, whoever has their leases."""
    return frozenset(_here)


def run_loops(agents: list[Agent], database: Database, stop: threading.Event) -> None:
    """Run every agent in a thread of its own until `stop` is set, then wait for their cycles to end."""
    _here.update(agent.name for agent in agents)
    loops = [AgentLoop(agent, database, stop) for agent in agents]
    for loop in loops:
        loop.start()
    stop.wait()
    for loop in loops:
        loop.join(timeout=10)
