"""A task of prun that is large enough for scouts, run to the end by our own pilots: ten jobs measure, the others obey."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.prun_user import User, prun_user

pytestmark = pytest.mark.timeout(600)
FILES, SCOUTS = 13, 10
EATEN_MB = 150
EATS = f"python3 -c 'import time; eaten = bytearray({EATEN_MB} << 20); time.sleep(2)'; cat %IN > out.txt"
WORDS = ("--inDS", "user.testuser.many", "--nFilesPerJob", "1", "--outputs", "out.txt", "--noBuild", "--memory", "1000")


@pytest.fixture(scope="module")
def user(module_database_url: str, client_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with prun_user(module_database_url, client_program, tmp_path_factory.mktemp("scouts")) as user:
        user.register("user.testuser.many", {f"m{number:02d}.txt": f"{number}\n" for number in range(FILES)})
        yield user


def made_jobs(user: User, task_id: int) -> list[dict[str, Any]]:
    """The jobs of a task in the order in which they were made, all of which have ended."""
    statement = """SELECT panda_id, job_status, attempt_nr, min_ram_mb, special_handling = 'scout' AS is_scout,
                          creation_time, end_time, max_pss_kb
                   FROM jobs_archive WHERE jedi_task_id = %(id)s ORDER BY panda_id"""
    return user.system.database.fetch(statement, {"id": task_id})


def history(user: User, task_id: int) -> list[dict[str, Any]]:
    """Every state the task came to, and when."""
    statement = "SELECT status, time, reason FROM task_history WHERE jedi_task_id = %(id)s ORDER BY time"
    return user.system.database.fetch(statement, {"id": task_id})


def used_files(user: User, task_id: int) -> list[tuple[Any, ...]]:
    """Names of the input of a task with what became of each and how many attempts that took."""
    statement = """SELECT f.lfn, f.status, f.attempt_nr FROM task_files f JOIN task_datasets d USING (dataset_id)
                   WHERE f.jedi_task_id = %(id)s AND d.is_master ORDER BY f.lfn"""
    return [tuple(row.values()) for row in user.system.database.fetch(statement, {"id": task_id})]


def test_the_others_follow_their_scouts_with_what_these_needed(user):
    task_id = user.submit("scouted", EATS, *WORDS)
    assert user.ended(task_id) == "done", user.jobs(task_id)
    jobs = made_jobs(user, task_id)
    scouts, others = [job for job in jobs if job["is_scout"]], [job for job in jobs if not job["is_scout"]]
    assert [job["panda_id"] for job in jobs] == [job["panda_id"] for job in (*scouts, *others)]
    assert (len(scouts), len(others)) == (SCOUTS, FILES - SCOUTS)
    assert {job["min_ram_mb"] for job in scouts} == {1000}

    (verdict,) = [row for row in history(user, task_id) if row["status"] == "scouted"]
    assert re.fullmatch(rf"\d+ of {SCOUTS} scouts succeeded", verdict["reason"])
    assert all(job["creation_time"] >= verdict["time"] for job in others)
    assert sum(job["end_time"] <= verdict["time"] for job in scouts) >= SCOUTS / 2
    (needed,) = {job["min_ram_mb"] for job in others}
    assert EATEN_MB < needed < 3 * EATEN_MB
    assert used_files(user, task_id) == [(f"m{number:02d}.txt", "finished", 1) for number in range(FILES)]
    assert sorted(user.outputs(task_id)) == sorted(f"{number}\n" for number in range(FILES))
    assert re.search(rf"{task_id}\s+done.*100%\s+{FILES}\|0\|{FILES}", user.client.run("pbook", "showl", str(task_id)))


def test_scouts_that_fail_keep_the_others_at_home_and_pbook_says_why(user):
    task_id = user.submit("hopeless", "echo 'KeyError: no such branch' >&2; exit 3", *WORDS, "--disableAutoRetry")
    assert user.ended(task_id) == "broken", user.jobs(task_id)
    assert [job["is_scout"] for job in made_jobs(user, task_id)] == [True] * SCOUTS
    shown = user.client.run(
        "pbook", "-c", f"import json; print(json.dumps(show({task_id}, format='json'), default=str))"
    )
    assert f"none of the {SCOUTS} scouts succeeded" in shown


def test_a_task_that_wants_no_scouts_has_none(user):
    task_id = user.submit("direct", "cat %IN > out.txt", *WORDS, "--expertOnly_skipScout")
    assert user.ended(task_id) == "done", user.jobs(task_id)
    assert [job["is_scout"] for job in made_jobs(user, task_id)] == [False] * FILES
