"""What a nucleus means for jobs: where they go, where their outputs are written, and who reads them there."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.panda.job_dictionary import pilot_dictionary
from core.database import Database
from core.dataservice.places import place
from core.taskengine.questions.task_facts import TaskFacts
from tests.core.taskbrokerage.grid import assign, make_grid, make_nucleus, places, production
from tests.core.taskengine.submitting import row_of_task
from tests.core.taskengine.test_merging import generate
from tests.core.why.asking import about_job
from tests.support.builders import acquire, add_up, broker, jobs_of_task, make_queue, report_finished, row_of


@pytest.fixture
def site(database: Database) -> Database:
    make_grid(database)
    return database


def sites(database: Database, task_id: int) -> set[str]:
    return {str(row_of(database, panda_id)["computing_site"]) for panda_id in jobs_of_task(database, task_id)}


def test_outputs_and_logs_of_all_jobs_are_written_to_the_nucleus(site: Database) -> None:
    task_id = production(site)
    assign(site)
    broker(site)
    assert sites(site, task_id) == {"CENTRE", "FAR"}
    assert places(site, task_id) == {("output", "NUC"), ("log", "NUC")}
    [acquired] = acquire(site, "FAR", label="managed", job_count=1)
    sent = pilot_dictionary(acquired, transformation_base="http://here", task=TaskFacts(site).of(task_id))
    assert (sent["nucleus"], sent["destinationSE"], sent["ddmEndPointOut"]) == ("NUC", "NUC", "NUC,NUC")
    assert {file["pfn"].startswith("/storage/NUC/") for file in sent["panda_files"]} == {True}


def test_at_a_deterministic_nucleus_scope_and_name_say_where(site: Database) -> None:
    make_nucleus(site, is_deterministic=True)
    production(site)
    assign(site)
    broker(site)
    row = site.fetch_one("SELECT pfn, scope, lfn FROM job_files WHERE type = 'output' ORDER BY row_id LIMIT 1")
    assert row is not None
    assert row["pfn"] == place("/storage/NUC", row["scope"], row["lfn"])


def test_without_a_nucleus_outputs_stay_at_the_queue(site: Database) -> None:
    task_id = production(site, nucleus="NUC")
    site.execute("UPDATE tasks SET nucleus = '' WHERE jedi_task_id = %(id)s", {"id": task_id})
    broker(site)
    assert {endpoint for _, endpoint in places(site, task_id)} == {"NUC", "FAR_DISK", "APART_DISK"}


def test_an_offline_nucleus_leaves_jobs_waiting_with_the_reason(site: Database) -> None:
    task_id = production(site, nucleus="NUC")
    make_nucleus(site, state="offline")
    broker(site)
    first, *_ = jobs_of_task(site, task_id)
    row = row_of(site, first)
    assert row["job_status"] == "defined"
    assert "cannot write to NUC, where the outputs are collected: it is offline" in row["brokerage_error_diag"]
    assert "NUC" in about_job(site, first)["reason"]["sentence"]
    make_nucleus(site, state="online")
    site.execute("UPDATE jobs_live SET brokerage_time = NULL")
    broker(site)
    assert places(site, task_id) == {("output", "NUC"), ("log", "NUC")}


def test_what_is_no_nucleus_any_more_keeps_the_tasks_it_has(site: Database) -> None:
    task_id = production(site, nucleus="NUC")
    make_nucleus(site, is_nucleus=False)
    broker(site)
    assert {endpoint for _, endpoint in places(site, task_id)} == {"NUC"}


def test_a_pinned_queue_that_cannot_write_there_leaves_its_jobs_waiting(site: Database) -> None:
    task_id = production(site, nucleus="NUC", site="APART")
    broker(site)
    row = row_of(site, jobs_of_task(site, task_id)[0])
    assert row["job_status"] == "defined"
    assert row["brokerage_error_diag"] == (
        "no queue is left after 'the queue can write to the storage where the task collects its outputs': "
        "APART does not write to NUC, where the outputs are collected"
    )
    pinned = production(site, "pinned", nucleus="NUC", site="FAR")
    broker(site)
    assert sites(site, pinned) == {"FAR"}


def run_all(database: Database, task_id: int) -> None:
    broker(database)
    for queue in ("CENTRE", "FAR"):
        while acquire(database, queue, label="managed", job_count=50):
            pass
    for panda_id in jobs_of_task(database, task_id):
        if row_of(database, panda_id)["job_status"] not in ("finished", "holding"):
            report_finished(database, panda_id)
    add_up(database)


@pytest.mark.parametrize("without", ["", "CENTRE"])
def test_merge_jobs_read_at_the_nucleus_and_write_there(site: Database, without: str) -> None:
    """`without`: only queues elsewhere are left, which read from there."""
    task_id = production(
        site,
        mergeOutput=True,
        mergeSpec={"transPath": "Merge_tf.py", "jobParameters": "-o ${OUTPUT0} ${TRN_OUTPUT0:OUTPUT0}"},
        nucleus="NUC",
    )
    run_all(site, task_id)
    if without:
        site.execute("UPDATE queues SET status = 'offline' WHERE queue_name = %(name)s", {"name": without})
    assert generate(site) == 1
    broker(site)
    [merge] = [job for job in jobs_of_task(site, task_id) if row_of(site, job)["processing_type"] == "pmerge"]
    row = row_of(site, merge)
    assert (row["job_status"], row["computing_site"]) == ("activated", "FAR" if without else "CENTRE")
    files = site.fetch("SELECT type, endpoint FROM job_files WHERE panda_id = %(id)s", {"id": merge})
    assert {file["endpoint"] for file in files} == {"NUC"}
    assert {"input", "output", "log"} <= {file["type"] for file in files}
    run_all(site, task_id)
    assert row_of_task(site, task_id)["status"] == "done"


def test_queues_of_one_site_write_to_each_others_storage(database: Database, tmp_path: Path) -> None:
    make_nucleus(database, "DISK_A")
    make_queue(database, "A", endpoint="", site="S")
    database.execute("UPDATE queues SET storage_endpoint = 'DISK_A' WHERE queue_name = 'A'")
    make_queue(database, "B", site="S")
    make_queue(database, "C", site="T")
    make_queue(database, "D", site="U", parameters={"ddm": "DISK_A,OTHER"})
    make_queue(database, "E", site="V", parameters={"astorages": {"pw": ["DISK_A"]}})
    task_id = production(database, nEvents=40)
    assign(database)
    broker(database)
    assert sites(database, task_id) == {"A", "B", "D", "E"}
    assert {endpoint for _, endpoint in places(database, task_id)} == {"DISK_A"}
