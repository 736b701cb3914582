"""Which failed jobs have lost their work: those that nothing tries again by itself."""

from __future__ import annotations

import pytest

from core.database import Database
from logger.store import IncidentStore
from tests.logger.builders import end_jobs
from tests.logger.judgement.cases import incidents, keep_file, number, retried_jobs

_TASK = 501


def is_residue(database: Database, panda_id: int) -> bool:
    IncidentStore(database).ingest_ended_jobs()
    row = database.fetch("SELECT is_residue FROM incident_jobs WHERE panda_id = %(id)s", {"id": panda_id})[0]
    return bool(row["is_residue"])


@pytest.mark.parametrize(
    ("status", "expected"), [("failed", True), ("cancelled", True), ("ready", False), ("running", False)]
)
def test_a_jobs_work_is_lost_when_its_input_is(shared_database: Database, status: str, expected: bool) -> None:
    (panda_id,) = end_jobs(shared_database, task=_TASK)
    number(shared_database, [panda_id])
    keep_file(shared_database, _TASK, status, panda_id)
    assert is_residue(shared_database, panda_id) is expected


def test_of_several_files_one_lost_is_enough(shared_database: Database) -> None:
    (panda_id,) = end_jobs(shared_database, task=_TASK)
    number(shared_database, [panda_id])
    for status in ("ready", "failed", "ready"):
        keep_file(shared_database, _TASK, status, panda_id)
    assert is_residue(shared_database, panda_id)


def test_input_that_went_on_to_another_job_is_not_lost(shared_database: Database) -> None:
    (panda_id,) = retried_jobs(shared_database, task=_TASK)
    assert not is_residue(shared_database, panda_id)


def test_a_task_that_keeps_no_files_and_a_build_job_are_not_repeated(shared_database: Database) -> None:
    (first,) = end_jobs(shared_database, task=502)
    number(shared_database, [first])
    (build,) = end_jobs(shared_database, task=_TASK)
    assert is_residue(shared_database, first) and is_residue(shared_database, build)


def test_a_job_without_task_is_lost_unless_another_was_made_of_it(shared_database: Database) -> None:
    alone, repeated, ended = end_jobs(shared_database, 3, task=None)
    shared_database.execute(
        "INSERT INTO jobs_live (panda_id, parent_id, job_status) VALUES (1, %(parent)s, 'running')",
        {"parent": repeated},
    )
    (child,) = end_jobs(shared_database, task=None, status="finished", code=0, exit_code=0)
    shared_database.execute(
        "UPDATE jobs_archive SET parent_id = %(parent)s WHERE panda_id = %(child)s", {"parent": ended, "child": child}
    )
    assert is_residue(shared_database, alone)
    assert not is_residue(shared_database, repeated) and not is_residue(shared_database, ended)


def test_residue_is_counted_with_its_loss(database: Database) -> None:
    retried_jobs(database, 3, walltime_s=100)
    keep_file(database, 77, "failed", *end_jobs(database, task=77, walltime_s=200, cores=8))
    IncidentStore(database).ingest_ended_jobs()
    (incident,) = incidents(database)
    assert (incident["job_count"], incident["residue_count"]) == (4, 1)
    assert 1600 <= incident["residue_lost_core_s"] <= 1620 and 1900 <= incident["lost_core_s"] <= 1950
