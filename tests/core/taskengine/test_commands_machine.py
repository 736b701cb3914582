"""Commands in any order among jobs that come and go: what is refused changes nothing, and a task always says what it is."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.database import Database
from core.states import FINAL_TASK_STATUSES, GENERATING_TASK_STATUSES, TASK_TRANSITIONS, TaskStatus
from core.taskbuffer.killing import KILL_CODES, Killer, kill_jobs
from core.taskengine.commands.changing import increase_attempts
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import COMMANDS, run_command
from core.taskengine.making import contents, generation, pieces
from core.taskengine.status import change_status
from core.workload_settings import GenerationSettings, TaskTimes
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
    "finish": st.fixed_dictionaries({"soft": st.booleans()}),
    "reassign": st.fixed_dictionaries(
        {"site": st.sampled_from(["Q", "R"]), "mode": st.sampled_from([None, "soft", "nokill"])}
    ),
    "resubmit": st.builds(lambda n: {"new_parameters": {"nFilesPerJob": n}}, st.integers(1, 3)),
    "reactivate": st.fixed_dictionaries({"keep_attempt_nr": st.booleans()}),
}
PAGE, BUNCH = 4, 2
"""Of the agents and of the door: a task of five files takes two pages, and up to three bunches."""
FILES = ["a", "b", "c", "d", "e"]
ALICE, BOB, CAROL = Issuer("alice"), Issuer("bob"), Issuer("carol", is_production=True)


class Tasks(RuleBasedStateMachine):
    """Tasks of a few files each at two queues of one storage."""

    database: Database
    tasks = Bundle("tasks")

    @initialize()
    def begin(self) -> None:
        """A fresh house."""
        self.database.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY CASCADE")
        make_queue(self.database, "Q")
        make_queue(self.database, "R", endpoint="Q_DISK")
        make_dataset(self.database, "small", FILES[:3], at=["Q_DISK"])
        make_dataset(self.database, "large", FILES, at=["Q_DISK"])
        settings = GenerationSettings(files_per_cycle=PAGE, jobs_per_cycle=BUNCH)
        self.feeder = Feeder(self.database, settings, 1)
        self.generator = Generator(self.database, settings, TaskTimes(), 1)

    @rule(
        target=tasks,
        per_job=st.integers(1, 3),
        dataset=st.sampled_from(["small", "large"]),
        failures=st.integers(1, 2),
        goal=st.sampled_from([{}, {"goal": 50, "failGoalUnreached": True}, {"useExhausted": True}]),
    )
    def submit(self, per_job: int, dataset: str, failures: int, goal: dict[str, Any]) -> int:
        """A task of one to five jobs."""
        known = {"outputs": ["o"], "maxFailure": failures, **goal}
        return make_task(self.database, inputDataset=dataset, nFilesPerJob=per_job, **known)

    @rule()
    def agents_list_input(self) -> None:
        """One page of every task."""
        self.feeder.cycle()

    @rule()
    def agents_make_jobs(self) -> None:
        """One bunch of every task."""
        self.generator.cycle()

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
        for entry in acquire(self.database, queue, job_count=count):
            report(self.database, entry.job["panda_id"], "running")

    @rule(results=st.lists(st.sampled_from(["finished", "failed"]), min_size=1, max_size=4))
    def pilots_report(self, results: list[str]) -> None:
        """The first of the running jobs end, one per result."""
        running = self.database.fetch("SELECT panda_id FROM jobs_live WHERE job_status = 'running' ORDER BY panda_id")
        for row, said in zip(running, results, strict=False):
            lfns = outputs_of(self.database, row["panda_id"])
            code = 1305 if said == "failed" else None
            report(self.database, row["panda_id"], said, pilot_error_code=code, output_report=stored(lfns))
        add_up(self.database)

    @rule(results=st.lists(st.sampled_from(["finished", "failed"]), min_size=3, max_size=3))
    def time_passes(self, results: list[str]) -> None:
        """Brokerage, pilots and payloads, one after the other."""
        self.brokerage()
        self.pilots_take("Q", 3)
        self.pilots_take("R", 3)
        self.pilots_report(results)

    @invariant()
    def histories_are_paths_of_the_table(self) -> None:
        """From the submission, step by legal step, to the status the task has."""
        paths: dict[int, list[str]] = {}
        for row in self.database.fetch("SELECT * FROM task_history ORDER BY history_id"):
            path = paths.setdefault(row["jedi_task_id"], [])
            assert row["previous_status"] == (path[-1] if path else ""), (path, row)
            path.append(row["status"])
        for task_id, path in paths.items():
            assert all(TaskStatus(after) in TASK_TRANSITIONS[TaskStatus(before)] for before, after in pairwise(path)), (
                path
            )
            assert self.row(task_id)["status"] == path[-1]

    @invariant()
    def an_ended_task_has_no_live_job_and_another_has_something_to_do(self) -> None:
        """Ends and live jobs exclude each other; whoever is not through has jobs, input for more, or waits for a person."""
        for task in self.database.fetch("SELECT * FROM tasks"):
            live = self.count("jobs_live", task["jedi_task_id"])
            has_ended = task["status"] in FINAL_TASK_STATUSES
            assert not (has_ended and live), task
            assert has_ended is (task["end_time"] is not None), task
            assert task["n_jobs"] == live + self.count("jobs_archive", task["jedi_task_id"])
            if has_ended or live or task["status"] in ("exhausted", "paused", "pending", "defined"):
                continue
            assert "ready" in self.statuses(task["jedi_task_id"]), task
            # and an agent knows of it
            assert task["generate_at"] is not None, task

    @invariant()
    def counts_are_those_of_the_files(self) -> None:
        """Progress is what the files say, each is in one state, and a running file has a live job of its own."""
        for task in self.database.fetch("SELECT * FROM tasks"):
            files = self.files(task["jedi_task_id"])
            statuses = [file["status"] for file in files]
            assert len({file["lfn"] for file in files}) == len(files) == task["n_files"] == task["n_input_files"]
            assert set(statuses) <= {"ready", "running", "finished", "failed", "cancelled"}
            assert (task["n_files_finished"], task["n_files_failed"]) == (
                *(statuses.count("finished"), statuses.count("failed")),
            )
            live = {row["panda_id"] for row in self.live_jobs(task["jedi_task_id"])}
            assert {file["panda_id"] for file in files if file["status"] == "running"} == live
            if task["status"] == "done":
                assert set(statuses) == {"finished"}
            if task["status"] in FINAL_TASK_STATUSES:
                assert not {"ready", "running"} & set(statuses), task

    @invariant()
    def nothing_of_a_paused_task_waits_for_a_pilot(self) -> None:
        """And only paused tasks hold jobs back."""
        for task in self.database.fetch("SELECT jedi_task_id, status FROM tasks"):
            states = {row["job_status"] for row in self.live_jobs(task["jedi_task_id"])}
            assert ("activated" if task["status"] == "paused" else "throttled") not in states

    def row(self, task_id: int) -> dict[str, Any]:
        """The row of a task."""
        return self.database.fetch("SELECT * FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})[0]

    def live_jobs(self, task_id: int) -> list[dict[str, Any]]:
        """The live jobs of a task."""
        return self.database.fetch("SELECT * FROM jobs_live WHERE jedi_task_id = %(id)s", {"id": task_id})

    def files(self, task_id: int) -> list[dict[str, Any]]:
        """The input of a task."""
        return self.database.fetch("SELECT * FROM task_files WHERE jedi_task_id = %(id)s", {"id": task_id})

    def statuses(self, task_id: int) -> set[str]:
        """What became of it."""
        return {row["status"] for row in self.files(task_id)}

    def teardown(self) -> None:
        """Left alone, with pilots that finish whatever they get, every task ends that nobody holds."""
        for _ in range(40):
            moved = self.feeder.cycle() + self.generator.cycle()
            self.brokerage()
            self.pilots_take("Q", 5)
            self.pilots_take("R", 5)
            self.pilots_report(["finished"] * 10)
            resting = "SELECT 1 FROM tasks WHERE NOT status = ANY(%(rest)s)"
            rest = [*FINAL_TASK_STATUSES, "paused", "pending", "exhausted"]
            if not moved and not self.database.fetch(resting, {"rest": rest}):
                return
        raise AssertionError(self.database.fetch("SELECT * FROM tasks"))

    def count(self, table: str, task_id: int) -> int:
        """Jobs of a task in a table."""
        rows = self.database.fetch(f"SELECT count(*) AS n FROM {table} WHERE jedi_task_id = %(id)s", {"id": task_id})
        return int(rows[0]["n"])


@pytest.mark.timeout(280)
def test_commands_on_tasks(shared_database: Database, monkeypatch: pytest.MonkeyPatch):
    Tasks.database = shared_database
    monkeypatch.setitem(contents.feed_contents.__kwdefaults__, "limit", PAGE)
    monkeypatch.setattr(generation, "JOBS_AT_ONCE", BUNCH)
    monkeypatch.setattr(pieces, "FILES_AT_ONCE", PAGE)
    machine = Tasks.TestCase
    machine.settings = settings(
        max_examples=25,
        stateful_step_count=20,
        deadline=None,
        # a long failing life is read faster than a short one is found
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    machine("runTest").runTest()
