"""What a run shows: shares held, small users served, failures tried again, queues that go, work that nobody can run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.simulation.record import Recorder
from core.simulation.report import Report, ShareResult, UserResult, differences, report_of
from core.simulation.run import Progress, simulate
from core.simulation.workload import Fate
from tests.core.simulation.describing import SMALL, described

# 5 shares, 10 queues, 20,000 jobs; every share keeps enough queued to have jobs at most queues
GRID = """
title = "five shares"
days = 2
tick_s = 600
steady_after_hours = 20

[[queues]]
name = "FAST"
count = 4
slots = 120
power = 14

[[queues]]
name = "SLOW"
count = 6
slots = 100
failure_rate = 0.02

[[shares]]
name = "production"
value = 60

[[shares]]
name = "analysis"
value = 40

[[shares]]
name = "simulation"
parent = "production"
value = 60
processing_type = "simulation"

[[shares]]
name = "reprocessing"
parent = "production"
value = 40
processing_type = "reprocessing"

[[shares]]
name = "heavy"
parent = "analysis"
value = 25
processing_type = "heavy"

[[shares]]
name = "people"
parent = "analysis"
value = 25
processing_type = "people"

[[shares]]
name = "two users"
parent = "analysis"
value = 50
processing_type = "two"

[[work]]
name = "simulation"
keep_queued = 500
bunch = 50
processing_type = "simulation"
walltime = { mean_s = 14400 }

[[work]]
name = "reprocessing"
keep_queued = 500
bunch = 50
processing_type = "reprocessing"
walltime = { mean_s = 10800 }

[[work]]
name = "heavy"
keep_queued = 500
bunch = 50
user = "heavy"
processing_type = "heavy"
walltime = { mean_s = 7200, sigma = 0.8 }

[[work]]
name = "people"
keep_queued = 500
bunch = 50
user = "person"
users = 10
prod_source_label = "user"
processing_type = "people"
walltime = { mean_s = 7200, sigma = 0.8 }

[[work]]
name = "many"
user = "busy"
jobs = 3000
from_hour = 2
prod_source_label = "user"
processing_type = "two"
walltime = { mean_s = 7200 }

[[work]]
name = "few"
user = "casual"
jobs = 10
from_hour = 6
prod_source_label = "user"
processing_type = "two"
walltime = { mean_s = 7200 }
"""


@pytest.fixture(scope="module")
def five_shares(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    yield report_of(simulate(described(tmp_path_factory.mktemp("five"), GRID), postgres_url))


def _share(report: Report, name: str) -> ShareResult:
    return next(share for share in report.shares if share.name == name)


def _user(report: Report, name: str) -> UserResult:
    return next(user for user in report.users if user.name == name)


def test_every_share_that_has_work_is_within_five_percent_of_its_target(five_shares: Report) -> None:
    assert [share.name for share in five_shares.shares if share.had_work] == [
        *("heavy", "people", "reprocessing", "simulation"),
    ]
    assert five_shares.deviating_shares == []
    assert five_shares.totals.largest_deviation is not None
    assert five_shares.totals.largest_deviation < 0.05


def test_what_a_share_without_work_leaves_goes_to_its_siblings(five_shares: Report) -> None:
    targets = {share.name: share.target_percent for share in five_shares.shares}
    assert targets["simulation"] == pytest.approx(36, abs=0.5)
    assert targets["reprocessing"] == pytest.approx(24, abs=0.5)
    assert targets["heavy"] == pytest.approx(targets["people"], rel=0.05)
    # 10 % of its own, and half of the 20 % of `two users` from the end of their work on
    assert 10 < targets["heavy"] < 20
    assert sum(targets.values()) == pytest.approx(100)


def test_a_user_with_few_jobs_does_not_wait_for_one_with_many(five_shares: Report) -> None:
    few, many = _user(five_shares, "casual"), _user(five_shares, "busy")
    assert few.submitted >= 10 and few.started == few.submitted
    assert many.submitted >= 3000 and many.started == many.submitted
    assert few.waits.max_s is not None and many.waits.max_s is not None
    assert few.waits.max_s < 0.05 * many.waits.max_s


def test_slots_are_busy_while_work_waits(five_shares: Report) -> None:
    totals = five_shares.totals
    assert totals.utilisation == pytest.approx(1.0, abs=0.01)
    assert totals.idle_core_hours < 0.01 * totals.core_hours
    assert 0 < totals.failed_core_hours < 0.02 * totals.core_hours


def test_jobs_are_in_one_place_each(five_shares: Report) -> None:
    totals = five_shares.totals
    assert totals.submitted > 15_000
    assert totals.finished + totals.failed + totals.closed + totals.running + totals.waiting == totals.submitted


def _small(directory: Path, postgres_url: str, *changes: str, text: str = SMALL) -> Report:
    return report_of(simulate(described(directory, text, changes), postgres_url))


def test_the_same_seed_gives_the_same_run_and_a_change_shows(tmp_path: Path, postgres_url: str) -> None:
    first, again = (_small(tmp_path, postgres_url) for _ in range(2))
    assert differences(first, again) == []
    assert first.users == again.users and first.queues == again.queues
    changed = {row.name: row for row in differences(first, _small(tmp_path, postgres_url, "shares.analysis.value=1"))}
    row = changed["share analysis: executing %"]
    assert row.change is not None and row.change < -5


def test_failed_jobs_are_tried_again_and_given_up_in_the_end(tmp_path: Path, postgres_url: str) -> None:
    report = _small(tmp_path, postgres_url, "work.people.failure_rate=0.6", "work.people.attempts=2", "days=0.3")
    people = [user for user in report.users if user.name.startswith("person")]
    assert sum(user.failed for user in people) > sum(user.finished for user in people) > 0
    assert report.totals.given_up > 0


def test_a_queue_that_goes_offline_gets_nothing_until_it_is_back(tmp_path: Path, postgres_url: str) -> None:
    text = SMALL.replace(
        "max_ram_mb = 3000",
        'changes = [{ at_hour = 0, status = "offline" }, { at_hour = 8, slots = 3, status = "online" }]',
    ).replace('status = "test"', "")
    report = _small(tmp_path, postgres_url, "queues.NORTH.count=1", text=text)
    north, south = report.queues
    assert north.slots == 3
    assert 0 < north.started < south.started
    assert north.utilisation == pytest.approx(1.0, abs=0.05)


def test_work_that_no_queue_takes_is_named_with_the_criterion(tmp_path: Path, postgres_url: str) -> None:
    report = _small(tmp_path, postgres_url, "work.bulk.ram_mb=9000", "days=0.2")
    [row] = [row for row in report.unmatched if row.status == "defined"]
    assert (row.work, row.jobs, row.binding_step) == ("bulk", 60, "memory")
    assert "9000 MB" in row.reason
    assert report.totals.idle_core_hours > 0


def test_a_tree_that_operators_could_not_enter_is_refused(tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        _small(tmp_path, postgres_url, 'shares.analysis.prod_source_label="("')
    assert refused.value.field == "analysis.prod_source_label"
    assert refused.value.remedy


def test_without_shares_everything_runs_as_well(tmp_path: Path, postgres_url: str) -> None:
    text = SMALL[: SMALL.index("[[shares]]")] + SMALL[SMALL.index("[[work]]") :]
    report = _small(tmp_path, postgres_url, "days=0.2", text=text)
    assert report.totals.finished > 0
    assert report.totals.largest_deviation is None


def test_progress_is_told_at_every_step(tmp_path: Path, postgres_url: str) -> None:
    steps: list[Progress] = []
    simulate(described(tmp_path, changes=["days=0.1"]), postgres_url, steps.append)
    assert len(steps) == 14
    assert (steps[-1].part, steps[-1].running) == (1.0, 40)
    assert steps == sorted(steps, key=lambda step: step.day)


def test_a_report_is_plain_values(five_shares: Report) -> None:
    document = five_shares.as_dict()
    assert document["totals"]["submitted"] == five_shares.totals.submitted
    assert {share["name"] for share in document["shares"]} == {share.name for share in five_shares.shares}
    assert set(five_shares.seconds) >= {"brokerage", "dispatch", "endings", "submission"}


ODD = """
days = 0.5
tick_s = 600
steady_after_hours = 2

[[queues]]
name = "OPEN"
slots = 6
changes = [{ at_hour = 40, slots = 1 }]

[[queues]]
name = "EMPTY"
slots = 0

[[shares]]
name = "known"
value = 1
processing_type = "known"

[[work]]
name = "known"
user = "ada"
keep_queued = 20
processing_type = "known"
site = "OPEN"
walltime = { mean_s = 1200, distribution = "fixed" }

[[work]]
name = "unknown"
user = "bob"
keep_queued = 20
processing_type = "other"
site = "OPEN"
walltime = { mean_s = 1200, distribution = "fixed" }

[[work]]
name = "stuck"
user = "eve"
jobs = 2
site = "EMPTY"
walltime = { mean_s = 1200 }

[[work]]
name = "late"
jobs = 2
from_hour = 12
walltime = { mean_s = 1200 }
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Report:
    return report_of(simulate(described(tmp_path_factory.mktemp("odd"), ODD), postgres_url))


def test_what_no_share_matches_has_its_part_of_what_executes(odd: Report) -> None:
    parts = {share.name: share.executing_percent for share in odd.shares}
    assert parts["Undefined"] > 1
    assert sum(parts.values()) == pytest.approx(100)
    known = next(share for share in odd.shares if share.name == "known")
    assert known.target_percent == pytest.approx(parts["known"]) and known.deviation == pytest.approx(0)


def test_who_never_started_has_no_last_start_and_the_queue_without_slots_is_named(odd: Report) -> None:
    eve = next(user for user in odd.users if user.name == "eve")
    assert (eve.submitted >= 2, eve.started, eve.last_wait_s) == (True, 0, None)
    [row] = [row for row in odd.unmatched if row.work == "stuck"]
    assert (row.status, row.jobs, row.reason) == ("activated", 2, "EMPTY has no slots")


def test_what_lies_behind_the_end_is_told(odd: Report) -> None:
    assert odd.notes == [
        "work.late.from_hour: it comes from hour 12 on, and the run ends at hour 12",
        "queues.OPEN.changes: nothing changes at hour 40, the run ends at hour 12",
    ]


def test_of_a_job_that_failed_only_the_steady_part_counts(tmp_path: Path) -> None:
    work = described(tmp_path).work[0]
    recorder = Recorder(steady_tick=10)
    fate = Fate(work, "ada", 0, 12, 0.0, 1.0)
    recorder.ended(fate, "s", "Q", 12, 12, failed=True)
    recorder.ended(fate, "s", "Q", 30, 12, failed=True)
    recorder.ended(fate, "s", "Q", 9, 9, failed=True)
    assert recorder.failed_core_ticks == 2 + 12
