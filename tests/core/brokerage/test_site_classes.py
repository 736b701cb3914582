"""Where users' jobs wait long and where they do not: the class of a queue, that of a task, and what both do to a weight."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents.rebroker import Rebroker
from core.agents.setupper import Setupper
from core.brokerage.broker import broker
from core.brokerage.facts import LoadBook, read_candidates
from core.brokerage.requests import requests_of_jobs
from core.brokerage.site_classes import HI, LO, MID, class_of, classify, factor_of, percentile
from core.brokerage.task_classes import SLOTS_OF_A, SLOTS_OF_B, class_by_slots, is_almost_done
from core.brokerage.weighing import weigh, weight
from core.database import Database
from core.queues import set_queue
from core.shares.usage import refresh
from core.workload_settings import BrokerageSettings, RebrokerageSettings
from tests.core.brokerage.describing import ask, queue
from tests.support.builders import make_queue, make_task, put_into, row_of, start, submit

HOUR = 3600.0


def waited(database: Database, name: str, p95_s: float, *, hours_ago: float = 1.0, starts: int = 10) -> None:
    """An hour in which jobs started there."""
    database.execute(
        "INSERT INTO wait_hours (computing_site, hour, starts, p95_s) VALUES (%(name)s, "
        "clock_timestamp() - make_interval(secs => %(ago)s), %(starts)s, %(p95)s)",
        {"name": name, "ago": hours_ago * HOUR, "starts": starts, "p95": p95_s},
    )


def candidates(database: Database) -> dict[str, Any]:
    with database.transaction() as transaction:
        return {one.queue_name: one for one in read_candidates(transaction)}


def class_of_job(database: Database, panda_id: int) -> str:
    with database.transaction() as transaction:
        queues = read_candidates(transaction)
        [request] = requests_of_jobs(transaction, [row_of(database, panda_id)], queues)
    return request.task_class


def grid(**waits: float | None) -> dict[str, Any]:
    """Queues of usual waits, each of which started something."""
    queues = [queue(name, usual_wait_s=wait, starts_of_day=1) for name, wait in waits.items()]
    classify(queues)
    return {one.queue_name: one for one in queues}


def test_the_queues_of_a_grid_are_cut_in_three_by_their_usual_waits():
    # the 33rd percentile of 10 min, 2 h, 10 h is 600 + 0.66 x 6600 = 4956 s, the 67th 7200 + 0.34 x 28800 = 16992 s
    classes = {name: one.site_class for name, one in grid(QUICK=600, MEDIUM=7200, SLOW=36000, NEW=None).items()}
    assert classes == {"QUICK": HI, "MEDIUM": MID, "SLOW": LO, "NEW": MID}


@pytest.mark.parametrize(
    ("waits", "classes"),
    [
        ({"A": 0.0}, [HI]),
        ({"A": HOUR - 1}, [HI]),
        ({"A": HOUR}, [MID]),
        ({"A": 3 * HOUR}, [MID]),
        # alone, or as all others are, none is slow for what is usual
        ({"A": 30 * HOUR}, [MID]),
        ({"A": 9 * HOUR, "B": 9 * HOUR, "C": 9 * HOUR}, [MID, MID, MID]),
        ({"A": 0.0, "B": 3 * HOUR}, [HI, MID]),
        ({"A": 0.0, "B": 0.0, "C": 0.0, "D": 3 * HOUR + 1}, [HI, HI, HI, LO]),
        ({"A": 0.0, "B": 0.0, "C": 0.0, "D": 3 * HOUR}, [HI, HI, HI, MID]),
        ({"A": 20 * HOUR, "B": 40 * HOUR}, [HI, LO]),
    ],
)
def test_the_limits_of_the_classes(waits, classes):
    assert [one.site_class for one in grid(**waits).values()] == classes


def test_a_queue_that_started_nothing_for_a_day_is_not_quick():
    idle, busy = queue("IDLE", usual_wait_s=60.0), queue("BUSY", usual_wait_s=60.0, started_lately=1)
    classify([idle, busy])
    assert (idle.site_class, busy.site_class) == (MID, HI)


def test_what_waits_too_long_now_counts_more_than_what_is_usual():
    stuck = queue("STUCK", usual_wait_s=60.0, starts_of_day=9, oldest_activated_s=3 * HOUR + 1)
    late = queue("LATE", usual_wait_s=60.0, starts_of_day=9, oldest_activated_s=HOUR)
    # nobody knows what is usual there
    unknown = queue("UNKNOWN", oldest_activated_s=99 * HOUR)
    classify([stuck, late, unknown])
    assert [one.site_class for one in (stuck, late, unknown)] == [LO, MID, MID]
    assert (stuck.expected_wait_s, late.expected_wait_s, unknown.expected_wait_s) == (3 * HOUR + 1, HOUR, None)


WAITS = st.floats(min_value=0, max_value=1e9, allow_nan=False)


@given(st.lists(WAITS, min_size=1, max_size=30), st.lists(st.integers(0, 3), min_size=30, max_size=30))
def test_who_waits_longer_is_never_of_a_better_class(waits, starts):
    queues = [queue(f"Q{number}", usual_wait_s=wait, starts_of_day=starts[number]) for number, wait in enumerate(waits)]
    classify(queues)
    order = [HI, MID, LO]
    for started in (True, False):
        alike = sorted(
            (one for one in queues if (one.starts_of_day > 0) is started), key=lambda one: one.usual_wait_s or 0
        )
        ranks = [order.index(one.site_class) for one in alike]
        assert ranks == sorted(ranks)
    for kind in "SA":
        factors = [
            factor_of(kind, one.site_class) for one in sorted(queues, key=lambda one: order.index(one.site_class))
        ]
        assert factors == sorted(factors, reverse=True)


@given(st.lists(WAITS, min_size=1, max_size=20), st.floats(0, 1))
def test_a_percentile_lies_among_the_values(values, part):
    ordered = sorted(values)
    assert ordered[0] <= percentile(ordered, part) * (1 + 1e-9) and percentile(ordered, part) <= ordered[-1] * (
        1 + 1e-9
    )


def test_a_class_is_decided_strictly_below_and_strictly_above_the_limits():
    assert [class_of(wait, 1, 100, 200) for wait in (99.9, 100, 200, 200.1, None)] == [HI, MID, MID, LO, MID]
    assert class_of(0, 0, 100, 200) == MID


@pytest.mark.parametrize(
    ("kind", "best", "worst"),
    [("S", "QUICK", "SLOW"), ("A", "QUICK", "SLOW"), ("B", "MEDIUM", "QUICK"), ("C", "SLOW", "QUICK")],
)
def test_the_class_decides_among_queues_that_are_equal_otherwise(kind, best, worst):
    queues = [*grid(QUICK=600, MEDIUM=7200, SLOW=36000).values()]
    accepted = broker(ask(task_class=kind), queues).accepted
    assert (accepted[0].queue_name, accepted[-1].queue_name) == (best, worst)
    # production does not ask for classes, nor do jobs that have none
    for request in (ask("managed", task_class=kind), ask()):
        assert [one.queue_name for one in broker(request, queues).accepted] == ["MEDIUM", "QUICK", "SLOW"]


def test_the_weight_is_worked_out_by_hand_from_its_parts():
    slow = grid(QUICK=600, MEDIUM=7200, SLOW=36000)["SLOW"]
    slow.running, slow.activated = 39, 9
    # (39 + 1) / (9 + 1) x 0.5
    assert weigh(ask(task_class="A"), slow).as_dict() == {
        **{"queue": "SLOW", "weight": 2.0, "running": 39, "waiting": 9},
        **{"site_class": "lo", "expected_wait_s": 36000, "task_class": "A", "factor": 0.5},
    }
    assert weight(slow, ask(task_class="C")) == pytest.approx(8.0)
    parts = weigh(ask(), slow).parts
    assert (parts["site_class"], parts["factor"], "task_class" in parts) == ("lo", 1.0, False)


def test_without_a_history_of_waits_a_weight_is_what_it_was():
    busy = queue(running=9, activated=2, assigned=1, starting=1, oldest_activated_s=9 * HOUR)
    classify([busy, queue("OTHER")])
    for kind in ("", "S", "A", "B", "C"):
        weighed = weigh(ask(task_class=kind), busy)
        assert weighed.as_dict() == {"queue": "ANY", "weight": 2.0, "running": 9, "waiting": 4}


def test_a_busier_queue_is_taken_all_the_same_if_it_is_much_lighter():
    queues = grid(QUICK=600, MEDIUM=7200, SLOW=36000)
    queues["SLOW"].running = 4
    # 1 x 2 < 5 x 0.5
    assert broker(ask(task_class="A"), [*queues.values()]).accepted[0].queue_name == "SLOW"


@pytest.mark.parametrize(
    ("on_hi", "on_mid", "kind"),
    [
        (0, 0, "A"),
        (SLOTS_OF_A, 10**6, "A"),
        (SLOTS_OF_A + 1, 0, "B"),
        (SLOTS_OF_A + 1, SLOTS_OF_B - SLOTS_OF_A - 1, "B"),
        (SLOTS_OF_A + 1, SLOTS_OF_B - SLOTS_OF_A, "C"),
    ],
)
def test_the_class_of_a_task_is_by_the_slots_of_its_user_on_good_queues(on_hi, on_mid, kind):
    assert class_by_slots(on_hi, on_mid) == kind


@pytest.mark.parametrize(
    ("files", "finished", "failed", "done"), [(0, 0, 0, False), (10, 9, 0, True), (10, 8, 1, True), (10, 8, 0, False)]
)
def test_a_task_is_almost_done_from_nine_of_ten_files_on(files, finished, failed, done):
    assert is_almost_done({"n_files": files, "n_files_finished": finished, "n_files_failed": failed}) is done


def test_the_usual_wait_is_of_four_days_and_halves_its_weight_every_six_hours(database):
    for name in ("Q", "OLD", "NONE"):
        make_queue(database, name)
    waited(database, "Q", 100, hours_ago=2, starts=10)
    waited(database, "Q", 1000, hours_ago=8, starts=20)
    waited(database, "Q", 10**6, hours_ago=97, starts=10**6)
    waited(database, "OLD", 100, hours_ago=26)
    queues = candidates(database)
    # (100 x 10 + 1000 x 20 / 2) / (10 + 20 / 2)
    assert queues["Q"].usual_wait_s == pytest.approx(550, rel=1e-3)
    assert (queues["Q"].starts_of_day, queues["Q"].site_class) == (30, HI)
    assert (queues["OLD"].usual_wait_s, queues["OLD"].starts_of_day, queues["OLD"].site_class) == (
        pytest.approx(100),
        0,
        MID,
    )
    assert (queues["NONE"].usual_wait_s, queues["NONE"].site_class) == (None, MID)


def test_rows_of_waits_that_cannot_be_are_left_out(database):
    for name in ("NAN", "FUTURE", "NEGATIVE", "NOTHING", "FINE"):
        make_queue(database, name)
    waited(database, "NAN", float("nan"))
    waited(database, "FUTURE", 9, hours_ago=-(10**6))
    waited(database, "NEGATIVE", -5)
    waited(database, "NOTHING", 5, starts=0)
    waited(database, "FINE", float("inf"), hours_ago=1)
    waited(database, "FINE", 7, hours_ago=2)
    waited(database, "GONE", 7)
    known = {name: one.usual_wait_s for name, one in candidates(database).items() if one.usual_wait_s is not None}
    assert known == {"FINE": pytest.approx(7)}


def test_waits_are_kept_longer_than_counts_of_jobs_and_new_queues_are_unknown(database):
    make_queue(database, "Q")
    waited(database, "Q", 100)
    book = LoadBook(load_s=3600)
    with database.transaction() as transaction:
        assert book.read(transaction)[0].site_class == HI
    make_queue(database, "P")
    waited(database, "P", 100)
    waited(database, "Q", 10**6, hours_ago=2, starts=10**6)
    with database.transaction() as transaction:
        assert [one.site_class for one in book.read(transaction)] == [MID, HI]
        assert [one.usual_wait_s for one in book.read(transaction)] == [None, pytest.approx(100)]


def test_a_users_job_goes_where_the_wait_is_short_and_the_decision_says_so(database):
    for name, wait in (("A_SLOW", 36000), ("B_MEDIUM", 7200), ("C_QUICK", 600)):
        make_queue(database, name)
        waited(database, name, wait)
    jobs = submit(database, 2, queue="")
    managed = submit(database, 1, queue="", prod_source_label="managed")
    Setupper(database, 1, BrokerageSettings(candidates=1)).cycle()
    assert {row_of(database, panda_id)["computing_site"] for panda_id in jobs} == {"C_QUICK"}
    [kept] = database.fetch(
        "SELECT DISTINCT d.weights FROM job_brokerage b JOIN brokerage_decisions d USING (decision_id) "
        "WHERE b.panda_id = %(id)s",
        {"id": jobs[0]},
    )
    assert kept["weights"] == [
        {
            **{"queue": "C_QUICK", "weight": 2.0, "running": 0, "waiting": 0},
            **{"site_class": "hi", "expected_wait_s": 600, "task_class": "A", "factor": 2.0},
        }
    ]
    assert row_of(database, managed[0])["computing_site"] != ""


def test_who_has_much_on_quick_queues_leaves_them_to_others(database):
    for name, wait in (("A_QUICK", 600), ("B_MEDIUM", 7200), ("C_SLOW", 36000)):
        make_queue(database, name)
        waited(database, name, wait)
    [big] = start(database, 1, queue="A_QUICK", user="heavy")
    put_into(database, big, "running", core_count=SLOTS_OF_A + 1)
    [medium] = submit(database, 1, queue="", user="heavy")
    assert class_of_job(database, medium) == "B"
    [other] = submit(database, 1, queue="", user="light")
    assert class_of_job(database, other) == "A"
    [more] = start(database, 1, queue="B_MEDIUM", user="heavy")
    put_into(database, more, "running", core_count=SLOTS_OF_B - SLOTS_OF_A)
    assert class_of_job(database, medium) == "C"
    # what runs at slow queues takes nothing from anybody, and a group's work is not its member's
    database.execute("UPDATE jobs_live SET computing_site = 'C_SLOW' WHERE panda_id = %(id)s", {"id": more})
    assert class_of_job(database, medium) == "B"
    database.execute("UPDATE jobs_live SET working_group = 'higgs' WHERE panda_id = %(id)s", {"id": big})
    assert class_of_job(database, medium) == "A"
    database.execute("UPDATE jobs_live SET working_group = 'higgs' WHERE panda_id = %(id)s", {"id": medium})
    assert class_of_job(database, medium) == ""


def test_a_task_that_is_nearly_done_is_of_class_s_whoever_owns_it(database):
    make_queue(database, "Q")
    waited(database, "Q", 600)
    [big] = start(database, 1, queue="Q", user="heavy")
    put_into(database, big, "running", core_count=SLOTS_OF_B + 1)
    task = make_task(database, user="heavy")
    [panda_id] = submit(database, 1, queue="", user="heavy")
    database.execute(
        "UPDATE jobs_live SET jedi_task_id = %(task)s WHERE panda_id = %(id)s", {"task": task, "id": panda_id}
    )
    assert class_of_job(database, panda_id) == "C"
    database.execute("UPDATE tasks SET n_files = 10, n_files_finished = 8, n_files_failed = 1")
    assert class_of_job(database, panda_id) == "S"


def test_without_waits_nobody_counts_what_users_run(database, monkeypatch):
    make_queue(database, "Q")
    [panda_id] = submit(database, 1, queue="")
    asked: list[str] = []
    with database.transaction() as transaction:
        fetch = transaction.fetch
        monkeypatch.setattr(transaction, "fetch", lambda sql, *rest: asked.append(sql) or fetch(sql, *rest))
        [request] = requests_of_jobs(transaction, [row_of(database, panda_id)], read_candidates(transaction))
    assert request.task_class == "" and not [sql for sql in asked if "greatest(core_count, 1)" in sql]


def test_a_stuck_share_is_relieved_by_the_same_weights(database):
    for name, wait in (("STUCK", 36000), ("OTHER", 600), ("MEDIUM", 7200)):
        make_queue(database, name)
        waited(database, name, wait)
    jobs = submit(database, 8, queue="")
    for panda_id in jobs:
        put_into(database, panda_id, "activated", computing_site="STUCK")
    set_queue(database, "MEDIUM", {"status": "offline"})
    # at OTHER (0 + 1) / (n + 1) x 2, at STUCK (0 + 1) / (8 - n + 1) x 0.5: until 2 (9 - n) <= 0.5 (n + 1), so 7 of 8 go
    refresh(database)
    Rebroker(database, RebrokerageSettings(min_queued=1), 1).cycle()
    left = [panda_id for panda_id in jobs if row_of(database, panda_id)["computing_site"] == "STUCK"]
    assert len(left) == 1
