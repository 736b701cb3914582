"""A value that an operation cannot take is refused with its field and with what would be right, in words for every front."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from api.refusals import refusal_of
from api.strict import Moment, StrictBody


class Body(StrictBody):
    kind: Literal["time", "shift", ""] = "time"
    count: int = Field(1, ge=1, lt=100)
    part: float = Field(0.5, gt=0, le=1, allow_inf_nan=False)
    name: str = Field("x", min_length=1, max_length=5)
    names: list[str] = Field(["a"], min_length=1, max_length=2)
    is_on: bool = True
    when: Moment | None = None


@pytest.mark.parametrize(
    ("given", "field", "remedy"),
    [
        ({"kind": "tim"}, "kind", "did you mean time? one of time, shift, nothing"),
        ({"kind": 5}, "kind", "one of time, shift, nothing"),
        ({"kind": "zzz"}, "kind", "one of time, shift, nothing"),
        ({"count": 0}, "count", "at least 1"),
        ({"count": 100}, "count", "less than 100"),
        ({"count": "5"}, "count", "a whole number, without quotes and without a point"),
        ({"part": 0}, "part", "more than 0.0"),
        ({"part": 1.5}, "part", "at most 1.0"),
        ({"part": math.nan}, "part", "a number that has an end"),
        ({"name": "abcdef"}, "name", "at most 5 characters"),
        ({"name": ""}, "name", "at least 1"),
        ({"names": []}, "names", "at least 1"),
        ({"names": ["a"] * 3}, "names", "at most 2 entries"),
        ({"names": "a"}, "names", "a list"),
        ({"names": [5]}, "names.0", "text in quotes"),
        ({"is_on": "yes"}, "is_on", "true or false, without quotes"),
        ({"when": 5}, "when", "correct it or leave it out"),
        ({"colour": 1}, "colour", "no such field here: correct its name or leave it out"),
        ([], "body", "an object"),
    ],
)
def test_what_would_be_right_is_said(given: Any, field: str, remedy: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(given)
    said = refusal_of(caught.value)
    assert (said.field, said.remedy) == (field, remedy) and "; got " in said.detail and len(said.detail) < 300


def test_no_remedy_of_incidents_sends_people_to_an_address_of_the_interface() -> None:
    for folder in ("api/control", "logger"):
        for path in Path(folder).rglob("*.py"):
            for words in re.findall(r'remedy=f?"([^"]*)"', path.read_text()):
                assert "/api/" not in words, f"{path}: {words}"
