"""What looking for the culprit costs, in calls: most logs of healthy jobs have none, and no log may make it run away.

Seconds are measured by `python -m bench.culprit`.
"""

from __future__ import annotations

import gc
import sys
from types import FrameType
from typing import Any

import pytest

from logger.culprit import PATTERNS, find_culprit

_MOST_CALLS_WITHOUT_A_CAUSE = 150
_MOST_CALLS_OF_HINTS = 500
"""For 2 kB in which each word is a hint; the worst one takes 247."""

_HEADS = (
    "= FAILURES =",
    "The lines below might hint at the cause of the crash.",
    "Traceback (most recent call last):\n  x",
    "MPI_ABORT was invoked on rank 3",
    "Execution halted",
    "Error in f (line 3)",
)


def _calls(text: str) -> int:
    """How many functions the search calls, in Python and below: every attempt of an expression is one."""
    count = 0

    def counted(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    # what others have called at a collection of garbage (hypothesis does) is not the search's
    gc.disable()
    sys.setprofile(counted)
    try:
        find_culprit(text)
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def _healthy(lines: int) -> str:
    return "".join(
        f"2026-11-26 10:00:{number % 60:02d} INFO event {number} processed in {number * 7 % 13}.2 s, chi2 {number * 3.7:.3f}\n"
        for number in range(lines)
    )


def test_a_log_without_a_cause_is_not_read_line_by_line() -> None:
    assert _calls(_healthy(4000)) == _calls(_healthy(500)) < _MOST_CALLS_WITHOUT_A_CAUSE


def test_a_log_full_of_any_programs_words_does_not_run_away() -> None:
    """An expression that tries every division of such a text would not be done within the suite's patience."""
    for hint in sorted({hint for pattern in PATTERNS for hint in pattern.hints}):
        assert _calls((f"{hint} " * 2000)[:1999] + "\n") < _MOST_CALLS_OF_HINTS, hint


def test_a_line_of_five_megabytes_costs_as_much_as_its_beginning() -> None:
    assert _calls("ab error c " * 460_000) == _calls("ab error c " * 46_000)


@pytest.mark.parametrize("head", _HEADS)
def test_heads_without_an_end_are_looked_through_once(head: str) -> None:
    few, many = (_calls(f"{head}\nx\n" * count) for count in (500, 4000))
    assert many <= 8.1 * few
    # looking through the rest from each head would be four hundred million lines, inside calls that nobody counts
    find_culprit(f"{head}\nx\n" * 20_000)
