"""What looking for the culprit costs: most logs of healthy jobs have none, and no log may make it run away."""

from __future__ import annotations

import timeit

from logger.culprit import PATTERNS, find_culprit

_LOG_CHARACTERS = 64 * 1024
_MOST_TIMES_LOWER = 150
"""Measured 36 times `str.lower` of the same text; the rest is for busy machines."""


def _seconds(call: object, rounds: int = 5) -> float:
    return min(timeit.repeat(call, number=3, repeat=rounds)) / 3  # type: ignore[arg-type]


def test_a_log_without_a_cause_is_read_at_a_small_multiple_of_the_cheapest_thing_to_do_with_it() -> None:
    log = "".join(
        f"2026-11-26 10:00:{number % 60:02d} INFO event {number} processed in {number * 7 % 13}.2 s, chi2 {number * 3.7:.3f}\n"
        for number in range(1000)
    )[:_LOG_CHARACTERS]
    ratio = min(_seconds(lambda: find_culprit(log)) / _seconds(log.lower) for _ in range(3))
    assert ratio < _MOST_TIMES_LOWER


def test_a_log_full_of_any_programs_words_does_not_run_away() -> None:
    hints = sorted({hint for pattern in PATTERNS for hint in pattern.hints})
    for hint in hints:
        log = (f"{hint} " * 2000)[:1999] + "\n"
        assert min(timeit.repeat(lambda text=log: find_culprit(text), number=1, repeat=2)) < 0.5, hint  # type: ignore[misc]


def test_a_line_of_five_megabytes_costs_about_as_much_as_its_beginning() -> None:
    line = "ab error c " * 460_000
    assert _seconds(lambda: find_culprit(line), 3) < 60 * max(_seconds(line.lower, 3), 0.001)


def test_heads_without_an_end_are_looked_through_once() -> None:
    for head in (
        "= FAILURES =",
        "The lines below might hint at the cause of the crash.",
        "Traceback (most recent call last):\n  x",
        "MPI_ABORT was invoked on rank 3",
        "Execution halted",
        "Error in f (line 3)",
    ):
        log = f"{head}\nx\n" * 4000
        assert timeit.timeit(lambda text=log: find_culprit(text), number=1) < 5, head  # type: ignore[misc]
