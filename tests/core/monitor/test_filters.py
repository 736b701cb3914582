"""The value grammar: total, and in PostgreSQL the same as in plain Python."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from core.database import Database
from core.errors import InvalidInput
from core.monitor.filters import (
    NumberFilter,
    TextFilter,
    escape_value,
    number_condition,
    parse_numbers,
    parse_text,
    text_condition,
)

VALUES = ["", "a", "A", "ab", "a|b", "!a", "a*b", "aXb", "\\", "a\\", "100%", "1000", "a_b", "Not specified", None]
WORDS = some.text(alphabet="ab|*!\\%_ ", max_size=8)
NUMBERS = [None, -3, 0, 1, 2, 17, 2**62]


def matches_text(wanted: TextFilter, value: str | None) -> bool:
    """The grammar in plain Python, for comparison."""
    found = (wanted.or_empty and not value) or (
        value is not None
        and any(
            re.fullmatch(".*".join(re.escape(piece) for piece in pattern.pieces), value, re.DOTALL)
            for pattern in wanted.patterns
        )
    )
    return bool(found) != wanted.is_negated


def matches_number(wanted: NumberFilter, value: int | None) -> bool:
    found = (
        wanted.or_empty
        if value is None
        else value in wanted.numbers
        or any((low is None or value >= low) and (high is None or value <= high) for low, high in wanted.ranges)
    )
    return found != wanted.is_negated


@pytest.fixture(scope="module")
def door(postgres_url: str):
    door = Database(postgres_url)
    yield door
    door.close()


@given(some.text(max_size=40).filter(lambda text: "\x00" not in text))
def test_every_text_is_a_text_filter_or_an_error_that_names_the_field(text):
    try:
        parse_text(text, "job_name")
    except InvalidInput as error:
        assert error.field == "job_name" and error.remedy


@given(some.text(alphabet="0123456789:|,! -x*ⅫNot specified", max_size=20))
def test_every_text_is_a_number_filter_or_an_error_that_names_the_field(text):
    try:
        parse_numbers(text, "panda_id")
    except InvalidInput as error:
        assert error.field == "panda_id" and error.remedy


@settings(deadline=None, max_examples=300)
@given(text=WORDS)
def test_text_conditions_select_what_the_grammar_says(door, text):
    wanted = parse_text(text, "job_name")
    condition = text_condition("v", wanted, "p")
    statement = f"SELECT i FROM unnest(%(v)s::text[]) WITH ORDINALITY AS t (v, i) WHERE {condition.sql}"
    found = {row["i"] - 1 for row in door.fetch(statement, {"v": VALUES, **condition.parameters})}
    assert found == {index for index, value in enumerate(VALUES) if matches_text(wanted, value)}


@settings(deadline=None, max_examples=200)
@given(
    text=some.lists(some.sampled_from(["-3", "0:", ":1", "1:17", "17", "*", "Not specified", "2:1"]), min_size=1),
    no=some.booleans(),
)
def test_number_conditions_select_what_the_grammar_says(door, text, no):
    wanted = parse_numbers(("!" if no else "") + "|".join(text), "panda_id")
    condition = number_condition("v", wanted, "p")
    statement = f"SELECT i FROM unnest(%(v)s::bigint[]) WITH ORDINALITY AS t (v, i) WHERE {condition.sql}"
    found = {row["i"] - 1 for row in door.fetch(statement, {"v": NUMBERS, **condition.parameters})}
    assert found == {index for index, value in enumerate(NUMBERS) if matches_number(wanted, value)}


@given(some.text(max_size=20).filter(lambda text: "\x00" not in text and not re.search("[\ud800-\udfff]", text)))
def test_an_escaped_value_selects_exactly_that_value(text):
    wanted = parse_text(escape_value(text), "job_name")
    assert matches_text(wanted, text)
    assert not matches_text(wanted, text + "x") and not wanted.is_negated


@pytest.mark.parametrize("value", ["x\x00", "\ud800"])
def test_characters_that_no_text_can_have_are_refused_by_name(value):
    with pytest.raises(InvalidInput) as refusal:
        parse_text(value, "job_name")
    assert refusal.value.field == "job_name"


@pytest.mark.parametrize("value", ["seven", "1.5", "9223372036854775808", "1:2:3", "1_000", "--1"])
def test_what_is_no_whole_number_is_refused_with_an_example(value):
    with pytest.raises(InvalidInput) as refusal:
        parse_numbers(value, "jedi_task_id")
    assert refusal.value.field == "jedi_task_id" and "17" in refusal.value.remedy
