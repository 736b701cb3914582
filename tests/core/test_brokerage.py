"""Choosing a queue: each criterion leaves out exactly whom it should, and people can read why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.brokerage.broker import broker, spread, weight
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criteria import ANALYSIS
from core.database import Database
from core.direct_submission import submit_jobs
from core.queues import QUEUE_STATUSES, set_queue
from core.taskbuffer.submission import NewFile
from tests.support.builders import (
    activate,
    history_of,
    jobs_of_task,
    live,
    make_dataset,
    make_queue,
    make_task,
    new_job,
    put_into,
    row_of,
    status_of,
    submit,
)
from tests.support.builders import broker as cycle

MODEST = Request(1, 0, 0, 0, "user", has_input=False, complete_at=frozenset())
ANY = Candidate("ANY", "online", "DISK", 0, 0, 0, 0)

# criterion, a request, a queue that just takes it, the queues that do not, and what is said of them
TABLE = [
    ("status", MODEST, ANY, {status: f"is {status}" for status in QUEUE_STATUSES if status != "online"}, "status"),
    ("included", replace(MODEST, included=("A*",)), ANY, {"B0": "is not among includedSite"}, "queue_name"),
    ("excluded", replace(MODEST, excluded=("B?",)), ANY, {"B0": "is among excludedSite"}, "queue_name"),
    ("storage", MODEST, ANY, {False: "its storage DISK is offline"}, "storage_is_online"),
    ("memory", replace(MODEST, min_ram_mb=4000), replace(ANY, max_ram_mb=4000), {3999: "allows 3999 MB"}, "max_ram_mb"),
    ("cores", replace(MODEST, core_count=8), replace(ANY, max_core_count=8), {7: "has slots of 7"}, "max_core_count"),
    ("disk", replace(MODEST, max_disk_mb=10), replace(ANY, max_disk_mb=10), {9: "has 9 MB of scratch"}, "max_disk_mb"),
    (
        "walltime",
        replace(MODEST, max_walltime_s=60),
        replace(ANY, max_walltime_s=60),
        {59: "ends jobs after 59 s"},
        "max_walltime_s",
    ),
    (
        "input",
        replace(MODEST, has_input=True, complete_at=frozenset({"DISK"})),
        ANY,
        {"OTHER": "its storage OTHER lacks input"},
        "storage_endpoint",
    ),
]


def test_queues_named_before_auto_come_first_and_others_only_without_them():
    named, other = replace(ANY, queue_name="NAMED"), replace(ANY, queue_name="OTHER")
    request = replace(MODEST, included=("NAMED", "AUTO"))
    assert broker(request, [other, named]).accepted == [named]
    assert broker(request, [other, replace(named, status="offline")]).accepted == [other]
    assert broker(replace(MODEST, included=("AUTO",)), [other]).accepted == [other]


@pytest.mark.parametrize(
    ("name", "request_", "fitting", "others", "attribute"), TABLE, ids=[entry[0] for entry in TABLE]
)
def test_a_criterion_leaves_out_exactly_whom_it_should(name, request_, fitting, others, attribute):
    candidates = [fitting, *(replace(fitting, **{"queue_name": f"B{n}", attribute: v}) for n, v in enumerate(others))]
    decision = broker(request_, candidates)
    assert decision.accepted == [fitting]
    for step in decision.steps:
        excluded = {entry["queue"]: entry["reason"] for entry in step.excluded}
        if step.criterion != name:
            assert excluded == {}
            continue
        assert (step.before, step.after) == (len(candidates), 1)
        assert set(excluded) == {f"B{number}" for number in range(len(others))}
        for number, reason in enumerate(others.values()):
            assert excluded[f"B{number}"].startswith(reason)


@pytest.mark.parametrize("label", ["test", "prod_test", "ptest", "rc_test", "rc_alrb"])
def test_test_jobs_may_go_to_queues_in_test(label):
    in_test = replace(ANY, status="test")
    assert broker(replace(MODEST, prod_source_label=label), [in_test]).accepted == [in_test]


def test_a_queue_without_storage_takes_nothing_because_every_job_stores_its_log():
    decision = broker(MODEST, [replace(ANY, storage_endpoint="", storage_is_online=False)])
    assert "ANY has no storage endpoint" in decision.explanation()


def test_a_queue_without_limits_takes_anything():
    greedy = Request(1000, 10**9, 10**9, 10**9, "user", has_input=False, complete_at=frozenset())
    assert broker(greedy, [ANY]).accepted == [ANY]


def test_a_pinned_job_goes_where_it_was_sent_whatever_the_queue_is():
    offline = replace(ANY, queue_name="B", status="offline", max_ram_mb=1)
    decision = broker(replace(MODEST, pinned_queue="B", min_ram_mb=100), [ANY, offline])
    assert decision.accepted == [offline]
    assert [step.sentence for step in decision.steps] == ["the submitter chose this queue"]


def test_the_queue_that_drains_fastest_comes_first_and_names_break_ties():
    slow = replace(ANY, queue_name="SLOW", running=1, activated=30)
    fast = replace(ANY, queue_name="FAST", running=50, activated=10)
    twins = [replace(ANY, queue_name=name) for name in ("B", "A")]
    assert [queue.queue_name for queue in broker(MODEST, [slow, *twins, fast]).accepted] == ["FAST", "A", "B", "SLOW"]
    assert spread(twins, MODEST, 1)[0].queue_name == "A"


def test_a_bunch_of_jobs_spreads_by_weight():
    busy = replace(ANY, queue_name="BUSY", running=29)
    idle = replace(ANY, queue_name="IDLE", running=9)
    chosen = Counter(queue.queue_name for queue in spread([busy, idle], MODEST, 100))
    assert 70 <= chosen["BUSY"] <= 80
    assert weight(busy) == pytest.approx(weight(idle), rel=0.3)


def test_the_reason_names_the_step_that_left_nobody():
    small = [replace(ANY, queue_name=f"S{number}", max_ram_mb=100) for number in range(30)]
    decision = broker(replace(MODEST, min_ram_mb=200), [replace(ANY, status="offline"), *small])
    assert decision.binding_step is not None
    assert decision.binding_step.criterion == "memory"
    assert decision.explanation().startswith(
        "no queue is left after 'the queue allows the memory the job needs': S0 allows 100 MB, the job needs 200 MB; S1"
    )
    assert (decision.steps[-1].before, decision.steps[-1].after, len(decision.steps[-1].excluded)) == (30, 0, 20)
    assert broker(MODEST, []).explanation() == "there is no queue"


@given(
    request_=st.builds(
        Request,
        core_count=st.integers(1, 64),
        min_ram_mb=st.integers(0, 8000),
        max_disk_mb=st.integers(0, 100),
        max_walltime_s=st.integers(0, 100),
        prod_source_label=st.sampled_from(["user", "managed", "test"]),
        has_input=st.booleans(),
        complete_at=st.frozensets(st.sampled_from(["D1", "D2"])),
    ),
    limits=st.lists(
        st.tuples(
            *(st.sampled_from(QUEUE_STATUSES), st.sampled_from(["D1", "D2", ""]), st.integers(0, 8000)),
            *(st.integers(0, 100), st.integers(0, 64), st.integers(0, 100), st.integers(0, 9), st.integers(0, 9)),
        ),
        max_size=8,
    ),
)
def test_nobody_gets_lost_between_the_steps(request_, limits):
    candidates = [Candidate(f"Q{number}", *values) for number, values in enumerate(limits)]
    decision = broker(request_, candidates)
    assert decision.steps[0].before == len(candidates)
    for before, after in zip(decision.steps, decision.steps[1:], strict=False):
        assert before.after == after.before
    assert decision.steps[-1].after == len(decision.accepted)
    assert sum(len(step.excluded) for step in decision.steps) + len(decision.accepted) == len(candidates)
    fits = [queue for queue in candidates if all(criterion.reason(request_, queue) is None for criterion in ANALYSIS)]
    assert sorted(queue.queue_name for queue in fits) == sorted(queue.queue_name for queue in decision.accepted)
    assert bool(decision.explanation()) is not bool(decision.accepted)


# the setupper over the real tables


def decision_of(database: Database, panda_id: int):
    return database.fetch_one(
        "SELECT d.* FROM job_brokerage b JOIN brokerage_decisions d USING (decision_id) WHERE b.panda_id = %(id)s",
        {"id": panda_id},
    )


def test_a_decision_is_stored_in_words(database):
    make_queue(database, "SMALL", max_ram_mb=100)
    make_queue(database, "BIG")
    make_queue(database, "DOWN", status="offline")
    [panda_id] = submit(database, queue="", min_ram_mb=200)
    assert cycle(database) == 1
    assert row_of(database, panda_id)["computing_site"] == "BIG"
    decision = decision_of(database, panda_id)
    assert decision["chosen"] == "BIG"
    funnel = {step["criterion"]: (step["before"], step["after"], step["excluded"]) for step in decision["funnel"]}
    assert funnel["status"] == (3, 2, [{"queue": "DOWN", "reason": "is offline"}])
    assert funnel["memory"] == (2, 1, [{"queue": "SMALL", "reason": "allows 100 MB, the job needs 200 MB"}])
    assert all(step["sentence"] for step in decision["funnel"])


def test_a_job_no_queue_can_take_stays_defined_with_the_reason(database):
    make_queue(database, "SMALL", max_ram_mb=100)
    [panda_id] = submit(database, queue="", min_ram_mb=200)
    assert cycle(database) == 0
    row = live(database, panda_id)
    assert row is not None
    assert (row["job_status"], row["brokerage_error_code"]) == ("defined", 100)
    assert "SMALL allows 100 MB, the job needs 200 MB" in row["brokerage_error_diag"]
    assert decision_of(database, panda_id)["chosen"] == ""


def test_the_same_refusal_again_is_not_stored_again(database):
    make_queue(database, "SMALL", max_ram_mb=100)
    [panda_id] = submit(database, queue="", min_ram_mb=200)
    for _ in range(3):
        cycle(database)
        put_into(database, panda_id, "defined", brokerage_time=None)
    assert len(database.fetch("SELECT 1 FROM brokerage_decisions")) == 1
    set_queue(database, "SMALL", {"status": "offline"})
    cycle(database)
    assert len(database.fetch("SELECT 1 FROM brokerage_decisions")) == 2
    set_queue(database, "SMALL", {"status": "online", "max_ram_mb": 200})
    put_into(database, panda_id, "defined", brokerage_time=None)
    assert cycle(database) == 1
    row = row_of(database, panda_id)
    assert (row["job_status"], row["brokerage_error_code"], row["brokerage_error_diag"]) == ("activated", 0, "")


def test_a_job_that_waits_is_not_asked_for_in_every_cycle(database):
    make_queue(database, "SMALL", max_ram_mb=100)
    [hopeless] = submit(database, queue="", min_ram_mb=200)
    cycle(database)
    asked = row_of(database, hopeless)["brokerage_time"]
    [easy] = submit(database, queue="")
    assert cycle(database) == 1
    assert status_of(database, easy) == "activated"
    assert row_of(database, hopeless)["brokerage_time"] == asked


def test_work_goes_to_its_data(database):
    make_queue(database, "HERE")
    make_queue(database, "THERE")
    make_dataset(database, "in", ["a", "b"], at=["THERE_DISK"])
    make_dataset(database, "half", ["c"], at=["HERE_DISK"])
    whole, split = new_job(queue=""), new_job(queue="")
    whole.files += [NewFile("input", "a", "a", dataset="in"), NewFile("sandbox", "b", "b", dataset="in")]
    split.files += [NewFile("input", "a", "a", dataset="in"), NewFile("input", "c", "c", dataset="half")]
    first, second = submit_jobs(database, [whole, split])
    cycle(database)
    assert (status_of(database, first), row_of(database, first)["computing_site"]) == ("activated", "THERE")
    assert status_of(database, second) == "defined"
    assert "lacks input" in row_of(database, second)["brokerage_error_diag"]


def test_a_pinned_job_waits_at_its_queue_for_its_input(database):
    make_queue(database, "HERE")
    make_queue(database, "THERE")
    make_dataset(database, "in", ["a"], at=["THERE_DISK"])
    job = new_job(queue="HERE")
    job.files.append(NewFile("input", "a", "a", dataset="in"))
    [panda_id] = submit_jobs(database, [job])
    cycle(database)
    assert history_of(database, panda_id) == ["defined", "assigned"]


def test_a_task_is_spread_by_one_decision(database):
    for name in ("A", "B", "C"):
        make_queue(database, name)
    task_id = make_task(database, site="", nJobs=30)
    assert cycle(database) == 30
    panda_ids = jobs_of_task(database, task_id)
    assert Counter(row_of(database, panda_id)["computing_site"] for panda_id in panda_ids) == {
        "A": 10,
        "B": 10,
        "C": 10,
    }
    assert len({decision_of(database, panda_id)["decision_id"] for panda_id in panda_ids}) == 1
    assert decision_of(database, panda_ids[0])["chosen"] == "A, B, C"


def test_queues_full_of_waiting_jobs_get_fewer_new_ones(database):
    make_queue(database, "FULL")
    make_queue(database, "EMPTY")
    activate(database, 20, queue="FULL")
    submit(database, 10, queue="")
    cycle(database)
    assert len(database.fetch("SELECT 1 FROM jobs_live WHERE computing_site = 'EMPTY'")) == 10


def test_a_large_batch_takes_several_cycles(database):
    make_queue(database)
    submit(database, 1500)
    assert [cycle(database) for _ in range(3)] == [1000, 500, 0]
