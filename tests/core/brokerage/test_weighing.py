"""The weight, worked out by hand, with the numbers it is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from core.brokerage.broker import broker, places, spread
from core.brokerage.weighing import weigh, weight
from tests.core.brokerage.describing import ask, queue


def test_analysis_weighs_running_over_waiting():
    busy = queue(running=9, activated=2, assigned=1, starting=1, defined=0)
    assert weigh(ask(), busy).as_dict() == {"queue": "ANY", "weight": 2.0, "running": 9, "waiting": 4}


def test_production_without_input_leaves_assigned_jobs_out():
    busy = queue(running=29, activated=10, assigned=500, starting=4, defined=6)
    # (29 + 1) / (10 + 4 + 6 + 10) x (1 + 1) / 1
    assert weight(busy, ask("managed")) == pytest.approx(2.0)


def test_production_counts_assigned_jobs_where_the_input_is_not():
    request = ask("managed", has_input=True, complete_at=frozenset({"OTHER"}), input_count=100)
    busy = queue(running=59, activated=10, assigned=15, starting=0, defined=5)
    # (59 + 1) / ((10 + 15 + 5 + 10) x 1.5) x 1 / (100/100 + 1)
    weighed = weigh(request, busy)
    assert weighed.value == pytest.approx(0.5)
    assert weighed.parts == {"running": 59, "waiting": 30, "many_assigned": 1.5, "nearness": 0.5}
    many = queue(running=59, activated=1, assigned=1000)
    assert weigh(request, many).parts["many_assigned"] == 2.0


@pytest.mark.parametrize(
    ("facts", "request_", "running"),
    [
        ({"running": 3, "workers": 15}, ask("managed", priority=150), 15),
        ({"running": 3, "workers": 500}, ask("managed", priority=150), 20),
        ({"running": 3, "workers": 15}, ask("managed", priority=151), 3),
        ({"running": 20, "workers": 90}, ask("managed", priority=100), 20),
        ({"running": 3, "slots": 80}, ask("managed", core_count=8), 10),
        ({"running": 3, "starting": 4, "slots": 0}, ask("managed"), 7),
        ({"running": 30, "slots": 8}, ask("managed"), 30),
    ],
)
def test_what_will_run_as_soon_as_there_is_work_counts_as_running(facts, request_, running):
    assert weigh(request_, queue(**facts)).parts["running"] == running


def test_far_lighter_queues_take_nothing_of_production():
    heavy, light = queue("HEAVY", running=999), queue("LIGHT", running=98)
    decision = broker(ask("managed"), [heavy, light])
    assert [one.queue_name for one in decision.accepted] == ["HEAVY", "LIGHT"]
    assert [one.queue_name for one in decision.best()] == ["HEAVY"]
    assert [one.queue_name for one in broker(ask(), [heavy, light]).best()] == ["HEAVY", "LIGHT"]


def test_a_bunch_spreads_over_the_best_ten_by_weight_and_names_break_ties():
    queues = [queue(f"Q{number:02}", running=9 if number < 5 else 4) for number in range(15)]
    decision = broker(ask(), queues)
    taken = Counter(one.queue_name for one in spread(decision.best(), decision.request, 150))
    assert set(taken) == {f"Q{number:02}" for number in range(10)}
    assert {taken[f"Q{number:02}"] for number in range(5)} <= {19, 20, 21}
    assert {taken[f"Q{number:02}"] for number in range(5, 10)} <= {9, 10, 11}
    again = broker(ask(), [queue("B"), queue("A")])
    assert [one.queue_name for one in spread(again.best(), again.request, 4)] == ["A", "B", "A", "B"]


def test_a_small_bunch_takes_turns_among_queues_that_are_alike():
    queues = [queue(f"Q{number}", running=100 - number, activated=50) for number in range(4)]
    queues += [queue("FAR", running=50, activated=50)]
    decision = broker(ask(), queues)
    names = [one.queue_name for one in spread(decision.best(), decision.request, 8)]
    assert sorted(names) == ["Q0", "Q0", "Q1", "Q1", "Q2", "Q2", "Q3", "Q3"]
    assert names[0] == "Q0"
    assert queues[0].activated == 52


def test_a_large_bunch_goes_on_to_the_others_when_these_have_become_as_good():
    best, second = queue("BEST", running=99), queue("SECOND", running=49)
    decision = broker(ask(), [best, second])
    taken = Counter(one.queue_name for one in spread(decision.best(), decision.request, 40))
    assert taken["BEST"] > taken["SECOND"] > 0


def test_few_jobs_get_a_queue_each_of_the_good_ones_and_the_large_ones_more_often():
    large = [queue(f"LARGE{number}", running=400, activated=400) for number in range(3)]
    medium = [queue(f"MEDIUM{number}", running=200, activated=200) for number in range(6)]
    others = [queue("SMALL", running=99, activated=99), queue("FULL", running=400, activated=9000)]
    taken: Counter[str] = Counter()
    for seed in range(300):
        chosen = places(broker(ask(), [replace(one) for one in (*large, *medium, *others)]), 4, seed=seed)
        assert len({one.queue_name for one in chosen}) == 4
        assert sum(one.activated for one in chosen) == sum(one.running for one in chosen) + 4
        taken.update(one.queue_name.rstrip("0123456789") for one in chosen)
    assert set(taken) == {"LARGE", "MEDIUM"}
    # of one job it would be 600 to 600; of four out of nine the large ones are taken sooner, and there are three
    assert 1.5 < (taken["LARGE"] / 3) / (taken["MEDIUM"] / 6) < 2.0


def test_the_same_seed_draws_the_same_queues():
    queues = [queue(f"Q{number}", running=100) for number in range(9)]

    def drawn(seed: int) -> list[str]:
        return [one.queue_name for one in places(broker(ask(), [replace(one) for one in queues]), 3, seed=seed)]

    assert drawn(7) == drawn(7)
    assert len({tuple(drawn(seed)) for seed in range(20)}) > 10


def test_more_jobs_than_queues_or_than_are_few_are_spread_by_weight():
    two = [queue("BEST", running=99), queue("SECOND", running=49)]
    assert {one.queue_name for one in places(broker(ask(), two), 3)} == {"BEST", "SECOND"}
    eleven = broker(ask(), [queue(f"Q{number:02}", running=10) for number in range(20)])
    assert len(places(eleven, 11)) == 11
    assert places(broker(ask(), []), 3) == []
