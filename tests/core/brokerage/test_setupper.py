"""Brokerage over the real tables: what is read of queues, tasks and users, and what is kept of a decision."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from core.agents import setupper
from core.agents.setupper import Setupper
from core.brokerage.facts import LoadBook, read_candidates
from core.database import Database, Row, Transaction
from core.direct_submission import submit_jobs
from core.queues import set_endpoint, set_queue
from core.shares.usage import refresh
from core.taskbuffer.submission import NewFile
from core.workload_settings import BrokerageSettings
from tests.support.builders import (
    activate,
    broker,
    history_of,
    jobs_of_task,
    live,
    make_dataset,
    make_queue,
    make_task,
    new_job,
    put_into,
    row_of,
    start,
    status_of,
    submit,
)


def decision_of(database: Database, panda_id: int) -> Row:
    [row] = database.fetch(
        "SELECT d.* FROM job_brokerage b JOIN brokerage_decisions d USING (decision_id) WHERE b.panda_id = %(id)s",
        {"id": panda_id},
    )
    return row


def cycle(database: Database, **settings: Any) -> int:
    return Setupper(database, 1, BrokerageSettings(**settings)).cycle()


def candidates(database: Database) -> dict[str, Any]:
    with database.transaction() as transaction:
        return {queue.queue_name: queue for queue in read_candidates(transaction)}


def test_a_decision_keeps_its_kind_its_weights_and_what_bound_it(database):
    make_queue(database, "A", max_ram_mb=100)
    make_queue(database, "B")
    make_queue(database, "C", max_ram_mb=100)
    start(database, 3, queue="B")
    activate(database, 1, queue="B")
    [taken] = submit(database, queue="", min_ram_mb=200)
    [managed] = submit(database, queue="", prod_source_label="managed")
    broker(database)
    decision = decision_of(database, taken)
    assert (decision["kind"], decision["candidate_count"], decision["binding_step"]) == ("analysis", 3, "")
    assert decision["weights"] == [{"queue": "B", "weight": 2.0, "running": 3, "waiting": 1}]
    assert decision_of(database, managed)["kind"] == "production"
    [hopeless] = submit(database, queue="", core_count=9)
    for name in ("A", "B", "C"):
        set_queue(database, name, {"max_core_count": 8})
    broker(database)
    decision = decision_of(database, hopeless)
    assert (decision["binding_step"], decision["is_temporary"], decision["weights"]) == ("cores", False, [])


def test_a_reason_that_goes_by_itself_is_marked(database):
    make_queue(database, "Q")
    activate(database, 1)
    database.execute("UPDATE jobs_live SET state_change_time = clock_timestamp() - interval '5 hours'")
    database.execute(
        """INSERT INTO queue_contacts (queue_name, last_request_time) VALUES ('Q', clock_timestamp() - interval '4 hours')
           ON CONFLICT (queue_name) DO UPDATE SET last_request_time = excluded.last_request_time"""
    )
    [panda_id] = submit(database, queue="")
    assert broker(database) == 0
    decision = decision_of(database, panda_id)
    assert (decision["binding_step"], decision["is_temporary"]) == ("nopilot", True)
    assert "Q saw no pilot for 4.0 h, with 1 job waiting" in live(database, panda_id)["brokerage_error_diag"]


def test_a_queue_at_rest_is_woken_however_long_no_pilot_called(database):
    make_queue(database, "Q")
    database.execute("INSERT INTO queue_contacts VALUES ('Q', '2020-01-01', '2020-01-01', 1, 1)")
    [panda_id] = submit(database, queue="", prod_source_label="managed", current_priority=900)
    assert broker(database) == 1
    assert status_of(database, panda_id) == "activated"


def test_loads_are_counted_by_state(database):
    make_queue(database, "Q")
    panda_ids = activate(database, 12)
    for panda_id, status in zip(
        panda_ids,
        ["running", "stagein", "starting", "sent", "holding", "transferring", "assigned", "throttled", "pending"],
        strict=False,
    ):
        put_into(database, panda_id, status, core_count=4)
    queue = candidates(database)["Q"]
    assert (queue.running, queue.starting, queue.transferring, queue.assigned, queue.defined) == (2, 2, 2, 1, 2)
    assert (queue.activated, queue.waiting) == (3, 8)
    assert queue.oldest_activated_s is not None and 0 <= queue.oldest_activated_s < 60


def test_what_is_counted_elsewhere_is_read(database):
    make_queue(database, "Q", parameters={"space": 1.5})
    start(database, 1, core_count=4)
    refresh(database)
    database.execute(
        """INSERT INTO throughput_hours (bin_time, computing_site, job_status, prod_source_label, job_count)
           SELECT date_trunc('hour', clock_timestamp()) - make_interval(hours => h), 'Q', s, 'user', 10
           FROM generate_series(1, 10) h, unnest(ARRAY['running', 'finished']) s"""
    )
    database.execute("INSERT INTO harvester_worker_counts VALUES ('Q', 'h', 'managed', 'SCORE', 'running', 7)")
    database.execute(
        "INSERT INTO harvester_slots (computing_site, gshare, resource_type, slots) VALUES ('Q', '', '', 64)"
    )
    queue = candidates(database)["Q"]
    assert (queue.started_lately, queue.workers, queue.slots, queue.free_storage_mb) == (60, 7, 64, 1500)
    assert (queue.running_cores, queue.by_resource_type) == (4, {"MCORE": (0, 1)})


def test_counts_are_kept_for_some_seconds_with_what_brokerage_added(database):
    make_queue(database, "Q")
    activate(database, 2)
    book = LoadBook(load_s=3600)
    with database.transaction() as transaction:
        [queue] = book.read(transaction)
        queue.activated += 5
    activate(database, 1)
    set_queue(database, "Q", {"status": "paused"})
    with database.transaction() as transaction:
        [queue] = book.read(transaction)
        assert (queue.activated, queue.status) == (7, "paused")
        assert LoadBook(load_s=3600).read(transaction)[0].activated == 3


def test_groups_of_one_cycle_see_each_other(database):
    for name in ("A", "B"):
        make_queue(database, name)
    for _ in range(2):
        submit(database, 5, queue="", min_ram_mb=1)
        submit(database, 5, queue="", min_ram_mb=2)
    assert cycle(database) == 20
    sites = Counter(row["computing_site"] for row in database.fetch("SELECT computing_site FROM jobs_live"))
    assert sites == {"A": 10, "B": 10}


def test_input_is_read_from_another_storage_where_the_queue_does_so(database):
    set_endpoint(database, "FAR", mover="symlink", path="/far")
    make_dataset(database, "in", ["a", "b"], at=["FAR"])
    make_queue(database, "CANNOT")
    make_queue(database, "READS", parameters={"direct_access_wan": True})
    job = new_job(queue="", outputs=["out"])
    job.files += [NewFile("input", "a", "a", dataset="in"), NewFile("sandbox", "b", "b", dataset="in")]
    [panda_id] = submit_jobs(database, [job])
    assert broker(database) == 1
    assert (status_of(database, panda_id), row_of(database, panda_id)["computing_site"]) == ("activated", "READS")
    files = database.fetch(
        "SELECT type, endpoint, pfn, status FROM job_files WHERE panda_id = %(id)s", {"id": panda_id}
    )
    places = {file["type"]: (file["endpoint"], file["pfn"], file["status"]) for file in files}
    assert places["input"] == ("FAR", "/FAR/a", "ready")
    assert places["output"][0] == "READS_DISK"
    [reason] = database.fetch("SELECT reason FROM job_history WHERE job_status = 'activated'")
    assert reason["reason"] == "queue chosen, input is read from elsewhere"


def test_input_at_a_storage_that_is_offline_is_nowhere(database):
    set_endpoint(database, "FAR", mover="symlink", path="/far", state="offline")
    make_dataset(database, "in", ["a"], at=["FAR"])
    make_queue(database, "READS", parameters={"direct_access_wan": True})
    job = new_job(queue="")
    job.files.append(NewFile("input", "a", "a", dataset="in"))
    [panda_id] = submit_jobs(database, [job])
    assert broker(database) == 0
    assert "lacks input" in live(database, panda_id)["brokerage_error_diag"]


@pytest.mark.parametrize(("status", "taken"), [("online", "CUT"), ("offline", "OTHER")])
def test_jobs_go_to_the_queue_they_were_cut_for_if_it_still_takes_them(database, status, taken):
    make_queue(database, "CUT", status=status)
    make_queue(database, "OTHER")
    start(database, 5, queue="OTHER")
    [panda_id] = submit(database, queue="")
    database.execute("UPDATE jobs_live SET computing_site = 'CUT' WHERE panda_id = %(id)s", {"id": panda_id})
    broker(database)
    assert row_of(database, panda_id)["computing_site"] == taken


def end_badly(database: Database, panda_ids: list[int], statuses: list[str], queue: str) -> None:
    """Put jobs into the archive, as if they had ended at a queue."""
    for panda_id, status in zip(panda_ids, statuses, strict=True):
        database.execute(
            """WITH gone AS (DELETE FROM jobs_live WHERE panda_id = %(id)s RETURNING *)
               INSERT INTO jobs_archive SELECT g.* FROM gone, LATERAL jsonb_populate_record(NULL::jobs_archive,
                   to_jsonb(gone) || jsonb_build_object('job_status', %(status)s::text, 'computing_site', %(queue)s::text))
                   g""",
            {"id": panda_id, "status": status, "queue": queue},
        )


def test_a_task_avoids_the_queue_that_loses_its_jobs(database):
    for name in ("BAD", "GOOD"):
        make_queue(database, name)
    start(database, 9, queue="BAD")
    task_id = make_task(database, site="", nJobs=8)
    first, *rest = jobs_of_task(database, task_id)
    end_badly(database, rest[:6], ["failed", "closed", "failed", "failed", "finished", "cancelled"], "BAD")
    database.execute("UPDATE tasks SET n_failed = 4, n_finished = 1 WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert cycle(database, closed_minimum=4) == 2
    assert row_of(database, first)["computing_site"] == "GOOD"
    funnel = {step["criterion"]: step["excluded"] for step in decision_of(database, first)["funnel"]}
    assert funnel["closed"] == [
        {
            "queue": "BAD",
            "reason": "lost 4 jobs of this task in the last 12 h (failed or closed) and finished 1",
        }
    ]


def test_losses_of_another_task_or_of_long_ago_do_not_count(database):
    for name in ("BAD", "GOOD"):
        make_queue(database, name)
    start(database, 9, queue="BAD")
    other = make_task(database, site="", nJobs=8)
    end_badly(database, jobs_of_task(database, other), ["failed"] * 8, "BAD")
    old = make_task(database, site="", nJobs=8)
    end_badly(database, jobs_of_task(database, old)[:7], ["failed"] * 7, "BAD")
    database.execute(
        """UPDATE jobs_archive SET state_change_time = state_change_time - interval '13 hours'
           WHERE jedi_task_id = %(id)s""",
        {"id": old},
    )
    database.execute("UPDATE tasks SET n_failed = 8")
    fresh = make_task(database, site="", nJobs=1)
    cycle(database, closed_minimum=4)
    for task_id in (old, fresh):
        [panda_id] = [one for one in jobs_of_task(database, task_id) if live(database, one)]
        assert row_of(database, panda_id)["computing_site"] == "BAD"


def test_a_user_who_fills_a_queue_is_sent_to_others_and_other_users_are_not(database):
    for name in ("CROWDED", "OTHER"):
        make_queue(database, name)
    activate(database, 30, queue="CROWDED", user="alice")
    activate(database, 1, queue="CROWDED", user="bob")
    start(database, 60, queue="CROWDED", user="carol")
    # alice's part of max(10, 1 x 60) jobs is a third; bob has little and always passes
    settings = {"queue_base": 10, "user_queue_base": 5, "max_overloaded": 1}
    [alices], [bobs] = submit(database, queue="", user="alice"), submit(database, queue="", user="bob")
    assert cycle(database, **settings) == 2
    assert row_of(database, alices)["computing_site"] == "OTHER"
    funnel = {step["criterion"]: step["excluded"] for step in decision_of(database, alices)["funnel"]}
    assert funnel["user_queue"] == [
        {"queue": "CROWDED", "reason": "has 30 jobs of alice queued, 20 are this user's part of 60"}
    ]
    assert row_of(database, bobs)["computing_site"] == "CROWDED"


def test_needs_of_the_task_reach_the_criteria(database):
    make_queue(database, "PLAIN", parameters={"wnconnectivity": "http", "max_io_intensity": 100, "maxdiskio": 10})
    make_queue(database, "FAST", parameters={"wnconnectivity": "full#IPv4", "maxdiskio": 1000})
    for parameters, reason in (
        ({"ipConnectivity": "full#IPv4"}, "has network http for payloads, the task needs full"),
        ({"ioIntensity": 101, "ioIntensityUnit": "kBPerS"}, "bears 100 kB/s of traffic, the job makes 101 kB/s"),
        ({"diskIO": 11}, "bears 10 kB/s on local disks for a core, the job makes 11 kB/s"),
    ):
        task_id = make_task(database, site="", **parameters)
        broker(database)
        [panda_id] = jobs_of_task(database, task_id)
        said = [entry for step in decision_of(database, panda_id)["funnel"] for entry in step["excluded"]]
        assert said == [{"queue": "PLAIN", "reason": reason}]
        assert history_of(database, panda_id)[-1] == "activated"


def test_a_share_goes_only_where_its_jobs_are_given_out(database):
    make_queue(database, "GRID", parameters={"resource_type": "grid"})
    make_queue(database, "HPC", parameters={"resource_type": "hpc"})
    database.execute("INSERT INTO global_shares (name, value, rtype) VALUES ('massive', 1, 'hpc.*')")
    [panda_id] = submit(database, queue="")
    database.execute("UPDATE jobs_live SET gshare = 'massive'")
    broker(database)
    assert row_of(database, panda_id)["computing_site"] == "HPC"


def test_a_hundred_groups_are_written_by_a_few_statements(database, monkeypatch):
    make_queue(database, "A")
    make_queue(database, "B", max_ram_mb=50)
    for number in range(100):
        submit(database, queue="", min_ram_mb=number)
    statements: list[str] = []
    for name in ("fetch", "execute", "insert_many"):
        original = getattr(Transaction, name)

        def counted(self, statement, *rest, _original=original, **named):
            statements.append(statement)
            return _original(self, statement, *rest, **named)

        monkeypatch.setattr(Transaction, name, counted)
    assert cycle(database) == 100
    assert len(statements) < 25
    assert len(database.fetch("SELECT 1 FROM brokerage_decisions")) == 100


def test_jobs_that_no_queue_can_take_keep_no_others_waiting(database, monkeypatch):
    monkeypatch.setattr(setupper, "_BATCH", 4)
    monkeypatch.setattr(setupper, "_AGAIN_AT_LEAST", 1)
    make_queue(database, "A", max_ram_mb=500)
    large = submit(database, 8, queue="", min_ram_mb=1000)
    [late] = submit(database, 1, queue="")
    agent = Setupper(database, 1, BrokerageSettings(retry_s=0.001))
    for _ in range(3):
        agent.cycle()
    assert status_of(database, late) == "activated"
    looked = [live(database, panda_id)["brokerage_time"] for panda_id in large]
    # all of them in turn, and not the oldest ones again and again
    for _ in range(2):
        agent.cycle()
    assert all(live(database, job)["brokerage_time"] > before for job, before in zip(large, looked, strict=True))
