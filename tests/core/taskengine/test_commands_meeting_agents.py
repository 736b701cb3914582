"""Commands that meet the agents that list, make, judge, place and hold: whatever the order, every file is somewhere once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from core.agents.account_keeper import AccountKeeper
from core.agents.base import Agent
from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.agents.scouts import Scouts
from core.agents.setupper import Setupper
from core.agents.task_watchdog import TaskWatchdog
from core.database import Database
from core.errors import Unavailable
from core.states import FINAL_TASK_STATUSES
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.workload_settings import AccountSettings, GenerationSettings, ScoutSettings, TaskTimes
from tests.core.taskengine.rows import task_row
from tests.support.builders import (
    acquire,
    add_up,
    broker,
    jobs_of_task,
    make_dataset,
    make_queue,
    make_task,
    outputs_of,
    report,
    report_finished,
    stored,
)

CAROL = Issuer("carol", is_production=True)
ORDERS = (
    *("pause", "resume", "resume", "retry", "release", "finish", "incexec", "kill", "reassign", "reactivate"),
    *("avalanche", "retry", "reactivate"),
)
OPTIONS: dict[str, dict[str, Any]] = {"reassign": {"site": "R"}, "finish": {"soft": True}}
GENERATION = GenerationSettings(jobs_per_cycle=7, files_per_cycle=10)
SCOUTS = ScoutSettings(jobs=3)
N_FILES, N_TASKS = 40, 4


def agents(database: Database) -> list[Agent]:
    return [
        Feeder(database, GENERATION, 1, SCOUTS),
        Generator(database, GENERATION, TaskTimes(), 1, SCOUTS),
        Scouts(database, SCOUTS, 1),
        Setupper(database, 1),
        AccountKeeper(database, AccountSettings(max_running_jobs=20), 1),
        TaskWatchdog(database, TaskTimes(), 1),
    ]


@pytest.fixture
def tasks(database: Database) -> list[int]:
    make_queue(database)
    make_queue(database, "R", endpoint="Q_DISK")
    make_dataset(database, "in", [f"f{number}" for number in range(N_FILES)], at=["Q_DISK"])
    return [
        make_task(database, inputDataset="in", jobParameters="x %IN", maxAttempt=9, maxFailure=9, useScout=number < 2)
        for number in range(N_TASKS)
    ]


@pytest.mark.parametrize("seed", (2, 14))
def test_agents_and_commands_leave_every_file_in_one_place(database: Database, tasks: list[int], seed: int) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    def again_and_again(work: Callable[[random.Random], object], number: int, rounds: int) -> threading.Thread:
        def run() -> None:
            choice = random.Random(100 * seed + number)
            for _ in range(rounds):
                if done.is_set():
                    return
                try:
                    work(choice)
                except Unavailable:
                    # two that met the wrong way round: one is sent back and comes again
                    continue
                except BaseException as error:  # noqa: BLE001  (shown by the test)
                    errors.append(error)

        return threading.Thread(target=run)

    def command(choice: random.Random) -> None:
        name = choice.choice(ORDERS)
        run_command(database, name, choice.choice(tasks), CAROL, **OPTIONS.get(name, {}))

    def pilots(choice: random.Random) -> None:
        for entry in acquire(database, choice.choice("QR"), job_count=6):
            panda_id = entry.job["panda_id"]
            if choice.random() < 0.4:
                report(database, panda_id, "failed", pilot_error_code=1305)
            else:
                # some are told to stop
                report(database, panda_id, "running")
                report(database, panda_id, "finished", output_report=stored(outputs_of(database, panda_id)))
        add_up(database)

    people = [again_and_again(command, number, 25) for number in range(3)] + [again_and_again(pilots, 7, 25)]
    keepers = [
        again_and_again(partial(_cycle, agent), 20 + number, 10_000) for number, agent in enumerate(agents(database))
    ]
    for thread in people + keepers:
        thread.start()
    for thread in people:
        thread.join(timeout=120)
    done.set()
    for thread in keepers:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in people + keepers)
    assert errors == []
    for task_id in tasks:
        check_books(database, task_id)
    work_to_the_end(database, tasks)
    for task_id in tasks:
        check_books(database, task_id)


def _cycle(agent: Agent, _: random.Random) -> int:
    return agent.cycle()


# input that a live job reads, and how often
_USES = """
SELECT f.file_id, f.status, f.panda_id, count(j.panda_id) AS n, max(j.panda_id) AS job
FROM task_files f JOIN task_datasets d USING (dataset_id)
LEFT JOIN job_files u ON u.jedi_task_id = f.jedi_task_id AND u.lfn = f.lfn AND u.type = 'input'
LEFT JOIN jobs_live j ON j.panda_id = u.panda_id
WHERE f.jedi_task_id = %(id)s AND d.is_master GROUP BY f.file_id
"""


def check_books(database: Database, task_id: int) -> None:
    """Counters equal counts, a file is running exactly with one live job, and what is ready will be looked at."""
    row = task_row(database, task_id)
    files = database.fetch(_USES, {"id": task_id})
    by_status = {status: sum(file["status"] == status for file in files) for status in ("ready", "finished", "failed")}
    assert len({file["file_id"] for file in files}) == len(files) == row["n_files"] <= N_FILES
    assert row["n_files_finished"] == by_status["finished"], row
    assert row["n_jobs"] == len(jobs_of_task(database, task_id))
    for file in files:
        assert (file["n"], file["status"]) in ((1, "running"), (0, file["status"])), (row["status"], file)
        if file["status"] == "running":
            assert (file["n"], file["job"]) == (1, file["panda_id"]), (row["status"], file)
    if by_status["ready"] and row["status"] in ("ready", "scouted", "running", "pending"):
        assert row["generate_at"] is not None or row["next_try_time"] is not None, row


def work_to_the_end(database: Database, tasks: list[int]) -> None:
    """Everybody goes on until all have ended, which must be soon."""
    for task_id in tasks:
        run_command(database, "resume", task_id, CAROL)
    workers = agents(database)
    for _ in range(60):
        database.execute("UPDATE tasks SET generate_at = clock_timestamp() WHERE generate_at IS NOT NULL")
        database.execute("UPDATE tasks SET next_try_time = clock_timestamp() WHERE next_try_time IS NOT NULL")
        for worker in workers:
            worker.cycle()
        database.execute("UPDATE jobs_live SET brokerage_time = NULL WHERE job_status = 'defined'")
        broker(database)
        for queue in "QR":
            for entry in acquire(database, queue, job_count=100):
                report(database, entry.job["panda_id"], "running")
                report_finished(database, entry.job["panda_id"])
        add_up(database)
        states = {task_id: task_row(database, task_id)["status"] for task_id in tasks}
        if all(state in FINAL_TASK_STATUSES or state == "exhausted" for state in states.values()):
            return
    stuck = [task_row(database, task_id) for task_id in tasks if states[task_id] not in FINAL_TASK_STATUSES]
    raise AssertionError(f"never ended: {stuck}")
