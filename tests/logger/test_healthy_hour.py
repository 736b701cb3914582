"""An hour of a healthy installation in virtual time: everything that is normal happens, and nobody is told of anything.

Production code throughout: tasks, brokerage, dispatch, reports, the agents of the core and of the incident store with their
rules as installed; the clock alone is virtual.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.agents import Agent, core_agents
from core.configuration import Settings
from core.database import Database
from core.dispatch.acquire import SlotOffer, acquire_jobs
from core.dispatch.contacts import ContactBook
from core.dispatch.update import JobReport, PilotReports
from core.queues import set_queue
from core.simulation.clock import VirtualClock
from core.simulation.scratch import scratch_database
from core.taskbuffer.killing import Killer
from logger.agents import build_agents
from logger.store import IncidentStore
from tests.logger.builders import record
from tests.support.builders import jobs_of_task, kill_task, make_queue, make_task, outputs_of, stored


@pytest.fixture(autouse=True)
def probes_without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is probed a hundred times in this hour; the pauses between probes are real time."""
    monkeypatch.setattr("logger.rules.database._PAUSE_S", 0.0)


START = datetime(2026, 11, 24, 9, tzinfo=UTC)
QUEUES = ("N1", "N2", "N3", "N4", "N5", "N6")
USERS = ("ann", "bob", "cid", "dan", "eve")
SLOTS = 8
_NOT_HERE = ("partitions", "cache_cleaner", "factory_news", "record_days")
"""What keeps house once an hour."""


@dataclass
class Hour:
    """The installation and what runs in its slots."""

    database: Database
    clock: VirtualClock
    agents: list[Agent]
    chance: random.Random
    store: IncidentStore
    running: dict[str, dict[int, tuple[int, str]]] = field(default_factory=lambda: defaultdict(dict))
    """Queue -> PandaID -> (minute of its end, node)."""
    failed: set[int] = field(default_factory=set)
    broken_node: str = ""
    contacts: ContactBook = field(default_factory=lambda: ContactBook(period_s=0))

    def minute(self, number: int) -> None:
        """One minute: jobs end, agents work, pilots ask, programs talk."""
        self.clock.move_to(START + timedelta(minutes=number))
        self._end(number)
        self._work()
        for queue in QUEUES:
            self._ask(queue, number)
        self._work()
        talk = [record("a turn", level="INFO"), record("slow answer", level="WARNING", component="mover")]
        late = (self.clock.now() - timedelta(seconds=20)).isoformat()
        self.store.ingest_records({"records": [*talk, record("turn", level="INFO", time=late)]}, "desk")

    def _work(self) -> None:
        for agent in self.agents:
            for _ in range(50):
                if not agent.cycle():
                    break

    def _ask(self, queue: str, number: int) -> None:
        free = SLOTS - len(self.running[queue])
        node = f"{queue.lower()}wn{self.chance.randrange(5)}"
        offer = SlotOffer(queue, "user", job_count=max(1, free), node=node)
        taken = acquire_jobs(self.database, offer) if free else []
        self.contacts.note(self.database, offer, len(taken))
        reports = PilotReports(self.database)
        for entry in taken:
            panda_id = entry.job["panda_id"]
            reports.update_job(JobReport(panda_id, "running", node=node))
            self.running[queue][panda_id] = (number + self.chance.randint(2, 6), node)

    def _end(self, number: int) -> None:
        reports = PilotReports(self.database)
        for jobs in self.running.values():
            for panda_id, (end, node) in list(jobs.items()):
                if end > number:
                    command = reports.update_job(JobReport(panda_id, "running", node=node))
                    if command == "tobekilled":
                        reports.update_job(JobReport(panda_id, "failed", node=node, pilot_error_code=1144))
                        del jobs[panda_id]
                    continue
                del jobs[panda_id]
                if node == self.broken_node or self._fails(panda_id):
                    reports.update_job(self._failure(panda_id, node))
                else:
                    files = stored(outputs_of(self.database, panda_id))
                    reports.update_job(JobReport(panda_id, "finished", node=node, output_report=files))

    def _fails(self, panda_id: int) -> bool:
        """Two of a hundred, and never twice in a row for one input: whatever fails is well the next time."""
        row = self.database.fetch_one("SELECT attempt_nr FROM jobs_live WHERE panda_id = %(id)s", {"id": panda_id})
        return row is not None and row["attempt_nr"] == 1 and self.chance.random() < 0.02

    def _failure(self, panda_id: int, node: str) -> JobReport:
        self.failed.add(panda_id)
        if node == self.broken_node:
            return JobReport(
                panda_id, "failed", node=node, pilot_error_code=1305, pilot_error_diag="cvmfs is not there"
            )
        code, diag = self.chance.choice(
            [
                (1137, "Failed to stage-out file: o.txt: Connection reset by peer"),
                (1099, "Failed to stage-in file: in.dat: Operation timed out"),
                (1305, "Failed to execute payload: exit code 1"),
            ]
        )
        return JobReport(panda_id, "failed", node=node, pilot_error_code=code, pilot_error_diag=diag)


@contextmanager
def an_hour(postgres_url: str, directory: Path, seed: int) -> Iterator[Hour]:
    with scratch_database(postgres_url, START) as (database, clock):
        settings = Settings(data=directory, database_url=database.url)
        agents = [*core_agents(database, settings), *build_agents(database, settings, clock.now)]
        made = [agent for agent in agents if agent.name not in _NOT_HERE]
        for queue in QUEUES:
            make_queue(database, queue)
        yield Hour(database, clock, made, random.Random(seed), IncidentStore(database, clock.now))


def live_through(hour: Hour, minutes: int = 60) -> None:
    """All that happens in a normal hour beside the work itself."""
    database = hour.database
    for number in range(minutes):
        if not 30 <= number < 45:  # a quiet quarter of an hour
            user = USERS[number % 5]
            make_task(
                database,
                user=user,
                site="",
                nJobs=18,
                jobParameters="true",
                skipScout=True,
                maxAttempt=4,
                maxFailure=4,
                taskName=f"{user}.{number}",
            )
        if number == 20:
            set_queue(database, "N6", {"status": "brokeroff"})
        if number == 26:
            set_queue(database, "N6", {"status": "online"})
        if number == 12:
            task_id = database.fetch("SELECT max(jedi_task_id) AS id FROM tasks")[0]["id"]
            if jobs_of_task(database, task_id):
                kill_task(database, task_id, Killer("ops", True))
        hour.minute(number)


def opened(database: Database) -> list[dict[str, object]]:
    return database.fetch(
        """SELECT kind, title, culprit_line, job_count, residue_count, opened_by FROM incidents
           WHERE opened_time IS NOT NULL ORDER BY incident_id"""
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_a_healthy_hour_opens_no_incident(postgres_url: str, tmp_path: Path, seed: int) -> None:
    with an_hour(postgres_url, tmp_path, seed) as hour:
        live_through(hour)
        ended = hour.database.fetch("SELECT job_status, count(*) AS n FROM jobs_archive GROUP BY 1")
        counts = {row["job_status"]: row["n"] for row in ended}
        assert counts["finished"] > 500 and len(hour.failed) >= 5, counts
        assert opened(hour.database) == []
        seen = hour.database.fetch("SELECT sum(job_count) AS jobs FROM incidents WHERE opened_time IS NULL")
        assert seen[0]["jobs"] == len(hour.failed), "every failure was looked at"
        assert hour.database.fetch("SELECT 1 FROM incident_changes") == []


def test_the_same_hour_with_a_broken_node_opens_one(postgres_url: str, tmp_path: Path) -> None:
    """The hour is not blind: with one node that fails everything there is an incident, and it names the node."""
    with an_hour(postgres_url, tmp_path, 3) as hour:
        hour.broken_node = "n1wn2"
        live_through(hour, 40)
        (incident,) = hour.database.fetch("SELECT verdict, verdict_value FROM incidents WHERE opened_time IS NOT NULL")
        assert (incident["verdict"], incident["verdict_value"]) == ("node", "N1 n1wn2")
