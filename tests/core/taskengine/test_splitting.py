"""Cutting input into pieces: every file once, in order, within the rule."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.taskengine.dialects.definition import InputStream, SplitRule
from core.taskengine.making.splitting import Companions, InputFile, Room, cut

SIZES = st.lists(st.integers(0, 50), max_size=60)
RULES = st.builds(
    SplitRule,
    events_per_job=st.none() | st.integers(1, 100),
    files_per_job=st.none() | st.integers(1, 70),
    bytes_per_job=st.none() | st.integers(1, 200),
    target_events=st.none() | st.integers(1, 100),
    max_files_per_job=st.integers(1, 70),
)


def some_files(sizes: list[int]) -> list[InputFile]:
    return [InputFile(number, f"f{number}", size_bytes=size, n_events=size) for number, size in enumerate(sizes)]


@given(sizes=SIZES, rule=RULES)
def test_every_file_is_used_exactly_once_and_in_order(sizes, rule):
    files = some_files(sizes)
    pieces = cut(files, rule)
    assert [file for piece in pieces for file in piece] == files
    assert all(pieces)


@given(sizes=SIZES, rule=RULES)
def test_no_piece_is_larger_than_the_first_rule_that_is_set(sizes, rule):
    pieces = cut(some_files(sizes), rule)
    for piece in pieces:
        if rule.events_per_job:
            assert len(piece) == 1 or sum(file.n_events for file in piece) <= rule.events_per_job
        elif rule.files_per_job:
            assert len(piece) <= rule.files_per_job
        elif rule.bytes_per_job:
            assert len(piece) == 1 or sum(file.size_bytes or 0 for file in piece) <= rule.bytes_per_job
        elif rule.target_events:
            assert len(piece) == 1 or sum(file.n_events for file in piece) <= rule.target_events
    if not rule.files_per_job:
        assert all(len(piece) <= rule.max_files_per_job for piece in pieces)


@given(sizes=SIZES, per_job=st.integers(1, 70))
def test_by_files_only_the_last_piece_is_short(sizes, per_job):
    pieces = cut(some_files(sizes), SplitRule(files_per_job=per_job))
    assert all(len(piece) == per_job for piece in pieces[:-1])


def test_parts_of_files_stand_alone():
    files = [
        InputFile(1, "a", n_events=4, start_event=0),
        InputFile(2, "a", n_events=1, start_event=4),
        InputFile(3, "b", n_events=1),
    ]
    assert [len(piece) for piece in cut(files, SplitRule(events_per_job=4))] == [1, 1, 1]


def stream(**rules: object) -> InputStream:
    return InputStream("IN2", "input", ("d",), "jobParameters.7.dataset", **rules)


ONE = [InputFile(0, "master", n_events=10)]


def test_companions_that_were_used_least_come_first():
    files = [InputFile(number, f"s{number}", position=number, attempt_nr=number % 2) for number in range(4)]
    group = Companions(stream(files_per_job=1), files, may_repeat=True)
    assert [group.take(ONE)[0].file_id for _ in range(6)] == [0, 2, 1, 3, 0, 2]
    assert group.used == {0: 2, 1: 1, 2: 2, 3: 1}


def test_companions_that_may_not_repeat_run_out():
    group = Companions(stream(files_per_job=2), some_files([1, 1, 1]), may_repeat=False)
    assert len(group.take(ONE)) == 2
    with pytest.raises(InvalidInput) as refused:
        group.take(ONE)
    assert refused.value.field == "jobParameters.7.dataset"


@given(sizes=SIZES, ratio=st.floats(0.01, 3), jobs=st.integers(1, 8))
def test_companions_by_events_are_as_many_as_are_needed_and_none_goes_to_two_jobs(sizes, ratio, jobs):
    files = some_files(sizes)
    group = Companions(stream(event_ratio=ratio), files, may_repeat=False)
    wanted, taken = 10 * ratio, []
    try:
        for _ in range(jobs):
            taken.append(group.take(ONE))
    except InvalidInput:
        # what is left is not enough
        left = [file for file in files if file not in [one for found in taken for one in found]]
        assert sum(file.n_events for file in left) < wanted + 1
    for found in taken:
        assert sum(file.n_events for file in found) >= wanted - 1e-6
        assert sum(file.n_events for file in found[:-1]) < wanted + 1
    assert [file for found in taken for file in found] == files[: sum(map(len, taken))]


@given(sizes=SIZES, most_bytes=st.none() | st.integers(0, 100), most_events=st.none() | st.integers(0, 100))
def test_without_a_size_of_its_own_a_piece_fits_the_room_or_is_one_file(sizes, most_bytes, most_events):
    pieces = cut(some_files(sizes), SplitRule(), Room(most_bytes, most_events))
    assert [file for piece in pieces for file in piece] == some_files(sizes)
    limit = min(most_bytes if most_bytes is not None else 10**9, most_events if most_events is not None else 10**9)
    assert all(len(piece) == 1 or sum(file.n_events for file in piece) <= limit for piece in pieces)


@given(
    sizes=SIZES, boundaries=st.lists(st.sampled_from("abc"), min_size=60, max_size=60), rule=RULES, whole=st.booleans()
)
def test_no_piece_has_files_of_two_boundaries(sizes, boundaries, rule, whole):
    kept = replace(rule, keeps_boundaries=True, keeps_boundaries_whole=whole)
    files = [replace(file, boundary_id=boundary) for file, boundary in zip(some_files(sizes), boundaries, strict=False)]
    pieces = cut(files, kept)
    assert [file for piece in pieces for file in piece] == files
    assert all(len({file.boundary_id for file in piece}) == 1 for piece in pieces)
    if whole:
        runs = [list(group) for _, group in groupby(files, key=lambda file: file.boundary_id)]
        assert pieces == runs


def test_a_boundary_that_no_job_can_have_is_refused(monkeypatch):
    monkeypatch.setattr("core.taskengine.making.splitting.MAX_FILES_PER_JOB", 3)
    files = [replace(file, boundary_id="lb7") for file in some_files([1] * 4)]
    with pytest.raises(InvalidInput, match="boundary 'lb7'"):
        cut(files, SplitRule(keeps_boundaries=True, keeps_boundaries_whole=True))


@given(sizes=SIZES, most=st.integers(1, 60), per_job=st.none() | st.integers(1, 9))
def test_no_job_has_more_events_than_are_allowed_unless_it_is_one_file(sizes, most, per_job):
    pieces = cut(some_files(sizes), SplitRule(files_per_job=per_job, max_events_per_job=most))
    assert all(len(piece) == 1 or sum(file.n_events for file in piece) <= most for piece in pieces)
    assert all(len(piece) <= (per_job or 200) for piece in pieces)


def test_jobs_by_size_make_no_more_output_than_wanted():
    rule = SplitRule(bytes_per_job=1000, max_output_bytes=50, output_bytes_per_event=10)
    assert [len(piece) for piece in cut(some_files([2, 2, 2, 2, 9]), rule)] == [2, 2, 1]
