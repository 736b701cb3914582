"""Placeholders and quotes: what stands in the argument string is what the program sees."""

from __future__ import annotations

import ast
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.taskengine.dialects.definition import BuildStep, Filling, fill_name
from core.taskengine.dialects.items import read_items
from core.taskengine.dialects.templates import compacted, written_names
from core.taskengine.making.building import build_text

LFN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)


def fill(text: str, names: list[str] | None = None, **numbers: object) -> str:
    """The text of one visible item for a job that reads `names` as IN."""
    items = read_items(
        {"jobParameters": [{"value": "${IN}", "param_type": "input", "dataset": "d", "hidden": True}, {"value": text}]}
    )
    known = {"task_id": 77, "serial": 3, "source_url": "http://s", "inputs": {"IN": names or ["a.1.b"]}, **numbers}
    return items.command(items.inputs).fill(Filling(**known))


@pytest.mark.parametrize(
    ("text", "names", "filled"),
    [
        ("$JEDITASKID ${JEDITASKID}", [], "77 77"),
        ("${SN} ${SN/P}", [], "000003 000003"),
        ("${SURL}/cache", [], "http://s/cache"),
        ("${IN}", ["a"], "a"),
        ("${IN}", ["a.1.b", "a.2.b"], "a.[1,2].b"),
        ("${IN/T}", ["a", "b"], "\"['a', 'b']\"" if False else "'['\"'\"'a'\"'\"', '\"'\"'b'\"'\"']'"),
        ('"${IN/T}"', ["a", "b"], "\"['a', 'b']\""),
        ("${IN/L}", ["a", "b"], "a,b"),
        ("${IN/E}", ["a", "b"], "a,b"),
        ('"${IN/S}"', ["a", "b"], '"a b"'),
        ('"${IN/A}"', ["a", "b"], "\"'a','b'\""),
        ("${HOME} $HOME ${TRF}", [], "${HOME} $HOME ${TRF}"),
        ("${RNDMSEED}", [], "3"),
        ("", [], ""),
    ],
)
def test_what_placeholders_become(text, names, filled):
    assert fill(text, names) == filled


def test_numbers_of_events():
    text = "${SKIPEVENTS} ${MAXEVENTS} ${FIRSTEVENT} ${SEQNUMBER}"
    assert fill(text, skip_events=4, max_events=5, first_event=40, sequence_number=9) == "4 5 40 9"


def test_items_are_joined_as_the_client_means_it():
    given = [
        {"type": "constant", "value": '-p "', "padding": False},
        {"type": "constant", "value": "a%20", "padding": False},
        {"type": "constant", "value": "hidden", "hidden": True},
        {
            "type": "template",
            "value": "${SEQNUMBER}",
            "param_type": "pseudo_input",
            "dataset": "seq_number",
            "offset": 5,
            "padding": False,
        },
        {"type": "constant", "value": '"'},
        {"type": "constant", "value": "end"},
    ]
    items = read_items({"jobParameters": given})
    assert items.command(items.inputs).fill(Filling(1, 1, sequence_number=5)) == '-p "a%205" end'


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["x"], "x"),
        (["x1", "x2"], "x[1,2]"),
        (["a", "b"], "[a,b]"),
        (["ab", "aab"], "a[,a]b"),
        (["d.0001.r", "d.0012.r", "d.0100.r"], "d.0[001,012,100].r"),
    ],
)
def test_compacted_names(names, text):
    assert compacted(names) == text


@given(names=st.lists(LFN, min_size=1, max_size=6, unique=True))
@settings(max_examples=80, deadline=None)
def test_compacted_names_hold_every_name(names):
    text = compacted(names)
    if len(names) == 1:
        assert text == names[0]
        return
    ends = [
        (head, tail)
        for head in range(len(text))
        for tail in range(len(text) + 1)
        if text[head : head + 1] == "[" and text[tail - 1 : tail] == "]"
    ]
    assert any(
        [text[:head] + middle + text[tail:] for middle in text[head + 1 : tail - 1].split(",")] == names
        for head, tail in ends
    ) or any("," in name for name in names)


@given(
    names=st.lists(LFN, min_size=1, max_size=4),
    before=st.sampled_from(["-i ", '-i "', "-i '", '-x "it\'s" -i ', 'a\\ b -i "']),
)
@settings(max_examples=120, deadline=None)
def test_a_program_sees_exactly_the_names_whatever_quotes_stand_around(names, before):
    after = before[-1] if before[-1] in "'\"" else ""
    written = fill(f"{before}${{IN/T}}{after} end", names)
    said = subprocess.run(["/bin/sh", "-c", f"printf '%s\\0' {written}"], capture_output=True, check=True).stdout
    words = said.decode().split("\x00")[:-1]
    assert ast.literal_eval(words[-2]) == names
    assert words[-1] == "end"
    # the production pilot takes the words apart by itself
    assert shlex.split(written)[-2:] == words[-2:]


def test_a_value_cannot_leave_its_quotes():
    evil = ['"; touch /tmp/x; "', "$(id)", "`id`", "a'b", "\\", "!"]
    written = fill('-i "${IN/T}"', evil)
    said = subprocess.run(["/bin/sh", "-c", f"printf '%s\\0' {written}"], capture_output=True, check=True).stdout
    assert ast.literal_eval(said.decode().split("\x00")[1]) == evil


@pytest.mark.parametrize("variant", ["F", "X", "TT"])
def test_an_unknown_variant_is_refused_by_name(variant):
    with pytest.raises(InvalidInput) as refused:
        written_names(["a"], variant, "jobParameters.3.value")
    assert refused.value.field == "jobParameters.3.value"


def test_names_of_outputs():
    filling = Filling(77, 12, middle_name=".mid")
    assert fill_name("u${MIDDLENAME}.$JEDITASKID._${SN/P}.x", filling) == "u.mid.77._000012.x"


def test_the_text_of_a_build_job():
    build = BuildStep(
        "panda", "sources.x.tar.gz", '-i ${IN} -o ${OUT} --sourceURL ${SURL} -r . --bexec "make%20all" ', "buildGen"
    )
    assert (
        build_text(build, "l.lib.tgz", "http://s", 5)
        == '-i sources.x.tar.gz -o l.lib.tgz --sourceURL http://s -r . --bexec "make%20all"'
    )
