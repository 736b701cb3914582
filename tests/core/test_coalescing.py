"""Group commit at the door: everybody gets the answer to his own item, in time, whatever the others do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from core.dispatch.coalescing import Coalescer
from core.errors import Unavailable
from tests.support.system import eventually


def in_threads(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_everybody_gets_his_own_answer():
    groups: list[list[int]] = []

    def double(items: list[int]) -> list[int]:
        groups.append(items)
        time.sleep(0.002)
        return [2 * item for item in items]

    coalescer: Coalescer[int, int] = Coalescer(double, key=lambda item: item, most=16)
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        for step in range(10):
            item = number * 1000 + step
            answers[item] = coalescer.submit(item)

    in_threads([lambda number=number: ask(number) for number in range(40)])
    assert answers == {item: 2 * item for item in answers}
    assert len(answers) == 400
    assert len(groups) < 400
    assert max(len(group) for group in groups) <= 16


def test_items_of_one_key_never_overlap_and_keep_their_order():
    active: set[str] = set()
    seen: list[int] = []
    lock = threading.Lock()

    def work(items: list[tuple[str, int]]) -> list[None]:
        keys = {key for key, _ in items}
        with lock:
            assert len(keys) == len(items)
            assert not keys & active
            active.update(keys)
        time.sleep(0.001)
        with lock:
            active.difference_update(keys)
            seen.extend(number for key, number in items if key == "mine")
        return [None] * len(items)

    coalescer: Coalescer[tuple[str, int], None] = Coalescer(work, key=lambda item: item[0], lanes=3)

    def mine() -> None:
        for number in range(30):
            coalescer.submit(("mine", number))

    def others(name: str) -> None:
        for number in range(30):
            coalescer.submit((name if number % 3 else "shared", number))

    in_threads([mine, *[lambda name=f"other {n}": others(name) for n in range(10)]])
    assert seen == list(range(30))


def test_nobody_works_for_others_for_ever():
    """A caller that leads gets away with its own answer even while there is always somebody waiting."""
    stop = threading.Event()

    def work(items: list[int]) -> list[int]:
        while not coalescer._waiting and not stop.is_set():
            time.sleep(0.0002)
        return items

    coalescer: Coalescer[int, int] = Coalescer(work, key=lambda item: item, most=4, lanes=1)
    rounds = [0] * 12

    def crowd(number: int) -> None:
        while not stop.is_set():
            coalescer.submit(number)
            rounds[number] += 1

    threads = [threading.Thread(target=crowd, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: min(rounds) >= 20, what="everybody gets his turn")
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)


def test_a_bad_item_harms_its_own_caller_only():
    def work(items: list[int]) -> list[int]:
        time.sleep(0.001)
        if 13 in items:
            raise ValueError("13")
        return items

    coalescer: Coalescer[int, int] = Coalescer(work, key=lambda item: item, lanes=1)
    outcomes: dict[int, object] = {}

    def ask(number: int) -> None:
        try:
            outcomes[number] = coalescer.submit(number)
        except ValueError as error:
            outcomes[number] = str(error)

    in_threads([lambda number=number: ask(number) for number in range(20)])
    assert outcomes == {number: "13" if number == 13 else number for number in range(20)}


def test_an_outage_is_told_to_all_and_over_when_it_is_over():
    is_down = True

    def work(items: list[int]) -> list[int]:
        if is_down:
            raise Unavailable("away")
        return items

    coalescer: Coalescer[int, int] = Coalescer(work, key=lambda item: item, lanes=1)

    def ask(number: int) -> None:
        with pytest.raises(Unavailable):
            coalescer.submit(number)

    in_threads([lambda number=number: ask(number) for number in range(10)])
    is_down = False
    assert [coalescer.submit(number) for number in range(3)] == [0, 1, 2]
