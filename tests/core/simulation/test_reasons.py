"""Of a share that is far from its target the report says why, in figures of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.simulation.reasons import ChanceBook, Standing, reasons_of
from core.simulation.report import Report, report_of
from core.simulation.run import simulate
from tests.core.simulation.describing import described


def _book() -> ChanceBook:
    """Two queues of equal power; every share has waited at both, one job is a hundredth, slots changed hands ten times."""
    book = ChanceBook()
    book.queue_powers.update({"NORTH": 500.0, "SOUTH": 500.0})
    book.given_power = 10_000.0
    for share in ("small", "large"):
        chances = book.shares[share]
        chances.queues = {"NORTH", "SOUTH"}
        chances.largest_job_power = 1.0
        chances.least_part = chances.most_part = 0.5
    return book


def _far(name: str, executing: float, target: float, work_part: float = 1.0) -> Standing:
    return Standing(name, executing, target, 1000.0, work_part)


def test_what_is_seen_nowhere_is_said_to_be() -> None:
    assert reasons_of(_book(), [_far("small", 80, 100)]) == {"small": "no reason is seen in the figures of this run"}
    assert reasons_of(_book(), []) == {}


def test_a_share_whose_jobs_fit_few_queues_could_not_have_more_and_others_have_it() -> None:
    book = _book()
    book.shares["small"].queues = {"NORTH"}
    book.queue_powers["SOUTH"] = 4500.0
    said = reasons_of(book, [_far("large", 900, 700), _far("small", 100, 300)])
    assert said["small"] == "its jobs go to 1 of 2 queues, which have 10 % of the power: it is due 30 %"
    assert said["large"] == "has what could not be used by small"


def test_a_share_of_which_nothing_waits_where_slots_become_free_has_too_little_queued() -> None:
    book = _book()
    book.shares["small"].missed_power = 7500.0
    said = reasons_of(book, [_far("small", 200, 300)])
    assert said["small"].startswith(
        "too little queued: nothing more of it waited at queues that gave out 75 % of the power"
    )


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"largest_job_power": 52.0}, "granularity: one job is 52 % of its target"),
        ({"passing_power": 50.0}, "its tests and urgent jobs are served before all shares"),
        (
            {"least_part": 0.1},
            "its target moved between 10 and 50 % as work came and went, and slots follow as jobs end",
        ),
    ],
)
def test_circumstances_are_named(figures: dict[str, float], said: str) -> None:
    book = _book()
    for name, value in figures.items():
        setattr(book.shares["small"], name, value)
    assert reasons_of(book, [_far("small", 120, 100)]) == {"small": said}


def test_work_that_comes_at_times_and_a_run_that_is_too_short_are_named() -> None:
    book = _book()
    book.given_power = 700.0
    said = reasons_of(book, [_far("small", 80, 100, work_part=0.75)])["small"]
    assert said.startswith("nothing of it waited for 25 % of the time; slots changed hands 0.7 times")


def test_what_pilots_took_tells_where_a_share_had_nothing_left() -> None:
    book = ChanceBook()
    for share in ("a", "b"):
        book.note_start(share, 10.0, passes=False)
    book.note_round({"Q": {"a": 5, "b": 1}}, {"Q": {"a": (3, 30.0), "b": (1, 10.0)}})
    # of a there was more; of b all was taken, so that the other 30 were out of its reach
    assert (book.shares["a"].missed_power, book.shares["b"].missed_power) == (0.0, 30.0)
    book.note_round({"P": {"a": 9}}, {"P": {"a": (2, 20.0)}})
    assert (book.shares["a"].missed_power, book.shares["b"].missed_power) == (0.0, 50.0)
    assert (book.given_power, book.shares["a"].queues) == (60.0, {"P", "Q"})


BOUND = """
days = 0.75
tick_s = 1800
steady_after_hours = 6

[[queues]]
name = "NORTH"
slots = 30

[[queues]]
name = "SOUTH"
slots = 10

[[shares]]
name = "bound"
value = 60
processing_type = "bound"

[[shares]]
name = "free"
value = 38
processing_type = "free"

[[shares]]
name = "tiny"
value = 2

[[work]]
name = "bound"
keep_queued = 40
site = "SOUTH"
processing_type = "bound"
walltime = { mean_s = 3600 }

[[work]]
name = "free"
keep_queued = 120
processing_type = "free"
walltime = { mean_s = 3600 }

[[work]]
name = "tiny"
keep_queued = 40
processing_type = "tiny"
walltime = { mean_s = 3600 }
"""


def test_the_report_of_a_run_gives_the_reason(tmp_path: Path, postgres_url: str) -> None:
    report: Report = report_of(simulate(described(tmp_path, BOUND), postgres_url))
    shares = {share.name: share for share in report.shares}
    assert {share.name for share in report.deviating_shares} >= {"bound", "free"}
    assert shares["bound"].reason.startswith(
        "its jobs go to 1 of 2 queues, which have 25 % of the power: it is due 60 %"
    )
    assert "has what could not be used by bound" in shares["free"].reason
    for share in report.shares:
        assert bool(share.reason) == (share.deviation is not None and abs(share.deviation) > 0.05)
        assert share.work_part == 1.0
