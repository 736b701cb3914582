"""What the report of a preprocessing job makes of the parameters, whatever either of them holds."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.taskengine.preprocessing.report import KEPT, filled_in, read_report

_TEXTS = st.text(max_size=12) | st.sampled_from(["%%INDS%%", "%%A%%", "%%B1%%", "a %%A%% b", "%%%%", "%%a b%%"])
_NAMES = st.sampled_from(["%%INDS%%", "%%A%%", "nFiles", "dsForIN", "site", "taskName", "ramCount", "weather", "files"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(_NAMES | st.text(max_size=8), _VALUES, max_size=6)


@given(st.text(max_size=200) | _VALUES.map(json.dumps) | st.none())
def test_any_text_is_read_or_refused_with_words(text):
    try:
        assert isinstance(read_report(text, 5), dict)
    except InvalidInput as refusal:
        assert (refusal.field, refusal.remedy != "") == ("preproSpec", True)
        assert "job 5 has finished" in refusal.detail


@given(_OBJECTS, _OBJECTS)
def test_any_report_makes_parameters_or_is_refused_with_a_field(parameters, report):
    before = copy.deepcopy(parameters)
    try:
        result, said = filled_in(parameters, report)
    except InvalidInput as refusal:
        assert refusal.field
        assert refusal.remedy
    else:
        assert said
        assert set(result) <= set(parameters) | set(report)
        assert {name: result[name] for name in KEPT & set(result) - {"jobParameters"}} == {
            name: value for name, value in parameters.items() if name in KEPT - {"jobParameters"}
        }
    assert parameters == before


@pytest.mark.parametrize("value", ["user.a.b", ["a", "b"], 7, 1.5, True, "%%INDS%%"])
def test_a_placeholder_becomes_what_was_found_wherever_a_value_is_just_that(value: Any):
    parameters = {
        "dsForIN": "%%X%%",
        "deep": [{"a": "%%X%%"}, ["%%X%%", "no %%X%% here"]],
        "taskName": "%%X%%",
        "preproSpec": {"jobParameters": "%%X%%"},
        "cliParams": "prun %%X%%",
    }
    if value == "%%INDS%%":
        with pytest.raises(InvalidInput, match="said nothing of %%INDS%%"):
            filled_in(parameters, {"%%X%%": value})
        return
    result, said = filled_in({**parameters, "taskName": "t"}, {"%%X%%": value, "reportVersion": "1"})
    assert (result["dsForIN"], result["deep"]) == (value, [{"a": value}, [value, "no %%X%% here"]])
    assert result["preproSpec"] == parameters["preproSpec"]
    assert said == ("%%X%%",)


def test_what_programs_say_anyway_is_no_parameter():
    report = {"files": {"output": []}, "name": "x", "exitCode": 0, "nFiles": 2}
    assert filled_in({"taskName": "t"}, report) == ({"taskName": "t", "nFiles": 2}, ("nFiles",))
