"""Filters on columns of a few values: a wrong word is refused, and the grammar goes on working."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.monitor.closed import closed_column, nearest, one_of

LEVELS = ("critical", "error", "warning", "")
compiled = closed_column("severity", LEVELS, "i.severity")


def refused(value: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        compiled(value, "p")
    return caught.value


@pytest.mark.parametrize(
    ("value", "near"),
    [
        ("blah", ""),
        ("err", "error"),
        ("ERROR", "error"),
        ("warnign", "warning"),
        ("error|critcal", "critical"),
        ("!eror", "error"),
        ("!error|!warnin", "warning"),
        ("error,warning", "error|warning"),
        (" error", "error"),
        ("\\error", "error"),
        ("x" * 5000, ""),
    ],
)
def test_a_word_that_is_no_value_is_refused_with_the_values_and_the_nearest_one(value: str, near: str) -> None:
    error = refused(value)
    assert error.field == "severity" and error.remedy is not None and len(error.detail) < 80
    assert "one of critical, error, warning, Not specified" in error.remedy
    assert error.remedy.startswith(f"did you mean {near}?") == bool(near)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("error", {"p_values": ["error"]}),
        ("error|critical", {"p_values": ["error", "critical"]}),
        ("!error", {"p_values": ["error"]}),
        ("!error|!warning", {"p_values": ["error", "warning"]}),
        ("*", {"p_likes": ["%"]}),
        ("crit*", {"p_likes": ["crit%"]}),
        ("nothing*", {"p_likes": ["nothing%"]}),
        ("error|crit*", {"p_values": ["error"], "p_likes": ["crit%"]}),
        ("Not specified", {}),
        ("error|Not specified", {"p_values": ["error"]}),
    ],
)
def test_everything_else_of_the_grammar_goes_on_working(value: str, found: dict[str, Any]) -> None:
    condition = compiled(value, "p")
    assert dict(condition.parameters) == found and "i.severity" in condition.sql


def test_the_nearest_begins_alike_or_has_nearly_the_same_letters() -> None:
    states = ("open", "acknowledged", "silenced", "resolved", "reopened", "candidate", "")
    assert [nearest(word, states) for word in ("ack", "Resolve", "opened", "silence", "", "zzz")] == [
        *("acknowledged", "resolved", "reopened", "silenced", "", ""),
    ]


def test_a_remedy_names_the_nearest_first() -> None:
    assert one_of("err", ("error", "")) == "did you mean error? one of error, nothing"
    assert one_of("", ("error",)) == "one of error"
