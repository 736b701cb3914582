"""Large tasks: listed page by page and made into jobs bunch by bunch; wherever that stops, it goes on there."""

from __future__ import annotations

from typing import Any

import pytest

from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.database import Database, Row
from core.dataservice.catalogue import NewCatalogueFile, NewReplica, register_dataset
from core.errors import PandaError
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.taskengine.making import contents, generation, pieces
from core.workload_settings import GenerationSettings, TaskTimes
from tests.core.taskengine.submitting import accept, captured, history, prepare, row_of_task, task_files
from tests.support.builders import ADLER32, make_dataset, make_queue, make_task

PAGE, BUNCH = 10, 4
ALICE = Issuer("alice")
SETTINGS = GenerationSettings(files_per_cycle=PAGE, jobs_per_cycle=BUNCH)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten files and bunches of four jobs, at the door too."""
    monkeypatch.setitem(contents.feed_contents.__kwdefaults__, "limit", PAGE)
    monkeypatch.setattr(generation, "JOBS_AT_ONCE", BUNCH)
    monkeypatch.setattr(pieces, "FILES_AT_ONCE", PAGE)


@pytest.fixture
def site(database: Database, small: None) -> Database:
    make_queue(database, "Q")
    return database


def names(count: int, prefix: str = "f") -> list[str]:
    return [f"{prefix}{number:03d}" for number in range(count)]


def feeder(database: Database) -> Feeder:
    return Feeder(database, SETTINGS, 1)


def generator(database: Database, **settings: Any) -> Generator:
    return Generator(database, SETTINGS.model_copy(update=settings), TaskTimes(), 1)


def until_idle(agent: Feeder | Generator, most: int = 100) -> int:
    cycles = 0
    while agent.cycle():
        cycles += 1
        assert cycles < most
    return cycles


def live(database: Database, task_id: int) -> list[Row]:
    return database.fetch("SELECT * FROM jobs_live WHERE jedi_task_id = %(id)s ORDER BY panda_id", {"id": task_id})


def end(database: Database, jobs: list[Row], status: str, sub_status: str = "") -> None:
    """End jobs wherever they are."""
    ids = [job["panda_id"] for job in jobs]
    database.execute("UPDATE jobs_live SET job_status = 'holding' WHERE panda_id = ANY(%(ids)s)", {"ids": ids})
    error = JobError("exe", 1, "it did not work") if status == "failed" else None
    with database.transaction() as transaction:
        ended = end_jobs(transaction, [Ending(job, JobStatus(status), "test", sub_status, error) for job in ids])
    assert sorted(ended) == sorted(ids)


def statuses(database: Database, task_id: int) -> dict[str, int]:
    rows = task_files(database, task_id)
    return {status: sum(row["status"] == status for row in rows) for status in {row["status"] for row in rows}}


def test_a_large_task_is_listed_page_by_page_and_made_bunch_by_bunch(site):
    make_dataset(site, "big", names(33), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="big", nFilesPerJob=1)
    row = row_of_task(site, task_id)
    assert (row["status"], row["n_files"], row["n_jobs"]) == ("defined", 11, 0)
    assert until_idle(feeder(site)) == 3
    row = row_of_task(site, task_id)
    assert (row["status"], row["n_files"], row["n_input_files"], row["n_jobs"]) == ("ready", 33, 33, BUNCH)
    assert until_idle(generator(site)) == 8
    assert row_of_task(site, task_id)["generate_at"] is None
    rows = task_files(site, task_id)
    assert [file["lfn"] for file in rows] == names(33)
    assert [file["position"] for file in rows] == list(range(1, 34))
    assert len({file["panda_id"] for file in rows}) == 33 == len(live(site, task_id))
    assert {file["attempt_nr"] for file in rows} == {1}
    assert history(site, task_id) == ["registered", "defined", "ready"]


def test_input_that_just_fits_needs_no_agent(site):
    make_dataset(site, "fits", names(PAGE), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="fits", nFilesPerJob=5)
    assert row_of_task(site, task_id)["status"] == "ready"
    assert len(live(site, task_id)) == 2


def test_where_a_reading_ends_does_not_show_in_the_jobs(site):
    make_dataset(site, "odd", names(31), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="odd", nFilesPerJob=3)
    until_idle(feeder(site))
    until_idle(generator(site))
    by_job: dict[int, list[str]] = {}
    for file in task_files(site, task_id):
        by_job.setdefault(file["panda_id"], []).append(file["lfn"])
    files = names(31)
    assert list(by_job.values()) == [files[start : start + 3] for start in range(0, 31, 3)]


def test_a_piece_larger_than_a_page_is_one_job(site):
    make_dataset(site, "wide", names(35), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="wide", nFilesPerJob=30)
    until_idle(feeder(site))
    until_idle(generator(site))
    assert sorted(job["n_input_data_files"] for job in live(site, task_id)) == [5, 30]


def test_events_before_a_file_are_kept_with_it(database, small):
    prepare(database)
    entries = [
        NewCatalogueFile(name, 3, f"ad:{ADLER32}", replicas=[NewReplica("Q_DISK", f"/d/{name}")], n_events=7)
        for name in names(15)
    ]
    known = {"scope": "user.testuser", "kind": "input", "owner": "Test User", "vo": "testvo"}
    register_dataset(database, name="user.testuser.long", files=entries, **known)
    parameters = captured("events_unknown", nEventsPerJob=4, dsForIN="user.testuser.long", skipScout=True)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = "user.testuser.long/"
    task_id = accept(database, parameters)
    until_idle(feeder(database))
    rows = task_files(database, task_id)
    assert [row["n_events"] for row in rows] == [4, 3] * 15
    assert [row["first_event"] for row in rows] == [7 * (number // 2) + 4 * (number % 2) for number in range(30)]
    dataset = database.fetch("SELECT * FROM task_datasets WHERE jedi_task_id = %(id)s AND is_master", {"id": task_id})[
        0
    ]
    assert (dataset["n_files"], dataset["n_events"], dataset["status"]) == (30, 105, "ready")


@pytest.mark.parametrize("lost", ["dataset", "events"])
def test_what_goes_wrong_later_breaks_the_task_and_no_agent(site, lost, caplog):
    make_dataset(site, "gone", names(25), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="gone", nFilesPerJob=1)
    make_dataset(site, "stays", names(25, "s"), at=["Q_DISK"])
    other = make_task(site, taskName="other", inputDataset="stays", nFilesPerJob=1)
    if lost == "dataset":
        site.execute("UPDATE datasets SET name = 'elsewhere' WHERE name = 'gone'")
    else:
        site.execute("UPDATE tasks SET split_rule = '{\"coreCount\": -1}' WHERE jedi_task_id = %(id)s", {"id": task_id})
    until_idle(feeder(site))
    row = row_of_task(site, task_id)
    assert row["status"] == "broken"
    assert ("inputDataset:" if lost == "dataset" else "coreCount:") in row["error_dialog"]
    assert history(site, task_id) == ["registered", "defined", "tobroken", "broken"]
    assert row_of_task(site, other)["status"] == "ready"
    assert f"task {task_id} is broken" in caplog.text


@pytest.mark.parametrize("dataset", ["nothing", "none"])
def test_input_that_is_not_there_is_refused_at_the_door(site, dataset):
    make_dataset(site, "nothing", ["a"], at=["Q_DISK"])
    site.execute("DELETE FROM replicas")
    site.execute("DELETE FROM files")
    with pytest.raises(PandaError) as refused:
        make_task(site, inputDataset=dataset)
    assert refused.value.field == "inputDataset"
    assert site.fetch("SELECT 1 FROM tasks") == []


def test_a_pattern_that_no_file_of_a_long_dataset_fits_is_refused_at_the_door(database, small):
    prepare(database)
    make_dataset(database, "user.testuser.long", names(30), at=["Q_DISK"])
    parameters = captured("files_default", dsForIN=None)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item.update(dataset="user.testuser.long/", include="nomatch")
    with pytest.raises(PandaError) as refused:
        accept(database, parameters)
    assert refused.value.field.endswith(".dataset")


def test_a_task_that_cannot_be_made_waits_and_blocks_nobody(site):
    make_dataset(site, "big", names(9), at=["Q_DISK"])
    bad = make_task(site, inputDataset="big", nFilesPerJob=1, taskPriority=1100)
    good = make_task(site, taskName="good", inputDataset="big", nFilesPerJob=1)
    site.execute("DELETE FROM queues")
    make_queue(site, "R")
    site.execute(
        'UPDATE tasks SET parameters = parameters || \'{"site": "R"}\' WHERE jedi_task_id = %(id)s', {"id": good}
    )
    until_idle(generator(site))
    row = row_of_task(site, bad)
    assert (row["status"], row["old_status"], row["generate_at"]) == ("pending", "ready", None)
    assert "there is no queue 'Q'" in row["error_dialog"]
    assert row["next_try_time"] is not None
    assert row["frozen_time"] is not None
    assert len(live(site, good)) == 9
    make_queue(site, "Q")
    assert run_command(site, "release", bad, ALICE).is_accepted
    until_idle(generator(site))
    row = row_of_task(site, bad)
    assert (row["status"], row["frozen_time"]) == ("ready", None)
    assert len(live(site, bad)) == 9


def test_the_more_urgent_task_is_served_first_and_equals_take_turns(site):
    make_dataset(site, "big", names(10), at=["Q_DISK"])
    slow, equal, urgent = (
        make_task(site, taskName=name, inputDataset="big", nFilesPerJob=1, taskPriority=priority)
        for name, priority in (("slow", 900), ("equal", 900), ("urgent", 1000))
    )
    generator(site).cycle()
    made = site.fetch("SELECT jedi_task_id FROM jobs_live ORDER BY panda_id")[3 * BUNCH :]
    assert [row["jedi_task_id"] for row in made] == [urgent] * 4 + [slow] * 4 + [equal] * 4


def test_a_full_lane_holds_ordinary_tasks_back_and_lets_urgent_ones_pass(site):
    make_dataset(site, "big", names(9), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="big", nFilesPerJob=1)
    urgent = make_task(site, taskName="urgent", inputDataset="big", nFilesPerJob=1, taskPriority=2000)
    site.execute("UPDATE jobs_live SET current_priority = 1000")
    site.execute(
        "INSERT INTO share_usage (gshare, computing_site, resource_type, executing_jobs, queued_jobs, waiting_jobs,"
        " executing_power, queued_power) VALUES ('', 'Q', 'SCORE', 2, 50, 0, 0, 0)"
    )
    agent = generator(site, max_queued_jobs=20)
    agent.cycle()
    assert len(live(site, task_id)) == BUNCH
    assert len(live(site, urgent)) == 2 * BUNCH
    row = row_of_task(site, task_id)
    assert row["status"] == "ready"
    assert row["generate_at"] is not None
    site.execute("UPDATE share_usage SET executing_jobs = 40")
    site.execute("UPDATE tasks SET generate_at = clock_timestamp()")
    until_idle(agent)
    assert len(live(site, task_id)) == 9


@pytest.mark.parametrize(
    ("attempts", "failures", "ends", "status", "failed", "tried"),
    [
        (3, 1, [("failed", "")], "failed", 1, 1),
        (3, 2, [("failed", ""), ("failed", "")], "failed", 2, 2),
        (2, 5, [("failed", ""), ("failed", "")], "failed", 2, 2),
        (3, 1, [("closed", "toreassign"), ("finished", "")], "done", 0, 2),
        (2, 1, [("closed", ""), ("closed", "")], "failed", 0, 2),
        (3, 2, [("cancelled", "toreassign"), ("failed", ""), ("finished", "")], "done", 1, 3),
        (3, 2, [("cancelled", "")], "failed", 0, 1),
        (3, 2, [("closed", "taskdone")], "failed", 0, 1),
    ],
)
def test_input_is_tried_again_within_its_limits(site, attempts, failures, ends, status, failed, tried):
    make_dataset(site, "one", ["a"], at=["Q_DISK"])
    task_id = make_task(site, inputDataset="one", maxAttempt=attempts, maxFailure=failures)
    for number, (how, sub_status) in enumerate(ends, start=1):
        [job] = live(site, task_id)
        assert job["attempt_nr"] == number
        end(site, [job], how, sub_status)
        until_idle(generator(site))
    row = row_of_task(site, task_id)
    assert (row["status"], live(site, task_id)) == (status, [])
    [file] = task_files(site, task_id)
    assert (file["failed_attempt"], file["attempt_nr"]) == (failed, tried)
    assert row["n_jobs"] == row["n_finished"] + row["n_failed"] + row["n_cancelled"] == len(ends)


def test_later_attempts_know_the_earlier_ones(site):
    make_dataset(site, "one", ["a"], at=["Q_DISK"])
    task_id = make_task(site, inputDataset="one", maxFailure=3)
    [first] = live(site, task_id)
    end(site, [first], "failed")
    until_idle(generator(site))
    [second] = live(site, task_id)
    assert (second["parent_id"], second["attempt_nr"], second["job_index"]) == (first["panda_id"], 2, 2)


def test_memory_that_a_file_needs_is_what_its_next_job_asks_for(site):
    make_dataset(site, "two", ["a", "b"], at=["Q_DISK"])
    task_id = make_task(site, inputDataset="two", nFilesPerJob=1, coreCount=2, ramCount=1000, maxFailure=2)
    first, second = live(site, task_id)
    site.execute("UPDATE task_files SET ram_mb = 1500 WHERE panda_id = %(id)s", {"id": first["panda_id"]})
    end(site, [first], "failed")
    until_idle(generator(site))
    assert [job["min_ram_mb"] for job in live(site, task_id)] == [second["min_ram_mb"], 3000]


@pytest.mark.parametrize("command", ["kill", "finish"])
@pytest.mark.parametrize("when", ["defined", "half made", "all made"])
def test_a_task_is_closed_wherever_it_stands(site, monkeypatch, command, when):
    monkeypatch.setattr("core.taskengine.making.closing.FILES_PER_PAGE", 7)
    make_dataset(site, "big", names(33), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="big", nFilesPerJob=1)
    if when != "defined":
        until_idle(feeder(site))
    if when == "all made":
        until_idle(generator(site))
    assert run_command(site, command, task_id, ALICE).is_accepted
    until_idle(generator(site))
    row = row_of_task(site, task_id)
    assert row["status"] == {"kill": "aborted", "finish": "failed"}[command]
    assert set(statuses(site, task_id)) == {"cancelled"}
    assert live(site, task_id) == []
    again = {"kill": "incexec", "finish": "retry"}[command]
    assert run_command(site, again, task_id, ALICE).is_accepted
    until_idle(feeder(site))
    until_idle(generator(site))
    assert statuses(site, task_id) == {"running": 33}
    end(site, live(site, task_id), "finished")
    assert row_of_task(site, task_id)["status"] == "done"


def test_a_task_that_is_listed_can_be_held_and_moved(site):
    make_queue(site, "R", endpoint="Q_DISK")
    make_dataset(site, "big", names(33), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="big", nFilesPerJob=1)
    assert run_command(site, "pause", task_id, ALICE).is_accepted
    assert feeder(site).cycle() == 0
    assert run_command(site, "resume", task_id, ALICE).is_accepted
    assert row_of_task(site, task_id)["status"] == "defined"
    assert run_command(site, "reassign", task_id, ALICE, site="R").is_accepted
    assert row_of_task(site, task_id)["status"] == "defined"
    until_idle(feeder(site))
    until_idle(generator(site))
    assert {job["computing_site"] for job in live(site, task_id)} == {"R"}
    assert len(live(site, task_id)) == 33


def test_a_pending_task_that_is_moved_goes_back_to_where_it_was(site):
    make_queue(site, "R", endpoint="Q_DISK")
    make_dataset(site, "big", names(9), at=["Q_DISK"])
    task_id = make_task(site, inputDataset="big", nFilesPerJob=1)
    site.execute(
        "UPDATE tasks SET status = 'pending', old_status = 'ready' WHERE jedi_task_id = %(id)s", {"id": task_id}
    )
    assert run_command(site, "reassign", task_id, ALICE, site="R", mode="nokill").is_accepted
    row = row_of_task(site, task_id)
    assert (row["status"], row["old_status"]) == ("pending", "ready")


def test_a_limit_on_jobs_leaves_the_rest_out(database, small):
    prepare(database)
    make_dataset(database, "user.testuser.long", names(33), at=["Q_DISK"])
    parameters = captured("nfiles", nFiles=None, nFilesPerJob=2, maxNumJobs=6, dsForIN=None, skipScout=True)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = "user.testuser.long/"
    task_id = accept(database, parameters)
    until_idle(feeder(database))
    until_idle(generator(database))
    row = row_of_task(database, task_id)
    assert (row["n_jobs"], row["n_files"], row["n_input_files"]) == (6, 12, 12)
    assert statuses(database, task_id) == {"running": 12}
    first = live(database, task_id)[0]
    end(database, [first], "failed")
    until_idle(generator(database))
    assert statuses(database, task_id) == {"running": 12}
    end(database, live(database, task_id), "finished")
    assert row_of_task(database, task_id)["status"] == "done"


def test_a_task_without_a_size_makes_jobs_that_fit_the_queue(database):
    prepare(database)
    for name in ("Q_A", "Q_B", "Q_C"):
        database.execute("DELETE FROM queues WHERE queue_name = %(name)s", {"name": name})
    make_queue(database, "Q", max_disk_mb=3500)
    files = [
        NewCatalogueFile(name, 10**9, f"ad:{ADLER32}", replicas=[NewReplica("Q_DISK", f"/d/{name}")])
        for name in names(7)
    ]
    known = {"scope": "user.testuser", "kind": "input", "owner": "Test User", "vo": "testvo"}
    register_dataset(database, name="user.testuser.heavy", files=files, **known)
    parameters = captured("files_default", nFilesPerJob=None, dsForIN=None, skipScout=True)
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["dataset"] = "user.testuser.heavy/"
    task_id = accept(database, parameters)
    jobs = live(database, task_id)
    assert [job["n_input_data_files"] for job in jobs] == [3, 3, 1]
    assert {(job["computing_site"], job["site_is_pinned"]) for job in jobs} == {("Q", False)}
