"""One step of a simulation: jobs end, people submit, agents work, pilots ask. Knows the order and the tables it sets up.

Decides nothing itself: brokerage, shares, limits and dispatch are those of the system under trial.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from core.agents import Agent, core_agents
from core.configuration import Settings, Timeouts
from core.database import Database
from core.dispatch.acquire import QUEUES_WITH_DISPATCH
from core.queues import set_endpoint, set_queue
from core.shares import usage
from core.simulation.clock import VirtualClock
from core.simulation.description import Description, QueueChange
from core.simulation.grid import Grid, SimulatedQueue, changes_by_tick
from core.simulation.pilots import Pilots, in_batches
from core.simulation.record import Recorder
from core.simulation.standing import SharesInUse
from core.simulation.workload import Fate, Workload, job_of
from core.taskbuffer.submission import insert_jobs

AGENTS = ("account_keeper", "massage", "rebroker", "watchdog")
"""Those of the core's agents that decide about waiting jobs, beside brokerage and shares; each in its period, or
more seldom (`agent_period_s`)."""

_NEVER_S = 1e9
_AT_ONCE = 2000
_STORAGE = "SIMULATED_DISK"
_CONTACT_S = 3600

# ix_jobs_live_unready
_UNTRIED = """
SELECT 1 FROM jobs_live WHERE job_status = 'defined'
  AND (brokerage_time IS NULL OR brokerage_time < clock_timestamp() - make_interval(secs => %(retry_s)s)) LIMIT 1
"""

# ix_jobs_live_status
_ACTIVATED = (
    "SELECT computing_site, count(*) AS n FROM jobs_live WHERE job_status = 'activated' GROUP BY computing_site"
)

# ix_jobs_archive_time
_GONE = """
SELECT j.panda_id, j.job_status, j.brokerage_error_diag AS reason, coalesce(d.binding_step, '') AS binding_step
FROM jobs_archive j LEFT JOIN job_brokerage b USING (panda_id) LEFT JOIN brokerage_decisions d USING (decision_id)
WHERE j.state_change_time >= clock_timestamp() AND j.job_status IN ('closed', 'cancelled', 'failed')
"""

# ix_jobs_live_status; at the end of the run only
_UNMATCHED = """
SELECT j.job_name AS work, j.job_status AS status, j.brokerage_error_diag AS reason, count(*) AS jobs,
       coalesce(d.binding_step, '') AS binding_step
FROM jobs_live j LEFT JOIN job_brokerage b USING (panda_id) LEFT JOIN brokerage_decisions d USING (decision_id)
WHERE j.job_status IN ('defined', 'assigned', 'waiting', 'throttled')
GROUP BY 1, 2, 3, 5 ORDER BY jobs DESC, work LIMIT 1000
"""


# ix_jobs_live_status; at the end of the run only
_AT_QUEUES = """
SELECT job_name AS work, job_status AS status, computing_site AS queue, count(*) AS jobs FROM jobs_live
WHERE job_status = 'activated' AND computing_site = ANY(%(queues)s)
GROUP BY 1, 2, 3 ORDER BY jobs DESC, work, queue LIMIT 1000
"""


@dataclass(frozen=True)
class Unmatched:
    """Jobs that nobody could run when the time was over, and what stood in the way."""

    work: str
    status: str
    jobs: int
    binding_step: str
    """The criterion of brokerage that left no queue."""
    reason: str


class Stepper:
    """The state of a run between two ticks, and how it comes from one to the next."""

    def __init__(self, description: Description, database: Database, clock: VirtualClock, directory: Path) -> None:
        self.description = description
        self.grid = Grid.of(description)
        self.workload = Workload(description)
        self.recorder = Recorder(round(description.steady_after_hours * 3600 / description.tick_s))
        self.seconds: dict[str, float] = defaultdict(float)
        self._database = database
        self._clock = clock
        self._pilots = Pilots(database, clock, description)
        self._shares = SharesInUse(database)
        self._changes = changes_by_tick(description)
        self._fates: dict[int, Fate] = {}
        self._running: dict[int, str] = {}
        """PandaID of a job in a slot -> its share."""
        agents = {agent.name: agent for agent in core_agents(database, _settings(description, directory, database.url))}
        self._setupper = agents["setupper"]
        self._agents = [agents[name] for name in AGENTS if name in agents]
        self._next_runs = dict.fromkeys(AGENTS, 0.0)
        self._given: dict[str, int] = defaultdict(int)
        self._next_contacts = 0.0
        self._unmatched: Counter[tuple[str, str, str, str]] = Counter()

    def prepare(self) -> None:
        """Enter queues and shares as described."""
        self._shares.enter(self.description.share_nodes)
        set_endpoint(self._database, _STORAGE, mover="cp", path="/simulated")
        for queue in self.grid.queues.values():
            kind = queue.kind
            limits = {name: getattr(kind, name) for name in ("status", "max_ram_mb", "max_disk_mb", "max_walltime_s")}
            parameters = {"type": "unified", "corepower": kind.power, **kind.parameters}
            set_queue(
                self._database,
                queue.name,
                {**limits, "max_core_count": kind.cores, "storage_endpoint": _STORAGE, "parameters": parameters},
            )

    def step(self, tick: int) -> None:
        """Everything that happens at one moment."""
        self._clock.move_to(self.description.start + timedelta(seconds=tick * self.description.tick_s))
        with self._timed("endings"):
            self._end_jobs(tick)
        for name, change in self._changes.get(tick, ()):
            self._change(name, change)
        with self._timed("submission"):
            self._submit(tick)
        with self._timed("brokerage"):
            self._broker()
        self._run_agents(tick)
        with self._timed("use of shares"):
            usage.refresh(self._database)
            self._shares.read()
        with self._timed("dispatch"):
            started = self._dispatch(tick)
        with self._timed("reports of starts"):
            self._pilots.report_running(sorted(started))
        self.recorder.sample(
            tick, self.grid.queues.values(), self._shares.states(), work_waits=any(self.workload.waiting.values())
        )

    def unmatched(self) -> list[Unmatched]:
        """What was given up without a start, and what waits at the end and has no queue."""
        gone = [
            Unmatched(work, status, jobs, step, reason)
            for (work, status, step, reason), jobs in self._unmatched.most_common(1000)
        ]
        return gone + [Unmatched(**row) for row in self._database.fetch(_UNMATCHED)] + self._without_slots()

    def _without_slots(self) -> list[Unmatched]:
        """What is ready for pilots that nobody starts."""
        shut = {queue.name: queue for queue in self.grid.queues.values() if not queue.gives_work or not queue.slots}
        rows = self._database.fetch(_AT_QUEUES, {"queues": sorted(shut)})
        return [
            Unmatched(row["work"], row["status"], row["jobs"], "", f"{row['queue']} {shut[row['queue']].trouble}")
            for row in rows
        ]

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - started

    def _change(self, name: str, change: QueueChange) -> None:
        self.grid.queues[name].apply(change)
        if change.status:
            set_queue(self._database, name, {"status": change.status})

    def _end_jobs(self, tick: int) -> None:
        finished: list[int] = []
        failed: list[int] = []
        for panda_id, name in self.grid.ended(tick):
            fate, share = self._fates.pop(panda_id, None), self._running.pop(panda_id, None)
            if fate is None or share is None:
                continue
            queue = self.grid.queues[name]
            self._shares.ended(share, fate.work.cores * queue.kind.power)
            has_failed = fate.fails_at(queue.failure_rate)
            (failed if has_failed else finished).append(panda_id)
            core_ticks = fate.work.cores * fate.ticks_at(queue.failure_rate)
            self.recorder.ended(fate, share, name, tick, core_ticks, failed=has_failed)
            if has_failed and not self.workload.try_again(fate, tick):
                self.recorder.given_up += 1
        self._pilots.report_ends(finished, failed)

    def _submit(self, tick: int) -> None:
        for fates in in_batches(self.workload.due(tick), _AT_ONCE):
            with self._database.transaction() as transaction:
                panda_ids = insert_jobs(transaction, self._shares.tagged(transaction, [job_of(fate) for fate in fates]))
            self._fates.update(zip(panda_ids, fates, strict=True))
            self.recorder.submitted(fates)

    def _broker(self) -> None:
        """Until every job that is due was looked at once: the agent pauses for less than a tick."""
        while self._database.fetch_one(_UNTRIED, {"retry_s": self.description.settings.brokerage.retry_s}) is not None:
            self._setupper.cycle()

    def _run_agents(self, tick: int) -> None:
        now_s = tick * self.description.tick_s
        for agent in self._agents:
            if now_s >= self._next_runs[agent.name]:
                self._next_runs[agent.name] = now_s + max(agent.period_s, self.description.agent_period_s)
                with self._timed(agent.name):
                    _until_idle(agent)
        self._take_back(tick)

    def _take_back(self, tick: int) -> None:
        """Jobs that agents have just ended before they could start; the task engine would make them anew."""
        for row in self._database.fetch(_GONE):
            fate = self._fates.pop(row["panda_id"], None)
            if fate is None or self._running.pop(row["panda_id"], None) is not None:
                continue
            self.workload.waiting[fate.work.name] -= 1
            self.recorder.closed += 1
            if not self.workload.try_again(fate, tick):
                self._unmatched[(fate.work.name, row["job_status"], row["binding_step"], row["reason"])] += 1

    def _dispatch(self, tick: int) -> list[int]:
        """Pilots of every queue with free slots ask, in an order that changes; PandaIDs of the jobs that started."""
        activated = {row["computing_site"]: row["n"] for row in self._database.fetch(_ACTIVATED)}
        queues = [queue for queue in self.grid.queues.values() if queue.status in QUEUES_WITH_DISPATCH]
        left = {queue.name: min(queue.free_slots, activated.get(queue.name, 0)) for queue in queues}
        requests = self._pilots.requests(left)
        random.Random(f"{self.description.seed}/{tick}").shuffle(requests)
        started: list[int] = []
        taken: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
        for name in requests:
            queue = self.grid.queues[name]
            found, has_more = self._pilots.ask(queue, left[name])
            left[name] = left[name] - len(found) if has_more else 0
            for job in found:
                self._start(job["panda_id"], job["gshare"], queue, tick)
                started.append(job["panda_id"])
                jobs, power = taken[name].get(job["gshare"], (0, 0.0))
                taken[name][job["gshare"]] = (jobs + 1, power + job["core_count"] * queue.kind.power)
                self._given[name] += 1
        if self.recorder.is_steady(tick):
            self.recorder.chances.note_round(self._shares.waiting(), taken)
        self._note_contacts(tick, queues)
        return started

    def _start(self, panda_id: int, share: str, queue: SimulatedQueue, tick: int) -> None:
        fate = self._fates[panda_id]
        self.workload.waiting[fate.work.name] -= 1
        self._running[panda_id] = share
        self._shares.started(share, fate.work.cores * queue.kind.power)
        self.grid.start(panda_id, queue.name, fate.work.cores, tick + fate.ticks_at(queue.failure_rate))
        self.recorder.started(fate, share, queue.name, tick)
        if self.recorder.is_steady(tick):
            power = fate.work.cores * queue.kind.power
            self.recorder.chances.note_start(share, power, passes=fate.passes_shares)

    def _note_contacts(self, tick: int, queues: list[SimulatedQueue]) -> None:
        """That pilots call is written down now and then: a queue without is avoided by brokerage."""
        if tick * self.description.tick_s < self._next_contacts:
            return
        self._next_contacts = tick * self.description.tick_s + _CONTACT_S
        for queue in queues:
            if queue.slots:
                self._pilots.note_contact(queue, self._given.pop(queue.name, 0))


def _until_idle(agent: Agent) -> None:
    while agent.cycle():
        pass


def _settings(description: Description, directory: Path, url: str) -> Settings:
    """Those under trial; the pilots of the grid never fall silent, so nobody need hear them."""
    tried = description.settings
    return Settings(
        data=directory,
        database_url=url,
        timeouts=Timeouts(heartbeat_s=_NEVER_S, running_total_s=_NEVER_S),
        **{name: getattr(tried, name) for name in type(tried).model_fields},
    )
