"""Workers of factories: states that go forward, jobs that end with their worker, orders taken once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.dispatch.workers import worker_name
from core.errors import InvalidInput, UnknownObject
from core.harvester.commands import (
    MAX_COMMANDS,
    acknowledge_commands,
    add_command,
    add_sweep_command,
    take_commands,
)
from core.harvester.counts import WorkerCount, live_workers_by_queue, recent_counts, replace_counts
from core.harvester.messages import Dialog, add_dialogs, heartbeat
from core.harvester.slots import set_target_slots, target_slots
from core.harvester.states import (
    FINAL_IS_KEPT_S,
    FINAL_WORKER_STATUSES,
    LIVE_WORKER_STATUSES,
    WORKER_STATUS_MEANING,
    WORKER_TRANSITIONS,
    WorkerStatus,
)
from core.harvester.times import parse_time
from core.harvester.workers import WorkerReport, largest_worker_id, note_pilot_status, update_workers
from core.taskbuffer.killing import Killer, kill_jobs
from tests.support.builders import make_queue, make_task, report, report_finished, row_of, start, status_of
from tests.support.system import eventually


@pytest.fixture(scope="module")
def house(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


def worker(database: Database, harvester_id: str, worker_id: int = 1):
    statement = "SELECT * FROM harvester_workers WHERE harvester_id = %(h)s AND worker_id = %(w)s"
    return database.fetch_one(statement, {"h": harvester_id, "w": worker_id})


def make_older(database: Database, harvester_id: str, seconds: float) -> None:
    database.execute(
        "UPDATE harvester_workers SET last_update = last_update - make_interval(secs => %(s)s) WHERE harvester_id = %(h)s",
        {"s": seconds, "h": harvester_id},
    )


def test_every_state_of_a_worker_has_a_meaning_and_a_row_of_transitions():
    assert set(WORKER_TRANSITIONS) == set(WORKER_STATUS_MEANING) == set(WorkerStatus)
    assert all(not WORKER_TRANSITIONS[status] for status in FINAL_WORKER_STATUSES)
    assert set(WorkerStatus) == LIVE_WORKER_STATUSES | FINAL_WORKER_STATUSES


@pytest.mark.parametrize(("before", "reported"), [*product(WorkerStatus, WorkerStatus)], ids=str)
def test_a_status_moves_as_the_table_says_and_stays_otherwise(house, before, reported):
    name = f"{before}-{reported}"
    update_workers(house, name, [WorkerReport(1, before)])
    update_workers(house, name, [WorkerReport(1, reported, node_id="n1")])
    expected = reported if reported in WORKER_TRANSITIONS[before] else before
    assert (worker(house, name)["status"], worker(house, name)["node_id"]) == (expected, "n1")


def test_a_final_status_may_be_corrected_after_three_hours_without_news(house):
    update_workers(house, "late", [WorkerReport(1, WorkerStatus.FINISHED)])
    make_older(house, "late", FINAL_IS_KEPT_S - 60)
    update_workers(house, "late", [WorkerReport(1, WorkerStatus.RUNNING)])
    assert worker(house, "late")["status"] == "finished"
    make_older(house, "late", FINAL_IS_KEPT_S + 60)
    update_workers(house, "late", [WorkerReport(1, node_id="n")])
    assert worker(house, "late")["status"] == "finished"
    make_older(house, "late", FINAL_IS_KEPT_S + 60)
    update_workers(house, "late", [WorkerReport(1, WorkerStatus.RUNNING)])
    assert worker(house, "late")["status"] == "running"


def test_what_a_report_leaves_out_keeps_its_value_and_two_reports_of_one_worker_add_up(house):
    at = datetime(2026, 11, 21, 10, tzinfo=UTC)
    update_workers(house, "sums", [WorkerReport(1, WorkerStatus.SUBMITTED, "Q", "b1", n_core=8, submit_time=at)])
    update_workers(
        house,
        "sums",
        [WorkerReport(1, WorkerStatus.RUNNING, node_id="n1"), WorkerReport(1, diag_message="slow", n_jobs=2)],
    )
    row = worker(house, "sums")
    found = {name: row[name] for name in ("status", "batch_id", "node_id", "diag_message", "n_core", "n_jobs")}
    assert found == {
        **{"status": "running", "batch_id": "b1", "node_id": "n1", "diag_message": "slow"},
        **{"n_core": 8, "n_jobs": 2},
    }
    assert row["submit_time"] == at


def test_the_largest_number_is_known_and_zero_before_the_first(house):
    assert largest_worker_id(house, "nobody") == 0
    update_workers(house, "many", [WorkerReport(number) for number in (3, 12, 7)])
    assert largest_worker_id(house, "many") == 12


# jobs of ended workers


def test_a_worker_that_ended_takes_its_running_jobs_with_it(house):
    [by_pilot] = start(house, worker_id=worker_name("h1", 5))
    [by_factory] = start(house)
    [elsewhere] = start(house, worker_id=worker_name("h2", 5))
    update_workers(house, "h1", [WorkerReport(5, WorkerStatus.RUNNING, panda_ids=(by_factory,))])
    last = WorkerReport(5, WorkerStatus.FAILED, diag_message="node died", error_code=1098, ends_its_jobs=True)
    assert sorted(update_workers(house, "h1", [last])) == sorted([by_pilot, by_factory])
    for panda_id in (by_pilot, by_factory):
        row = row_of(house, panda_id)
        assert (row["job_status"], row["task_buffer_error_code"], row["sup_error_code"]) == ("failed", 300, 1098)
        assert row["sup_error_diag"] == "Diag from worker : node died"
        assert "the worker was failed while the job ran" in row["task_buffer_error_diag"]
    assert status_of(house, elsewhere) == "running"
    assert update_workers(house, "h1", [last]) == []


def test_workers_that_end_together_lock_the_tasks_of_their_jobs_in_one_order(house):
    """The later task's job is on the earlier worker: whoever ends a job of each task meanwhile must not block for ever."""
    [later], [earlier] = start(house, worker_id=worker_name("h9", 1)), start(house, worker_id=worker_name("h9", 2))
    tasks = {task: make_task(house) for task in ("earlier", "later")}
    for panda_id, task in ((later, "later"), (earlier, "earlier")):
        values = {"task": tasks[task], "id": panda_id}
        house.execute("UPDATE jobs_live SET jedi_task_id = %(task)s WHERE panda_id = %(id)s", values)
    reports = [WorkerReport(number, WorkerStatus.FAILED, ends_its_jobs=True) for number in (1, 2)]
    with house.transaction() as other:
        other.execute("SELECT 1 FROM tasks WHERE jedi_task_id = %(id)s FOR UPDATE", {"id": tasks["earlier"]})
        ending = threading.Thread(target=update_workers, args=(house, "h9", reports))
        ending.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        eventually(lambda: house.fetch(waiting), what="the ending waits for the earlier task")
        # it holds neither: the later one can still be had
        other.execute("SELECT 1 FROM tasks WHERE jedi_task_id = %(id)s FOR UPDATE NOWAIT", {"id": tasks["later"]})
    ending.join(30)
    assert {status_of(house, later), status_of(house, earlier)} == {"failed"}


def test_without_sync_level_the_jobs_may_still_report_but_know_the_error(house):
    [panda_id] = start(house, worker_id=worker_name("h3", 1))
    update_workers(house, "h3", [WorkerReport(1, WorkerStatus.FAILED, diag_message="evicted", error_code=7)])
    row = row_of(house, panda_id)
    assert (row["job_status"], row["sup_error_code"]) == ("running", 7)
    update_workers(house, "h3", [WorkerReport(2, WorkerStatus.RUNNING, ends_its_jobs=True, panda_ids=(panda_id,))])
    assert status_of(house, panda_id) == "running"


def test_a_verdict_of_the_pilot_is_left_to_the_adder_and_a_kill_counts_as_a_kill(house):
    [holding, killed] = start(house, 2, worker_id=worker_name("h4", 1))
    report_finished(house, holding)
    assert status_of(house, holding) == "holding"
    kill_jobs(house, [killed], Killer("alice", False))
    update_workers(house, "h4", [WorkerReport(1, WorkerStatus.CANCELLED, ends_its_jobs=True)])
    assert status_of(house, holding) == "holding"
    assert status_of(house, killed) == "cancelled"
    assert report(house, killed, "running") == "tobekilled"


def test_the_list_of_jobs_of_a_report_replaces_the_last_one(house):
    update_workers(house, "h5", [WorkerReport(1, panda_ids=(1, 2, 2))])
    update_workers(house, "h5", [WorkerReport(1, panda_ids=(2, 3))])
    update_workers(house, "h5", [WorkerReport(1)])
    rows = house.fetch("SELECT panda_id FROM harvester_worker_jobs WHERE harvester_id = 'h5' ORDER BY 1")
    assert [row["panda_id"] for row in rows] == [2, 3]


def test_the_pilots_view_stands_beside_the_factorys(house):
    assert note_pilot_status(house, "h6", 1, "started") is False
    update_workers(house, "h6", [WorkerReport(1, WorkerStatus.SUBMITTED)])
    assert note_pilot_status(house, "h6", 1, "started", "wn7") is True
    assert note_pilot_status(house, "h6", 1, "finished") is True
    row = worker(house, "h6")
    assert (row["status"], row["pilot_status"], row["node_id"]) == ("submitted", "finished", "wn7")
    assert row["pilot_start_time"] < row["pilot_end_time"]
    with pytest.raises(InvalidInput, match="status"):
        note_pilot_status(house, "h6", 1, "dancing")


def test_reports_on_the_same_workers_at_the_same_time_wait_for_each_other(house):
    failures: list[Exception] = []

    def tell(numbers: list[int]) -> None:
        try:
            for _ in range(10):
                update_workers(house, "busy", [WorkerReport(number, panda_ids=(number,)) for number in numbers])
        except Exception as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=tell, args=(list(numbers),)) for numbers in (range(50), range(49, -1, -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert largest_worker_id(house, "busy") == 49


# counts


def test_a_report_of_counts_replaces_the_last_one_of_that_queue_only(house):
    replace_counts(house, "c1", "QA", [WorkerCount("user", "SCORE", "running", 3)])
    replace_counts(house, "c1", "QB", [WorkerCount("user", "SCORE", "running", 4)])
    replace_counts(house, "c1", "QA", [WorkerCount("user", "MCORE", "submitted", 1)] * 2)
    rows = [row for row in recent_counts(house) if row["harvester_id"] == "c1"]
    found = [(row["computing_site"], row["resource_type"], row["worker_count"]) for row in rows]
    assert found == [("QA", "MCORE", 1), ("QB", "SCORE", 4)]
    house.execute("UPDATE harvester_worker_counts SET last_update = last_update - interval '5 h'")
    assert recent_counts(house) == []


def test_reports_of_counts_at_the_same_time_never_mix(house):
    kinds = {status: [WorkerCount("user", "SCORE", f"{status}{n}", 1) for n in range(20)] for status in "ab"}
    threads = [
        threading.Thread(
            target=lambda counts: [replace_counts(house, "c2", "Q", counts) for _ in range(10)], args=(counts,)
        )
        for counts in kinds.values()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {row["status"][0] for row in recent_counts(house) if row["harvester_id"] == "c2"}
    assert len(found) == 1


def test_live_workers_are_counted_one_by_one(house):
    states = (WorkerStatus.RUNNING, WorkerStatus.RUNNING, WorkerStatus.SUBMITTED, WorkerStatus.FAILED)
    update_workers(house, "l1", [WorkerReport(number, state, "QL") for number, state in enumerate(states)])
    assert live_workers_by_queue(house)["QL"] == {"running": 2, "submitted": 1}


# orders


def test_an_order_is_taken_once_in_order_and_acknowledged(house):
    numbers = [add_command(house, "o1", "KILL_WORKERS", {"n": number}) for number in range(3)]
    assert add_command(house, "o1", "KILL_WORKERS", {"n": 1}) == numbers[1]
    assert [row["command_id"] for row in take_commands(house, "o1", 2)] == numbers[:2]
    assert [row["params"] for row in take_commands(house, "o1", 9)] == [{"n": 2}]
    assert take_commands(house, "o1", 9) == []
    assert acknowledge_commands(house, [*numbers, 10**12]) == 3
    assert acknowledge_commands(house, numbers) == 0
    assert add_command(house, "o1", "KILL_WORKERS", {"n": 1}) > numbers[2]
    assert take_commands(house, "o2", 9) == []


def test_threads_that_fetch_orders_together_never_get_the_same_one(house):
    given_ = {add_command(house, "o3", "C", {"n": number}) for number in range(60)}
    taken: list[int] = []
    gate = threading.Barrier(4)

    def fetch() -> None:
        gate.wait()
        while rows := take_commands(house, "o3", 3):
            taken.extend(row["command_id"] for row in rows)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(given_)


@pytest.mark.parametrize("count", [-1, MAX_COMMANDS + 1])
def test_a_senseless_number_of_orders_is_refused(house, count):
    with pytest.raises(InvalidInput, match="n_commands"):
        take_commands(house, "o1", count)


def test_a_sweep_goes_to_the_factory_of_the_queue(house):
    ces = [{"ce_endpoint": "ce1"}, {"ce_endpoint": "ce2"}]
    make_queue(house, "SWEPT", parameters={"harvester": "o4", "queues": ces})
    add_sweep_command(
        house, "SWEPT", statuses=["submitted"], computing_elements=["ce1", "other"], submission_hosts=["ALL"]
    )
    [row] = take_commands(house, "o4", 5)
    assert row["command"] == "KILL_WORKERS"
    assert row["params"] == {
        **{"status": ["submitted"], "computingSite": ["SWEPT"], "computingElement": ["ce1"]},
        "submissionHost": "ALL",
    }
    nothing = {"statuses": [], "computing_elements": [], "submission_hosts": []}
    with pytest.raises(InvalidInput, match="not served by any harvester"):
        add_sweep_command(house, "Q", **nothing)
    with pytest.raises(UnknownObject, match="NOWHERE"):
        add_sweep_command(house, "NOWHERE", **nothing)


def test_a_wish_for_slots_holds_until_it_expires_or_is_taken_back(house):
    soon = datetime.now(UTC) + timedelta(hours=1)
    set_target_slots(house, "QS", 5)
    set_target_slots(house, "QS", 7, gshare="Test", expiration_time=soon)
    set_target_slots(house, "QS", 6)
    set_target_slots(house, "QS", 9, resource_type="MCORE", expiration_time=datetime.now(UTC) - timedelta(hours=1))
    wishes = [(row["gshare"], row["resource_type"], row["slots"]) for row in target_slots(house)]
    assert wishes == [("", "", 6), ("Test", "", 7)]
    set_target_slots(house, "QS", -1)
    set_target_slots(house, "QS", -1, gshare="Test")
    assert target_slots(house) == []
    with pytest.raises(InvalidInput, match="slots"):
        set_target_slots(house, "QS", -2)


# messages


def test_a_message_of_level_error_is_logged_once(house, caplog):
    at = datetime(2026, 11, 21, tzinfo=UTC)
    said = [
        Dialog(1, "submitter", "QA", at, "ERROR", "no proxy"),
        Dialog(2, "submitter", "QA", at, "INFO", "all well"),
        Dialog(3, "submitter", "QA", at, "SHOUT", "hello"),
    ]
    for _ in range(2):
        add_dialogs(house, "d1", said)
    records = [record for record in caplog.records if record.name == "panda.harvester"]
    assert [(record.levelname, record.getMessage()) for record in records] == [("ERROR", "submitter: no proxy")]
    assert (records[0].component, records[0].harvester_id) == ("harvester", "d1")
    add_dialogs(house, "d1", [Dialog(1, "submitter", "QA", at, "CRITICAL", "no disk")])
    assert caplog.records[-1].getMessage() == "submitter: no disk"
    assert len(house.fetch("SELECT 1 FROM harvester_dialogs WHERE harvester_id = 'd1'")) == 3


def test_a_heartbeat_makes_an_instance_and_adds_to_what_is_known_of_it(house):
    heartbeat(house, "i1", "alice", "host1", {"sw_version": "1"})
    heartbeat(house, "i1", "bob", "", {"commit": "abc"})
    [row] = house.fetch("SELECT * FROM harvester_instances WHERE harvester_id = 'i1'")
    assert (row["owner"], row["host_name"], row["details"]) == ("bob", "host1", {"sw_version": "1", "commit": "abc"})


# times


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("datetime/2024-11-02 00:02:18.250000", datetime(2024, 11, 2, 0, 2, 18, 250_000, UTC)),
        ("02-NOV-24 00:02:18", datetime(2024, 11, 2, 0, 2, 18, tzinfo=UTC)),
        ("02.11.24 00:02:18.5", datetime(2024, 11, 2, 0, 2, 18, 500_000, UTC)),
        ("2024-11-02T02:02:18+02:00", datetime(2024, 11, 2, 0, 2, 18, tzinfo=UTC)),
        ("2024-11-02", datetime(2024, 11, 2, tzinfo=UTC)),
    ],
)
def test_times_in_every_spelling_of_the_field(text, meant):
    assert parse_time(text, "t") == meant


@given(st.text() | st.integers() | st.none() | st.lists(st.integers()))
def test_any_text_is_a_time_in_utc_or_refused(value):
    try:
        assert parse_time(value, "when").tzinfo is UTC
    except InvalidInput as refused:
        assert refused.field == "when"
        assert refused.remedy


@given(st.datetimes())
def test_every_time_of_a_harvester_is_read_back(moment):
    assert parse_time(f"datetime/{moment.isoformat(' ', 'microseconds')}", "t") == moment.replace(tzinfo=UTC)
