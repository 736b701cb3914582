"""Commands that meet each other and the ends of jobs: nobody waits for ever, and nothing is counted twice."""

from __future__ import annotations

import random
import threading

from core.database import Database
from core.errors import Unavailable
from core.states import FINAL_TASK_STATUSES
from core.taskengine.commands.changing import change_priority
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.core.taskengine.rows import history, task_row
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    broker,
    jobs_of_task,
    make_dataset,
    make_queue,
    make_task,
    report,
)

CAROL = Issuer("carol", is_production=True)
ORDERS = ("pause", "resume", "retry", "release", "finish", "incexec", "kill", "reassign", "reactivate")
OPTIONS = {"reassign": {"site": "R"}, "finish": {"soft": True}}


def test_commands_from_everywhere_at_once(database: Database):
    make_queue(database)
    make_queue(database, "R", endpoint="Q_DISK")
    make_dataset(database, "in", [f"f{number}" for number in range(20)], at=["Q_DISK"])
    tasks = [make_task(database, inputDataset="in") for _ in range(3)]
    activate(database, 0)
    errors: list[BaseException] = []
    begin = threading.Barrier(6)

    def in_thread(work, seed: int) -> threading.Thread:
        def run() -> None:
            choice = random.Random(seed)
            begin.wait()
            for _ in range(15):
                try:
                    work(choice)
                except Unavailable:
                    # two that met the wrong way round: one is sent back and may come again
                    continue
                except BaseException as error:  # noqa: BLE001  (shown by the test)
                    errors.append(error)

        return threading.Thread(target=run)

    def command(choice: random.Random) -> None:
        name = choice.choice(ORDERS)
        run_command(database, name, choice.choice(tasks), CAROL, **OPTIONS.get(name, {}))

    def pilots(choice: random.Random) -> None:
        broker(database)
        for entry in acquire(database, choice.choice("QR"), job_count=5):
            report(database, entry.job["panda_id"], "failed", pilot_error_code=1305)
        add_up(database)

    def priorities(choice: random.Random) -> None:
        change_priority(database, choice.choice(tasks), choice.randrange(1000))

    threads = [in_thread(command, seed) for seed in range(3)]
    threads += [in_thread(pilots, seed) for seed in range(2)] + [in_thread(priorities, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []
    for task_id in tasks:
        run_command(database, "finish", task_id, CAROL)
        row = task_row(database, task_id)
        steps = history(database, task_id)
        assert [before for before, _ in steps[1:]] == [after for _, after in steps[:-1]]
        assert (row["status"] in FINAL_TASK_STATUSES) or row["status"] == "aborting"
        files = database.fetch("SELECT status FROM task_files WHERE jedi_task_id = %(id)s", {"id": task_id})
        assert row["n_files"] == len(files) == 20
        assert row["n_files_finished"] == sum(file["status"] == "finished" for file in files)
        assert row["n_jobs"] == len(jobs_of_task(database, task_id))
