"""Pause, resume, release, avalanche, reassign, and changes of single attributes."""

from __future__ import annotations

import pytest

from core.database import Database
from core.dataservice.activation import Arrival, activate_ready_jobs, register_arrivals
from core.errors import InvalidInput, UnknownObject
from core.states import TaskStatus
from core.taskengine.commands import changing
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.taskengine.making import contents
from core.taskengine.status import change_status
from tests.core.taskengine.rows import history, insert_task, task_row
from tests.support.builders import (
    acquire,
    add_up,
    broker,
    everything,
    jobs_of_task,
    live,
    make_dataset,
    make_queue,
    make_task,
    report,
    report_finished,
    row_of,
    status_of,
)

CAROL = Issuer("carol", is_production=True)


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    make_queue(shared_database, "R", endpoint="Q_DISK")
    make_dataset(shared_database, "three", ["a", "b", "c"], at=["Q_DISK"])
    return shared_database


def started(database: Database, running: int = 0, **parameters: object) -> tuple[int, list[int]]:
    """A task of three files, some of its jobs running, the others activated."""
    task_id = make_task(database, **{"inputDataset": "three", **parameters})
    while broker(database):
        pass
    panda_ids = jobs_of_task(database, task_id)
    if running:
        assert len(acquire(database, job_count=running, jedi_task_id=task_id)) == running
    for panda_id in panda_ids[:running]:
        report(database, panda_id, "running")
    return task_id, panda_ids


def states(database: Database, panda_ids: list[int]) -> list[str]:
    return [status_of(database, panda_id) for panda_id in panda_ids]


def test_a_paused_task_gives_pilots_nothing_until_it_is_resumed(site):
    task_id, panda_ids = started(site, running=1)
    assert run_command(site, "pause", task_id, CAROL).message.endswith("(2 waiting jobs are held)")
    row = task_row(site, task_id)
    assert (row["status"], row["old_status"]) == ("paused", "running")
    assert states(site, panda_ids) == ["running", "throttled", "throttled"]
    assert acquire(site, job_count=10, jedi_task_id=task_id) == []
    assert report(site, panda_ids[0], "running") is None
    run_command(site, "resume", task_id, CAROL)
    row = task_row(site, task_id)
    assert (row["status"], row["old_status"]) == ("running", "")
    assert states(site, panda_ids) == ["running", "activated", "activated"]
    taken = acquire(site, job_count=10, jedi_task_id=task_id)
    assert len(taken) == 2
    # the places of inputs were known before and still are
    assert all(file["pfn"] for entry in taken for file in entry.files if file["type"] == "input")


def test_brokerage_and_activation_leave_a_paused_task_alone(site):
    make_dataset(site, "late", ["late"])
    other = make_task(site, inputDataset="late")
    waiting = make_task(site, inputDataset="three")
    run_command(site, "pause", waiting, CAROL)
    while broker(site):
        pass
    assert set(states(site, jobs_of_task(site, waiting))) == {"defined"}
    assert states(site, jobs_of_task(site, other)) == ["assigned"]
    run_command(site, "pause", other, CAROL)
    register_arrivals(site, [Arrival("late", "late", "Q_DISK", "/Q_DISK/late")])
    with site.transaction() as transaction:
        activate_ready_jobs(transaction)
    assert states(site, jobs_of_task(site, other)) == ["assigned"]
    for task_id in (waiting, other):
        run_command(site, "resume", task_id, CAROL)
    while broker(site):
        pass
    with site.transaction() as transaction:
        activate_ready_jobs(transaction)
    assert set(states(site, jobs_of_task(site, waiting) + jobs_of_task(site, other))) == {"activated"}
    assert task_row(site, waiting)["status"] == "running"


@pytest.mark.parametrize("held", ["paused", "throttled"])
def test_a_task_that_is_held_is_moved_and_stays_held(site, held):
    task_id, panda_ids = started(site, running=1)
    with site.transaction() as transaction:
        change_status(transaction, task_id, TaskStatus(held), who="test", reason="a hold")
    assert run_command(site, "reassign", task_id, CAROL, site="R").message.endswith("(3 jobs are made again)")
    row = task_row(site, task_id)
    assert (row["status"], row["old_status"], row["site"]) == (held, "running", "R")
    assert states(site, panda_ids) == ["closed"] * 3
    assert jobs_of_task(site, task_id) == panda_ids
    run_command(site, "resume", task_id, CAROL)
    fresh = sorted(set(jobs_of_task(site, task_id)) - set(panda_ids))
    assert [row_of(site, panda_id)["computing_site"] for panda_id in fresh] == ["R"] * 3


def test_a_paused_task_ends_when_its_last_jobs_do(site):
    task_id, panda_ids = started(site, running=3)
    run_command(site, "pause", task_id, CAROL)
    for panda_id in panda_ids:
        report_finished(site, panda_id)
    add_up(site)
    assert task_row(site, task_id)["status"] == "done"


def test_a_released_task_whose_listing_that_completes_goes_on(site, monkeypatch):
    monkeypatch.setitem(contents.feed_contents.__kwdefaults__, "limit", 2)
    task_id = make_task(site, inputDataset="three")
    with site.transaction() as transaction:
        change_status(transaction, task_id, TaskStatus.PENDING, who="test", reason="an obstacle")
    assert task_row(site, task_id)["old_status"] == "defined"
    run_command(site, "release", task_id, CAROL)
    assert len(jobs_of_task(site, task_id)) == 3
    assert task_row(site, task_id)["status"] in ("ready", "running")


def test_release_asks_brokerage_at_once(site):
    # a queue that is not there yet, so that nothing fits
    task_id = make_task(site, coreCount=77, site="")
    site.execute("UPDATE queues SET max_core_count = 8")
    broker(site)
    [panda_id] = jobs_of_task(site, task_id)
    assert live(site, panda_id)["brokerage_time"] is not None
    assert run_command(site, "release", task_id, CAROL).message.endswith("(1 job is looked at again)")
    assert live(site, panda_id)["brokerage_time"] is None
    site.execute("UPDATE queues SET max_core_count = 0")
    run_command(site, "kill", task_id, CAROL)


def test_an_avalanche_ends_the_scouting(site):
    task_id, _ = started(site)
    site.execute("UPDATE tasks SET status = 'scouting' WHERE jedi_task_id = %(id)s", {"id": task_id})
    run_command(site, "avalanche", task_id, CAROL)
    assert task_row(site, task_id)["status"] == "running"
    assert history(site, task_id)[-2:] == [("scouting", "scouted"), ("scouted", "running")]


@pytest.mark.parametrize(
    ("mode", "old", "moved"),
    [
        (None, ["closed", "closed", "closed"], 3),
        ("kill", ["closed", "closed", "closed"], 3),
        ("soft", ["running", "closed", "closed"], 2),
        ("nokill", ["running", "activated", "activated"], 0),
    ],
)
def test_a_reassigned_task_has_its_jobs_made_again_at_the_new_queue(site, mode, old, moved):
    task_id, panda_ids = started(site, running=1)
    outcome = run_command(site, "reassign", task_id, CAROL, site="R", mode=mode)
    assert outcome.is_accepted
    assert states(site, panda_ids) == old
    fresh = sorted(set(jobs_of_task(site, task_id)) - set(panda_ids))
    assert [row_of(site, panda_id)["computing_site"] for panda_id in fresh] == ["R"] * moved
    row = task_row(site, task_id)
    assert (row["status"], row["site"], row["parameters"]["site"], row["end_time"]) == ("running", "R", "R", None)
    assert [step[1] for step in history(site, task_id)[-3:]] == ["toreassign", "reassigning", "running"]
    if mode in (None, "kill"):
        assert report(site, panda_ids[0], "running") == "tobekilled"


def test_a_task_that_is_moved_and_then_done_is_done(site):
    task_id, _ = started(site)
    run_command(site, "reassign", task_id, CAROL, site="R")
    while broker(site):
        pass
    for entry in acquire(site, "R", job_count=10, jedi_task_id=task_id):
        report(site, entry.job["panda_id"], "running")
        report_finished(site, entry.job["panda_id"])
    add_up(site)
    row = task_row(site, task_id)
    assert (row["status"], row["n_files"], row["n_files_finished"]) == ("done", 3, 3)


def test_a_task_is_freed_from_its_queue_by_a_cloud(site):
    task_id, panda_ids = started(site)
    run_command(site, "reassign", task_id, CAROL, cloud="DE")
    row = task_row(site, task_id)
    assert (row["site"], row["parameters"]["cloud"]) == ("", "DE")
    fresh = sorted(set(jobs_of_task(site, task_id)) - set(panda_ids))
    assert {row_of(site, panda_id)["site_is_pinned"] for panda_id in fresh} == {False}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "site"),
        ({"site": "NOWHERE"}, "site"),
        ({"site": "R", "mode": "gently"}, "mode"),
        ({"site": "", "cloud": ""}, "site"),
    ],
    ids=str,
)
def test_a_destination_that_will_not_do_is_named_and_changes_nothing(site, options, field):
    task_id, _ = started(site)
    before = everything(site)
    with pytest.raises((InvalidInput, UnknownObject)) as refused:
        run_command(site, "reassign", task_id, CAROL, **options)
    assert (refused.value.field, bool(refused.value.remedy)) == (field, True)
    assert everything(site) == before


def test_a_priority_is_changed_with_that_of_the_live_jobs(site):
    task_id, panda_ids = started(site, running=1)
    assert changing.change_priority(site, task_id, 1234) == 1
    assert task_row(site, task_id)["current_priority"] == 1234
    assert {row_of(site, panda_id)["current_priority"] for panda_id in panda_ids} == {1234}
    assert changing.change_priority(site, 5, 1) == 0
    with pytest.raises(InvalidInput):
        changing.change_priority(site, task_id, 10**9)


@pytest.mark.parametrize(
    ("name", "value", "column", "of_job", "of_waiting"),
    [
        ("ramCount", 5000, "ram_count", "min_ram_mb", 5000),
        ("coreCount", 8, "core_count", "core_count", 8),
        ("wallTime", 7200, "wall_time_s", "max_walltime_s", 7200),
    ],
)
def test_an_attribute_is_changed_for_what_waits_and_what_comes(site, name, value, column, of_job, of_waiting):
    task_id, panda_ids = started(site, running=1)
    before = row_of(site, panda_ids[0])[of_job]
    assert changing.change_attribute(site, task_id, name, value) == 1
    assert task_row(site, task_id)[column] == value
    assert [row_of(site, panda_id)[of_job] for panda_id in panda_ids] == [before, of_waiting, of_waiting]
    if name != "wallTime":
        assert row_of(site, panda_ids[1])["resource_type"] == {"ramCount": "SCORE_HIMEM", "coreCount": "MCORE"}[name]
    report(site, panda_ids[0], "failed", pilot_error_code=1305)
    add_up(site)
    run_command(site, "retry", task_id, CAROL)
    [fresh] = set(jobs_of_task(site, task_id)) - set(panda_ids)
    assert row_of(site, fresh)[of_job] == of_waiting


def test_cpu_time_is_an_attribute_of_the_task_alone(site):
    task_id, _ = started(site)
    changing.change_attribute(site, task_id, "cpuTime", 40)
    assert task_row(site, task_id)["cpu_time"] == 40


def test_other_attributes_are_refused_in_upstreams_words(site):
    with pytest.raises(InvalidInput) as refused:
        changing.change_attribute(site, 5, "status", 1)
    assert str(refused.value) == (
        "status is not a valid attribute. Valid attributes are ['ramCount', 'wallTime', 'cpuTime', 'coreCount']"
    )
    assert changing.change_attribute(site, 5, "ramCount", 1) == 0
    for name, value in (("ramCount", -1), ("coreCount", 0), ("wallTime", 10**12)):
        with pytest.raises(InvalidInput) as refused:
            changing.change_attribute(site, 5, name, value)
        assert refused.value.field == "value"


def test_a_splitting_rule_holds_for_jobs_to_come(site):
    task_id, panda_ids = started(site, running=3)
    for panda_id in panda_ids:
        report(site, panda_id, "failed", pilot_error_code=1305)
    add_up(site)
    assert changing.change_split_rule(site, task_id, "NF", "3") == 1
    assert changing.change_split_rule(site, task_id, "nGBPerJob", "20") == 1
    assert task_row(site, task_id)["split_rule"] == {"nFilesPerJob": 3, "nGBPerJob": 20}
    run_command(site, "retry", task_id, CAROL)
    assert len(set(jobs_of_task(site, task_id)) - set(panda_ids)) == 1


@pytest.mark.parametrize(
    ("tag", "value"),
    [("US", "1"), ("", "1"), ("NF", "x"), ("NF", ""), ("NF", "-1"), ("IL", "a,NF=1"), ("IL", "x" * 200)],
)
def test_rules_that_may_not_be_changed_so_are_refused(site, tag, value):
    task_id, _ = started(site)
    with pytest.raises(InvalidInput):
        changing.change_split_rule(site, task_id, tag, value)
    assert task_row(site, task_id)["split_rule"] == {}


def test_the_time_of_the_last_change_is_moved(site):
    task_id = insert_task(site)
    before = task_row(site, task_id)["modification_time"]
    changing.change_modification_time(site, task_id, -12)
    assert 11.9 * 3600 < (before - task_row(site, task_id)["modification_time"]).total_seconds() < 12.1 * 3600
    with pytest.raises(InvalidInput):
        changing.change_modification_time(site, task_id, 10**9)


@pytest.mark.parametrize(("running_too", "shares"), [(False, ["", "Express", "Express"]), (True, ["Express"] * 3)])
def test_tasks_and_their_jobs_are_put_under_another_share(site, running_too, shares):
    task_id, panda_ids = started(site, running=1)
    assert changing.reassign_global_share(site, [task_id, task_id, 5], "Express", running_too=running_too) == 1
    assert task_row(site, task_id)["gshare"] == "Express"
    assert [row_of(site, panda_id)["gshare"] for panda_id in panda_ids] == shares
    for wrong in ("", "x" * 101, "a\x00"):
        with pytest.raises(InvalidInput):
            changing.reassign_global_share(site, [task_id], wrong, running_too=False)
