"""A running system with normal work in it, and sixteen faults to be injected into it: each has to become one incident.

Real pilots where the node, the payload or the storage is at fault, the exact HTTP of pilots where many nodes are. Shared by
tests/logger/test_campaign.py, which asserts, and bench/campaign.py, which prints the table. Knows no rule and no verdict.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zlib import adler32

import httpx
import psycopg2
from sqlalchemy import make_url

from core.agents.base import Agent
from core.clock import utc_now
from core.configuration import Settings
from core.database import Database
from core.dataservice.catalogue import NewCatalogueFile, NewReplica, register_dataset
from core.queues import set_endpoint, set_queue
from logger.agents import build_agents
from logger.handler import attach
from tests.logger.builders import end_jobs
from tests.support.builders import make_task
from tests.support.nursery import Nursery, nursery
from tests.support.system import RunningSystem, eventually, running_system
from tests.support.traffic import TrafficPilot

QUEUES = ("A", "B", "C1", "C2", "D", "E", "F", "G", "H")
OVERRIDES: dict[str, Any] = {
    "timeouts": {"heartbeat_s": 10},
    "token_lifetime_s": 3600,
}
"""What only shortens waits. A pilot that says something every second is not lost in a pause of the machine."""
SHORT_LIMITS = {
    "silent_queue": {"limit_s": 6},
    "transfer_stuck": {"limit_s": 3, "times_usual": 3, "min_jobs": 3},
    "agents_late": {"limit_s": 3},
}
"""Parameters of rules that say how long something must last."""


class HeldAgent(Agent):
    """An agent that somebody can stop in the middle of its work."""

    name = "campaign_agent"
    period_s = 0.2

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.may_go.set()

    def cycle(self) -> int:
        """Wait until it may go."""
        self.may_go.wait()
        return 0


@dataclass
class Stage:
    """The running system of one campaign."""

    system: RunningSystem
    directory: Path
    nursery: Nursery
    held_agent: HeldAgent
    pilots: httpx.Client
    begin: datetime = field(default_factory=utc_now)
    """When the present fault was injected."""
    repairs: list[Callable[[], None]] = field(default_factory=list)
    """What makes good what a fault left behind, so that the next one is alone."""

    def repair(self) -> None:
        """Make good."""
        while self.repairs:
            self.repairs.pop()()

    @property
    def database(self) -> Database:
        """A door past the API."""
        return self.system.database

    def traffic(self, queue: str, node: str) -> TrafficPilot:
        """A pilot that is HTTP alone."""
        return TrafficPilot(self.pilots, queue, node)

    def pilot(self, queue: str, node: str, *, token: str = "", jobs: int = 0, **environment: str) -> int:
        """A real pilot of a queue, playing a node; returns its process id."""
        work = self.directory / f"{queue}-{node}-{time.monotonic_ns()}"
        work.mkdir(parents=True)
        words = ["--queue", queue, "--wait", "0.2", "--requests", "60", "--max-jobs", str(jobs), "--heartbeat", "1"]
        known = {
            "PANDA_URL": self.system.url,
            "PANDA_TOKEN": token or self.system.token("pilot", "pilot"),
            "PANDA_HOSTNAME": node,
        }
        words += ["--scratch-min", "1", "--work-dir", str(work)]
        return self.nursery.pilot(words, {**known, **environment}, work / "log")

    def task(self, user: str, queue: str, jobs: int, command: str = "true", **parameters: Any) -> int:
        """A task of so many jobs, without input unless named, pinned to a queue; waits until its jobs can be taken."""
        known = {"taskName": f"{user}.{time.monotonic_ns()}", "skipScout": True, "maxAttempt": 1, "loopingLimit": 3600}
        size = {} if "inputDataset" in parameters else {"nJobs": jobs}
        task_id = make_task(
            self.database, user=user, site=queue, jobParameters=command, **{**known, **size, **parameters}
        )
        self.wait_for_jobs(task_id, jobs)
        return task_id

    def wait_for_jobs(self, task_id: int, count: int) -> None:
        """Until so many jobs of a task are with its queue."""
        statement = """SELECT count(*) AS n FROM jobs_live WHERE jedi_task_id = %(id)s
                       AND job_status IN ('activated', 'sent', 'starting', 'running', 'holding')"""
        eventually(
            lambda: (self.database.fetch_one(statement, {"id": task_id}) or {"n": 0})["n"] >= count,
            what=f"task {task_id} has {count} jobs",
        )

    def wait_for_failures(self, *queues: str, count: int) -> None:
        """Until so many jobs have failed at these queues since the fault was injected."""
        statement = """SELECT count(*) AS n FROM jobs_archive WHERE computing_site = ANY(%(queues)s)
                       AND job_status = 'failed' AND state_change_time > %(begin)s"""
        values = {"queues": list(queues), "begin": self.begin}
        eventually(
            lambda: (self.database.fetch_one(statement, values) or {"n": 0})["n"] >= count,
            timeout_s=60,
            what=f"{count} jobs fail at {', '.join(queues)}",
        )

    def dataset(self, owner: str, name: str, endpoint: str, count: int) -> list[Path]:
        """A dataset of real files at an endpoint."""
        root = self.storage(endpoint) / name
        root.mkdir(parents=True)
        files, paths = [], []
        for number in range(count):
            content = f"event {number} of {name}\n".encode() * 20
            path = root / f"{name}.{number:02}.dat"
            path.write_bytes(content)
            paths.append(path)
            replica = NewReplica(endpoint, str(path))
            files.append(NewCatalogueFile(path.name, len(content), f"ad:{adler32(content):08x}", replicas=[replica]))
        register_dataset(
            self.database, name=name, scope=f"user.{owner}", kind="input", owner=owner, vo="testvo", files=files
        )
        return paths

    def storage(self, endpoint: str) -> Path:
        """The directory behind an endpoint."""
        return self.directory / "grid" / endpoint

    def incidents(self) -> list[dict[str, Any]]:
        """All opened incidents, resolved ones too, as the API tells them."""
        reader = self.system.client("shifter", "operator")
        answer = reader.get("/api/monitor/incidents", params={"state": "*", "limit": 500, "facets": 0}).json()
        return list(answer["incidents"])

    def detail(self, incident_id: int) -> dict[str, Any]:
        """One incident."""
        reader = self.system.client("shifter", "operator")
        return dict(reader.get(f"/api/monitor/incident/{incident_id}").json())


@contextmanager
def stage(database_url: str, directory: Path) -> Iterator[Stage]:
    """The system with its queues, its rules' limits shortened, and what had run there before."""
    agent = HeldAgent()

    def agents(database: Database, settings: Settings) -> list[Agent]:
        return [*build_agents(database, settings), agent]

    with running_system(database_url, directory, further_agents=agents, **OVERRIDES) as system, nursery() as nurse:
        made = Stage(system, directory, nurse, agent, system.client("pilot", "pilot"))
        for name in QUEUES:
            endpoint = "C_DISK" if name in ("C1", "C2") else f"{name}_DISK"
            path = made.storage(endpoint)
            path.mkdir(parents=True, exist_ok=True)
            set_endpoint(system.database, endpoint, mover="cp", path=str(path))
            set_queue(system.database, name, {"storage_endpoint": endpoint})
        for rule, limits in SHORT_LIMITS.items():
            system.database.execute(
                "UPDATE incident_rules SET parameters = parameters || %(limits)s::jsonb WHERE name = %(rule)s",
                {"rule": rule, "limits": limits},
            )
        normal_work(system.database)
        # as the server's processes report (pandascope/supervisor/reporting.py)
        handler = attach(system.url, lambda: system.token("server", "admin"), "server")
        try:
            yield made
        finally:
            logging.getLogger().removeHandler(handler)
            handler.close()
            agent.may_go.set()


def normal_work(database: Database) -> None:
    """What ended in the last twenty minutes: 400 jobs of five users over all queues and five nodes each."""
    users = ("ann", "bob", "cid", "dan", "eve")
    cell = 0
    with database.transaction() as transaction:
        for queue in QUEUES[:8]:
            for node in range(5):
                for turn in range(2):
                    user = users[(node + turn + cell) % 5]
                    end_jobs(
                        transaction,
                        5,
                        status="finished",
                        site=queue,
                        user=user,
                        task=10_900_000 + cell % 10,
                        host=f"{queue.lower()}wn{node}",
                        code=0,
                        diag="",
                        exit_code=0,
                        ago_s=60 + 14 * cell,
                        timing="0|1|30|1|0|0",
                    )
                    cell += 1


@dataclass(frozen=True)
class Fault:
    """One kind of trouble, how it comes into being, and what has to become of it."""

    name: str
    inject: Callable[[Stage], None]
    """Returns when the evidence is there; what must last longer goes on in threads of its own."""
    kind: str
    verdict: str
    value: str
    """What the verdict names; empty where it names nothing. A task is `task`."""
    line: str
    """A regular expression for the culprit line."""
    step: str = ""
    error_class: str = ""

    def fits(self, incident: dict[str, Any]) -> bool:
        """Whether an incident is this one, by what it is about; its verdict may still be on its way."""
        return incident["kind"] == self.kind and re.search(self.line, incident["culprit_line"]) is not None


def failing(pilot: TrafficPilot, jobs: Sequence[dict[str, Any]], code: int, diag: str, **said: Any) -> None:
    """Each job starts and fails."""
    for job in jobs:
        pilot.heartbeat(job)
        pilot.fail(job, code, diag, **said)


_EXIT = "Failed to execute payload: exit code {}"


# --- faults of nodes and sites


def bad_node(stage: Stage) -> None:
    """One node of queue A lacks a program; whatever fails there is tried again elsewhere."""
    stage.task("ann", "A", 24, "calibrate", maxAttempt=3, maxFailure=3)
    stderr = "./run.sh: line 1: calibrate: command not found\n"
    bad = stage.traffic("A", "wn042")
    failing(bad, bad.take(12), 1305, _EXIT.format(127), exit_code=127, stderr=stderr)
    good = stage.traffic("A", "wn041")
    good.run(good.take(24))


def full_disk(stage: Stage) -> None:
    """A real pilot whose node has a full disk."""
    stage.task("bob", "A", 8, 'head -c 9000 /dev/zero > made; cp made "${NODE_DISK:-out.bin}"')
    stage.pilot("A", "wn044", jobs=8, NODE_DISK="/dev/full")
    stage.wait_for_failures("A", count=6)


def broken_release(stage: Stage) -> None:
    """Whatever uses a release fails at one site, whoever runs it and on whichever node."""
    stderr = (
        "Setting up release 24.2.10\n./sim: error while loading shared libraries: libCore.so.6.28: "
        "cannot open shared object file: No such file or directory\n"
    )
    for user in ("ann", "bob", "cid", "cid"):
        stage.task(user, "B", 9, "./sim")
    for node in range(6):
        pilot = stage.traffic("B", f"bwn{node}")
        failing(pilot, pilot.take(6), 1305, _EXIT.format(127), exit_code=127, stderr=stderr)


def black_hole(stage: Stage) -> None:
    """A node takes whatever there is and fails it at once; other nodes do it later."""
    stage.task("eve", "G", 40, "true", maxAttempt=3, maxFailure=3)
    line = "ls: cannot access '/cvmfs/sw.example.org': Transport endpoint is not connected"
    hole = stage.traffic("G", "wn099")
    failing(hole, hole.take(30), 1305, _EXIT.format(2), exit_code=2, stderr=f"setting up\n{line}\n")
    good = stage.traffic("G", "gwn1")
    good.run(good.take(40))


def lost_heartbeats(stage: Stage) -> None:
    """Real pilots whose nodes go away with their payloads."""
    for user in ("dan", "ann"):
        stage.task(user, "E", 2, "sleep 600")
    pids = [stage.pilot("E", f"ewn{node}") for node in range(4)]
    running = "SELECT count(*) AS n FROM jobs_live WHERE computing_site = 'E' AND job_status = 'running'"
    eventually(lambda: (stage.database.fetch_one(running) or {"n": 0})["n"] == 4, what="four payloads run")
    for pid in pids:
        os.killpg(pid, signal.SIGKILL)
    stage.wait_for_failures("E", count=4)


# --- faults of users and tasks


def users_bug(stage: Stage) -> None:
    """One user's program is wrong, in three tasks at four queues, while others' work finishes beside it."""
    program = "python3 -c \"import sys; d = {}; d['pt_cut']\""
    for queue in ("C1", "D", "E"):
        stage.task("mallory", queue, 4, program)
        stage.pilot(queue, f"{queue.lower()}wn7", jobs=4)
    stage.wait_for_failures("C1", "D", "E", count=6)


def memory_leak(stage: Stage) -> None:
    """One task's program grows until it is refused memory, at two queues."""
    stderr = (
        'Traceback (most recent call last):\n  File "leak.py", line 9, in <module>\n    grow()\n'
        '  File "leak.py", line 5, in grow\n    held.append(bytearray(10_000_000))\nMemoryError\n'
    )
    task_id = stage.task("ann", "", 10, "python3 leak.py", includedSite="D,F")
    failed = 0

    def has_failed() -> bool:
        nonlocal failed
        for queue in ("D", "F"):
            pilot = stage.traffic(queue, f"{queue.lower()}wn3")
            mine = [job for job in pilot.acquire(20) if job["taskID"] == task_id]
            failing(pilot, mine, 1305, _EXIT.format(1), exit_code=1, stderr=stderr)
            failed += len(mine)
        return failed == 10

    eventually(has_failed, what="all jobs of the task fail")


# --- faults of data


def storage_down(stage: Stage) -> None:
    """The storage that two queues share is gone: nothing can be stored there."""
    there, away = stage.storage("C_DISK"), stage.storage("C_DISK.away")
    shutil.move(there, away)
    there.write_text("not a directory")

    def bring_back() -> None:
        there.unlink()
        shutil.move(away, there)

    stage.repairs.append(bring_back)
    for user, queue in (("ann", "C1"), ("bob", "C1"), ("cid", "C2"), ("dan", "C2")):
        stage.task(user, queue, 3, "echo done > o.txt", outputs=["o.txt"])
    for queue in ("C1", "C2"):
        for node in range(3):
            stage.pilot(queue, f"{queue.lower()}wn{node}", jobs=2)
    stage.wait_for_failures("C1", "C2", count=8)


def missing_input(stage: Stage) -> None:
    """Files of a dataset are in the catalogue and not in the storage."""
    for path in stage.dataset("dan", "user.dan.lost", "E_DISK", 6):
        path.unlink()
    stage.task("dan", "E", 6, "wc %IN", inputDataset="user.dan.lost", nFilesPerJob=1)
    for node in range(2):
        stage.pilot("E", f"ewn{node}", jobs=3)
    stage.wait_for_failures("E", count=4)


def checksum_mismatch(stage: Stage) -> None:
    """Files of a dataset that two users read have changed on disk."""
    for path in stage.dataset("cid", "user.cid.flipped", "F_DISK", 4):
        content = bytearray(path.read_bytes())
        content[3] ^= 0xFF
        path.write_bytes(bytes(content))
    for user in ("cid", "eve"):
        stage.task(user, "F", 4, "wc %IN", inputDataset="user.cid.flipped", nFilesPerJob=1)
    for node in range(2):
        stage.pilot("F", f"fwn{node}", jobs=4)
    stage.wait_for_failures("F", count=6)


def slow_transfer(stage: Stage) -> None:
    """Jobs that stage in and stage in, where others took a second."""
    stage.dataset("bob", "user.bob.slow", "D_DISK", 4)
    stage.task("bob", "D", 4, "wc %IN", inputDataset="user.bob.slow", nFilesPerJob=1)
    pilot = stage.traffic("D", "dwn2")
    jobs = pilot.take(4)
    stop = threading.Event()

    def stage_in() -> None:
        for _ in range(60):
            for job in jobs:
                pilot.heartbeat(job, "starting")
            if stop.wait(0.5):
                return

    for job in jobs:
        pilot.heartbeat(job, "starting")
    transfer = threading.Thread(target=stage_in, daemon=True)
    transfer.start()

    def go_on() -> None:
        stop.set()
        transfer.join(10)
        pilot.run(jobs)

    stage.repairs.append(go_on)
    time.sleep(SHORT_LIMITS["transfer_stuck"]["limit_s"])


# --- faults of services

_STALLED_S = 6.0
"""A lock that is held for so long is a trouble: limit_s and for_s of the rule database_slow."""


def central_stall(stage: Stage) -> None:
    """Somebody locks the table of live jobs while pilots report."""
    address = make_url(stage.system.settings.database_url).set(drivername="postgresql")
    is_locked, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        connection = psycopg2.connect(address.render_as_string(hide_password=False))
        with connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE jobs_live IN ACCESS EXCLUSIVE MODE")
            is_locked.set()
            is_over.wait(20)
        connection.close()

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert is_locked.wait(60)
    stage.repairs += [holder.join, is_over.set]
    time.sleep(_STALLED_S)


def expired_token(stage: Stage) -> None:
    """The pilots of a queue come with a token of yesterday."""
    stage.task("eve", "F", 5, "true")
    token = stage.system.issuer.issue(user="pilot", vo="testvo", roles=["pilot"], lifetime_s=-86_400).text
    stage.pilot("F", "fwn1", token=token)
    good = stage.traffic("F", "fwn2")
    stage.repairs.append(lambda: good.run(good.take(5)))
    told = "SELECT 1 FROM log_records WHERE message LIKE 'pilots of F are refused%%'"
    eventually(lambda: stage.database.fetch(told, {}), what="a pilot has come with its token")


def silent_queue(stage: Stage) -> None:
    """A queue's pilots came, and come no more, and there is work."""
    stage.traffic("H", "hwn1").acquire()
    stage.task("dan", "H", 20)
    pilot = stage.traffic("H", "hwn1")
    stage.repairs.append(lambda: pilot.run(pilot.take(20)))
    time.sleep(SHORT_LIMITS["silent_queue"]["limit_s"])


def agent_stopped(stage: Stage) -> None:
    """A loop of the server hangs."""
    stage.held_agent.may_go.clear()
    stage.repairs.append(stage.held_agent.may_go.set)
    time.sleep(SHORT_LIMITS["agents_late"]["limit_s"])


def flood(stage: Stage) -> None:
    """One program writes twenty thousand lines as fast as it can."""
    sender = stage.system.client("gail")
    line = {"level": "INFO", "name": "loop", "component": "loop", "message": "turn", "host": "desk1"}
    for _ in range(40):
        sender.post("/api/logger/records", json={"records": [line] * 500})


FAULTS: tuple[Fault, ...] = (
    Fault("bad node", bad_node, "failure_burst", "node", "A wn042", "calibrate: command not found", "payload"),
    Fault("full disk", full_disk, "failure_burst", "node", "A wn044", "No space left on device", "payload", "disk"),
    Fault("broken software release", broken_release, "failure_burst", "site", "B", "libCore.so", "payload", "software"),
    Fault("one user's bug", users_bug, "failure_burst", "user", "mallory", "KeyError: 'pt_cut'", "payload", "user"),
    Fault("storage down", storage_down, "data", "data", "C_DISK", "Not a directory", "stage-out"),
    Fault("slow transfer", slow_transfer, "data", "data", "D_DISK", "staging in from D_DISK", "stage-in", "storage"),
    Fault("lost heartbeats", lost_heartbeats, "failure_burst", "site", "E", "(?i)lost heartbeat", "heartbeat", "node"),
    Fault(
        "central database stall", central_stall, "service", "central", "", "LOCK TABLE jobs_live|database", "service"
    ),
    Fault("expired token", expired_token, "service", "site", "F", "token has expired", "service", "auth"),
    Fault("black-hole node", black_hole, "failure_burst", "node", "G wn099", "Transport endpoint", "setup", "software"),
    Fault("missing input", missing_input, "data", "data", "user.dan.lost", "No such file|does not exist", "stage-in"),
    Fault("memory leak", memory_leak, "failure_burst", "task", "task", "MemoryError", "payload", "memory"),
    Fault("checksum mismatch", checksum_mismatch, "data", "data", "user.cid.flipped", "adler32", "stage-in", "data"),
    Fault("queue without pilots", silent_queue, "absence", "site", "H", "last request for work", "service"),
    Fault("agent stopped", agent_stopped, "service", "central", "", "campaign_agent", "service", "central"),
    Fault("flood of records", flood, "service", "central", "", "gail", "service"),
)


@dataclass(frozen=True)
class Result:
    """What became of one fault."""

    fault: Fault
    incident: dict[str, Any] | None
    seconds: float
    """From the evidence to the incident with the right verdict; of a failure, how long it was waited for."""
    is_in_time: bool
    """Whether it came within the patience."""
    others: list[dict[str, Any]]
    """Incidents beside the one."""


_SLOWEST_LOOK_S = 1.0
"""What one look takes beyond that is not counted against the patience: the machine paused, and with it what should have
seen the fault."""
_LATE_S = 1.5
"""After which the loops go round once more before nothing is late any more."""
# of loops that go round every few seconds: the others look after the house
_LAST_RUNS = "SELECT min(last_run) AS first FROM agent_runs WHERE next_run - last_run < interval '3 seconds'"


def try_out(stage: Stage, fault: Fault, within_s: float = 10.0) -> Result:
    """Inject a fault and see what becomes of it; what it left behind is made good afterwards. `within_s`: the patience."""
    before = {incident["incident_id"] for incident in stage.incidents()}
    stage.begin = utc_now()
    fault.inject(stage)
    waited, begin = 0.0, time.monotonic()
    seen = begin
    try:
        found, fresh = None, []
        while waited < within_s:
            fresh = [one for one in stage.incidents() if one["incident_id"] not in before]
            found = next((one for one in fresh if fault.fits(one) and _is_judged(fault, one)), None)
            looked = time.monotonic() - seen
            waited, seen = waited + min(looked, _SLOWEST_LOOK_S), seen + looked
            if found is not None:
                break
            time.sleep(0.1)
    finally:
        stage.repair()
    # what comes late is seen too
    late = utc_now() + timedelta(seconds=_LATE_S)
    eventually(lambda: stage.database.fetch(_LAST_RUNS, {})[0]["first"] > late, what="every loop goes round again")
    fresh = [one for one in stage.incidents() if one["incident_id"] not in before]
    shown = found or next((one for one in fresh if fault.fits(one)), None)
    if shown is not None:
        shown = next(one for one in fresh if one["incident_id"] == shown["incident_id"])
    others = [one for one in fresh if shown is None or one["incident_id"] != shown["incident_id"]]
    return Result(fault, shown, seen - begin, found is not None, others)


def _is_judged(fault: Fault, incident: dict[str, Any]) -> bool:
    if incident.get("verdict") != fault.verdict:
        return False
    value = str(incident.get("verdict_value", ""))
    return value.isdecimal() if fault.value == "task" else value == fault.value
