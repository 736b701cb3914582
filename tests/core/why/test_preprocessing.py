"""What is said of a task while a first job works out its definition: who acts, and what comes next."""

from __future__ import annotations

import pytest

from core.agents.preprocessor import Preprocessor
from core.database import Database
from tests.core.taskengine.submitting import accept, captured, place, prepare
from tests.core.taskengine.test_preprocessing import FOUND, begun, end, good_runs, house
from tests.core.why.asking import about_job, about_task, first
from tests.support.builders import put_into


@pytest.fixture
def site(database: Database) -> Database:
    prepare(database)
    return database


def test_the_job_is_to_be_made(site):
    task_id = accept(site, good_runs())
    answer = about_task(site, task_id)
    assert first(answer) == ("to_be_preprocessed", "A first job is to work out its definition (preproSpec).")
    assert "(preprocessor) makes that job within seconds" in answer["reason"]["next_step"]


def test_a_parent_is_waited_for_first(site):
    parent = accept(site, captured("njobs"))
    child = accept(site, house(taskName="user.testuser.child"), parent_tid=parent)
    answer = about_task(site, child)
    assert first(answer)[0] == "to_be_preprocessed"
    assert f"its parent, task {parent}, has ended: that is ready" in answer["reason"]["sentence"]


def test_the_job_waits_and_says_for_what(site):
    task_id, panda_id = begun(site)
    site.execute("UPDATE queues SET status = 'offline'")
    place(site)
    answer = about_task(site, task_id)
    assert first(answer)[0] == "preprocessing"
    assert answer["reason"]["sentence"].startswith(
        f"Job {panda_id} works out its definition (attempt 1 of 10) and is defined."
    )
    assert answer["reason"]["numbers"]["panda_id"] == panda_id
    assert about_job(site, panda_id)["reason"]["clause"] in answer["reason"]["clause"]


def test_the_job_runs(site):
    task_id, panda_id = begun(site)
    place(site)
    put_into(site, panda_id, "running")
    answer = about_task(site, task_id)
    assert first(answer)[1].startswith(f"Job {panda_id} works out its definition (attempt 1 of 10) and is running at Q")
    assert "becomes the definition of the task" in answer["reason"]["next_step"]


def test_what_it_found_is_read_next(site):
    task_id, panda_id = begun(site)
    end(site, panda_id, FOUND)
    answer = about_task(site, task_id)
    assert first(answer) == ("preprocessing", f"Its first job has finished. That was job {panda_id}.")
    assert "reads within seconds what it found" in answer["reason"]["next_step"]
    Preprocessor(site, 1).cycle()
    assert first(about_task(site, task_id))[0] != "preprocessing"


@pytest.mark.parametrize(
    ("failures", "said"),
    [(1, "Its first job is tried again."), (3, "Its first job has ended badly.")],
)
def test_a_job_that_failed_is_followed_by_another_or_breaks_the_task(site, failures, said):
    task_id, panda_id = begun(site)
    site.execute("UPDATE task_files SET max_failure = %(n)s", {"n": 4 - failures})
    end(site, panda_id, status="failed", pilot_error_code=1305)
    assert first(about_task(site, task_id))[1].startswith(said)


def test_a_broken_one_says_which_parameter(site):
    task_id, panda_id = begun(site)
    end(site, panda_id, {**FOUND, "site": "NOWHERE"})
    Preprocessor(site, 1).cycle()
    assert ": site: there is no queue 'NOWHERE'" in first(about_task(site, task_id))[1]
