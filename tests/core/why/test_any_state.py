"""Whatever rows there are, asking never fails, and the clause of job pages is that of the answer."""

from __future__ import annotations

from core.states import AWAITING_PILOT, TaskStatus
from core.why.job_case import job_row_of
from core.why.job_statements import JOB_STATEMENTS, WAITING
from core.why.task_statements import TASK_STATEMENTS
from core.why.waiting import waiting_reason
from tests.core.monitor.rows import NOW, insert, random_jobs
from tests.core.why.asking import about_job, about_task
from tests.support.builders import make_queue


def test_statements_are_named_once_and_say_what_they_say():
    for statements in (JOB_STATEMENTS, TASK_STATEMENTS):
        assert len({statement.id for statement in statements}) == len(statements)
        assert all(statement.sentence and not statement.sentence.endswith(".") for statement in statements)


def test_random_jobs_all_have_an_answer_and_one_wording(database):
    for name in ("CERN", "BNL", "LOCAL_1"):
        make_queue(database, name)
    tasks = [
        {
            "jedi_task_id": 10_000_000 + n,
            "task_name": "t",
            "status": status.value,
            "parameters": {"x": [1, None, "\u202e"]},
        }
        for n, status in enumerate(TaskStatus)
    ]
    insert(database, "tasks", tasks)
    jobs = random_jobs(database, 150)
    for job in jobs:
        answer = about_job(database, job["panda_id"], NOW)
        assert answer["reason"]["sentence"].endswith((".", "!")), answer["reason"]
        with database.transaction() as transaction:
            row = job_row_of(transaction, job["panda_id"])
            assert row is not None
            clause = waiting_reason(transaction, row, NOW)
        if row["job_status"] in AWAITING_PILOT:
            assert clause == answer["reason"]["clause"]
        else:
            assert clause == ""
    for task in tasks:
        assert about_task(database, task["jedi_task_id"], NOW)["status"] == task["status"]
    assert {statement.id for statement in WAITING} <= {statement.id for statement in JOB_STATEMENTS}
