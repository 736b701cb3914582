"""Commands in any order among jobs that come and go, of tasks with scouts and tasks that merge their outputs too.

What is refused changes nothing, a task always says what it is, and left alone each comes to its end.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from core.agents.base import Agent
from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.agents.scouts import Scouts
from core.agents.task_watchdog import TaskWatchdog
from core.database import Database
from core.states import FINAL_TASK_STATUSES, GENERATING_TASK_STATUSES, TaskStatus
from core.taskbuffer.killing import KILL_CODES, Killer, kill_jobs
from core.taskengine import submit
from core.taskengine.commands.changing import increase_attempts
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import COMMANDS, run_command
from core.taskengine.making import contents, generation, pieces
from core.taskengine.status import change_status
from core.workload_settings import GenerationSettings, ScoutSettings, TaskTimes
from tests.core.taskengine.books import read_books
from tests.core.taskengine.submitting import accept, captured
from tests.support.builders import (
    acquire,
    add_up,
    broker,
    everything,
    make_dataset,
    make_queue,
    make_task,
    outputs_of,
    report,
    stored,
)

TABLES = (
    *("jobs_live", "jobs_archive", "job_history", "job_files", "job_parameters", "job_logs", "job_output_reports"),
    *("tasks", "task_datasets", "task_files", "task_history", "datasets", "files", "replicas", "queues"),
    *("storage_endpoints", "brokerage_decisions", "job_brokerage"),
)
OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "retry": st.fixed_dictionaries({"sole": st.booleans(), "keep": st.booleans(), "staged": st.booleans()}),
    "finish": st.fixed_dictionaries({"soft": st.booleans()}),
    "reassign": st.fixed_dictionaries(
        {"site": st.sampled_from(["Q", "R"]), "mode": st.sampled_from([None, "soft", "nokill"])}
    ),
    "resubmit": st.builds(lambda n: {"new_parameters": {"nFilesPerJob": n}}, st.integers(1, 3)),
    "reactivate": st.fixed_dictionaries({"keep_attempt_nr": st.booleans()}),
}
PAGE, BUNCH = 4, 2
"""Of the agents and of the door: a task of five files takes two pages, and up to three bunches."""
SCOUTS = ScoutSettings(jobs=2, recompute_after_jobs=1)
FILES = ["a", "b", "c", "d", "e"]
_DATASETS = st.sampled_from(["small", "large"])
GOALS = st.sampled_from([{}, {"goal": 50, "failGoalUnreached": True}, {"useExhausted": True}])
ORDINARY: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda known, goal: {**known, **goal},
    st.fixed_dictionaries(
        {
            **{"inputDataset": _DATASETS, "nFilesPerJob": st.integers(1, 3)},
            **{"maxFailure": st.integers(1, 2), "useScout": st.booleans()},
        }
    ),
    GOALS,
)
"""Of a task of one to five jobs."""
MERGING: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"dsForIN": _DATASETS, "nFilesPerMergeJob": st.integers(1, 3), "useScout": st.booleans()}
)
"""Of a task of the real client whose outputs are merged, a few into one."""
MOST_TASKS = 4
AGENTS = ("feeder", "generator", "scouts")
FOUND = '{"nFilesPerJob": 2}'
"""What a job that works out the definition of its task says."""
ALICE, BOB, CAROL = Issuer("alice"), Issuer("bob"), Issuer("carol", is_production=True)

_UNENDED = "SELECT 1 FROM tasks WHERE NOT status = ANY(%(rest)s)"


class Tasks(RuleBasedStateMachine):
    """Tasks of a few files each at two queues of one storage."""

    database: Database
    working: tuple[str, ...] = AGENTS
    """Agents that move tasks on, in the order of their turns."""
    tasks = Bundle("tasks")

    @initialize(target=tasks, ordinary=ORDINARY, merging=MERGING)
    def begin(self, ordinary: dict[str, Any], merging: dict[str, Any]) -> MultipleResults[int]:
        """A fresh house with a task of each kind."""
        self.build()
        return multiple(self.submit(ordinary), self.submit_merging(merging))

    def build(self) -> None:
        """Two queues, two datasets and the agents."""
        self.database.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY CASCADE")
        make_queue(self.database, "Q")
        make_queue(self.database, "R", endpoint="Q_DISK")
        make_dataset(self.database, "small", FILES[:3], at=["Q_DISK"])
        make_dataset(self.database, "large", FILES, at=["Q_DISK"])
        self.n_tasks = 0
        settings = GenerationSettings(files_per_cycle=PAGE, jobs_per_cycle=BUNCH)
        self.agents: dict[str, Agent] = {
            "feeder": Feeder(self.database, settings, 1, SCOUTS),
            "generator": Generator(self.database, settings, TaskTimes(), 1, SCOUTS),
            "scouts": Scouts(self.database, SCOUTS, 1),
            "watchdog": TaskWatchdog(self.database, TaskTimes(), 1),
        }

    @precondition(lambda self: self.n_tasks < MOST_TASKS)
    @rule(target=tasks, known=ORDINARY)
    def ordinary_task(self, known: dict[str, Any]) -> int:
        """Another one."""
        return self.submit(known)

    @precondition(lambda self: self.n_tasks < MOST_TASKS)
    @rule(target=tasks, known=MERGING)
    def merging_task(self, known: dict[str, Any]) -> int:
        """Another one."""
        return self.submit_merging(known)

    def submit(self, known: dict[str, Any]) -> int:
        """A task of the house."""
        self.n_tasks += 1
        return make_task(self.database, outputs=["o"], **known)

    def submit_merging(self, known: dict[str, Any]) -> int:
        """A task of the real client."""
        self.n_tasks += 1
        parameters = captured("files", site="Q", nFilesPerJob=1, maxFailure=2, mergeOutput=True, **known)
        parameters["taskName"] = f"user.alice.m{self.n_tasks}/"
        parameters["mergeSpec"] = captured("merge")["mergeSpec"]
        for item in parameters["jobParameters"]:
            if item.get("param_type") == "input":
                item["dataset"] = known["dsForIN"]
        return accept(self.database, parameters, user_name="alice")

    @rule(name=st.sampled_from([*AGENTS, "watchdog"]))
    def an_agent_works(self, name: str) -> None:
        """One page of every task that is listed, one bunch of every one that is made, a look at scouts, at waits."""
        if name == "watchdog":
            self.end_waits()
        self.agents[name].cycle()

    @rule(task_id=tasks)
    def an_obstacle_comes_and_goes(self, task_id: int) -> None:
        """Whatever makes jobs may be held, and what is pending is let go by the watchdog."""
        with self.database.transaction() as transaction:
            row = self.row(task_id)
            if row["status"] in GENERATING_TASK_STATUSES:
                change_status(transaction, task_id, TaskStatus.PENDING, who="test", reason="an obstacle")
            elif row["status"] == TaskStatus.PENDING:
                change_status(transaction, task_id, TaskStatus(row["old_status"]), who="test", reason="it is gone")

    @rule(count=st.integers(1, 3), code=st.sampled_from([None, *sorted(KILL_CODES)]))
    def jobs_are_killed(self, count: int, code: int | None) -> None:
        """By people, watchdogs and rebrokerage."""
        rows = self.database.fetch("SELECT panda_id FROM jobs_live ORDER BY panda_id LIMIT %(n)s", {"n": count})
        kill_jobs(self.database, [row["panda_id"] for row in rows], Killer("carol", is_manager=True), code)

    @rule(task_id=tasks, data=st.data())
    def command_that_fits(self, task_id: int, data: st.DataObject) -> None:
        """One of those that the status allows."""
        status = TaskStatus(self.row(task_id)["status"])
        fitting = sorted(name for name, command in COMMANDS.items() if status in command.accepted_in)
        if fitting:
            name = data.draw(st.sampled_from(fitting), label="command")
            self.command(task_id, name, data.draw(OPTIONS.get(name, st.just({})), label="options"), CAROL)

    @rule(task_id=tasks, name=st.sampled_from(sorted(COMMANDS)), who=st.sampled_from([ALICE, BOB]))
    def any_command(self, task_id: int, name: str, who: Issuer) -> None:
        """Fitting or not, by the owner or somebody else."""
        options = {"reassign": {"site": "R"}, "resubmit": {"new_parameters": {"nFilesPerJob": 2}}}
        self.command(task_id, name, options.get(name, {}), who)

    def command(self, task_id: int, name: str, options: dict[str, Any], who: Issuer) -> None:
        """Accepted exactly where the table says; refused without a trace."""
        before = everything(self.database)
        status = TaskStatus(self.row(task_id)["status"])
        outcome = run_command(self.database, name, task_id, who, **options)
        command = COMMANDS[name]
        accepted = command.accepted_in - (frozenset() if who.is_production else command.production_only_in)
        assert outcome.is_accepted is (who is not BOB and status in accepted), (name, status, outcome)
        if not outcome.is_accepted:
            assert everything(self.database) == before
            assert outcome.message

    @rule(task_id=tasks, increase=st.integers(0, 3))
    def give_attempts(self, task_id: int, increase: int) -> None:
        """Another way to open what failed."""
        increase_attempts(self.database, task_id, increase)

    @rule()
    def brokerage(self) -> None:
        """Whatever may be activated is."""
        while broker(self.database):
            pass

    @rule(queue=st.sampled_from(["Q", "R"]), count=st.integers(1, 3))
    def pilots_take(self, queue: str, count: int) -> None:
        """Jobs begin to run."""
        for entry in acquire(self.database, queue, label="unified", job_count=count):
            report(self.database, entry.job["panda_id"], "running")

    @rule(results=st.lists(st.sampled_from(["finished", "failed"]), min_size=1, max_size=4))
    def pilots_report(self, results: list[str]) -> None:
        """The first of the running jobs end, one per result."""
        running = self.database.fetch(
            "SELECT panda_id, special_handling FROM jobs_live WHERE job_status = 'running' ORDER BY panda_id"
        )
        for row, said in zip(running, results, strict=False):
            lfns = outputs_of(self.database, row["panda_id"])
            code = 1305 if said == "failed" else None
            found = FOUND if row["special_handling"] == "preprocess" else None
            known = {"pilot_error_code": code, "output_report": stored(lfns), "meta_data": found}
            report(self.database, row["panda_id"], said, **known)
        add_up(self.database)

    @rule(results=st.lists(st.sampled_from(["finished", "failed"]), min_size=3, max_size=6), rounds=st.integers(1, 3))
    def time_passes(self, results: list[str], rounds: int) -> None:
        """Agents, brokerage, pilots and payloads, one after the other."""
        for _ in range(rounds):
            self.everybody_works(results)

    @rule(rounds=st.integers(1, 4))
    def all_goes_well(self, rounds: int) -> None:
        """The same without a failure: the way to verdicts and merge jobs."""
        for _ in range(rounds):
            self.everybody_works(["finished"] * 6)

    def everybody_works(self, results: list[str]) -> int:
        """One round; returns what the agents did."""
        done = sum(self.agents[name].cycle() for name in self.working)
        self.brokerage()
        self.pilots_take("Q", 3)
        self.pilots_take("R", 3)
        self.pilots_report(results)
        return done

    @invariant()
    def the_books_are_right(self) -> None:
        """Whatever happened."""
        read_books(self.database).check(scouts=SCOUTS.jobs)

    def row(self, task_id: int) -> dict[str, Any]:
        """The row of a task."""
        return self.database.fetch("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})[0]

    def end_waits(self) -> None:
        """Whatever is held for a while has waited long enough."""
        self.agents["watchdog"].cycle()
        for column in ("next_try_time", "generate_at"):
            self.database.execute(f"UPDATE tasks SET {column} = clock_timestamp() WHERE {column} IS NOT NULL")

    def teardown(self) -> None:
        """Left alone, with pilots that finish whatever they get, every task ends that nobody paused."""
        for _ in range(60):
            self.the_books_are_right()
            self.end_waits()
            moved = self.agents["watchdog"].cycle() + self.everybody_works(["finished"] * 10)
            if not moved and not self.database.fetch(_UNENDED, {"rest": [*FINAL_TASK_STATUSES, "paused"]}):
                self.the_books_are_right()
                return
        books = read_books(self.database)
        ended = {*FINAL_TASK_STATUSES, "paused"}
        raise AssertionError([books.story(task) for task in books.tasks.values() if task["status"] not in ended])


def live_through(machine_class: type[Tasks], database: Database, monkeypatch: pytest.MonkeyPatch, lives: int) -> None:
    """So many lives of a machine, with small pages and bunches everywhere."""
    machine_class.database = database
    monkeypatch.setitem(contents.feed_contents.__kwdefaults__, "limit", PAGE)
    monkeypatch.setattr(generation, "JOBS_AT_ONCE", BUNCH)
    monkeypatch.setitem(generation.generate_jobs.__kwdefaults__, "scouts", SCOUTS)
    monkeypatch.setitem(submit.submit_task.__kwdefaults__, "scouts", SCOUTS)
    monkeypatch.setattr(pieces, "FILES_AT_ONCE", PAGE)
    machine = machine_class.TestCase
    machine.settings = settings(
        max_examples=lives,
        stateful_step_count=20,
        deadline=None,
        # a long failing life is read faster than a short one is found
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    machine("runTest").runTest()


@pytest.mark.timeout(280)
def test_commands_on_tasks(shared_database: Database, monkeypatch: pytest.MonkeyPatch):
    live_through(Tasks, shared_database, monkeypatch, 16)
