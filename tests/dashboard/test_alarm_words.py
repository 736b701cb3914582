"""Rules that open incidents in words: names, parameters with units, and a meaning for each of them."""

from __future__ import annotations

import pytest

from dashboard.components import alarm_words
from dashboard.pages.alarm_actions import parameter_questions
from logger.reading.rules import evaluators

EVERY = evaluators()


@pytest.mark.parametrize("evaluator", EVERY, ids=lambda one: one["name"])
def test_every_parameter_has_words_and_a_meaning(evaluator):
    assert evaluator["name"] not in alarm_words.evaluator_words(evaluator["name"]).split()
    for one in evaluator["parameters"]:
        label = alarm_words.label(one["name"])
        assert "_" not in label and len(label) > 1, one["name"]
        assert alarm_words.meaning(one), f"{evaluator['name']}.{one['name']} has no meaning"
        assert ".py" not in alarm_words.meaning(one)
    for question in parameter_questions(evaluator, {}):
        assert question.hint


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("quiet_s", 1800, "lapses when quiet for 30 min"),
        ("burst_jobs", 10, "at least 10 jobs at one place"),
        ("burst_rate", 0.2, "at least 20 % of the jobs there fail"),
        ("residue_part_of_ended", 0.001, "at least 0.1 % of the jobs that ended"),
        ("min_residue_jobs", 1, "at least 1 job lost for good"),
        ("min_records", 1, "at least 1 record"),
        ("min_residue_jobs", 20, "at least 20 jobs lost for good"),
        ("classes", "!data|storage", "errors of kind other than data and storage"),
        ("classes", "data|storage", "errors of kind data or storage"),
        ("limit_s", 600, "longer than 10 min"),
        ("limit_mb", 1000, "less than 1\u202f000 MB left"),
        ("z", 3, "3 standard deviations off"),
        ("something_new_s", 90, "something new 1 min 30 s"),
        ("is_strict", True, "is strict yes"),
    ],
)
def test_a_parameter_is_said_with_its_unit(name, given, words):
    assert alarm_words.sentence(name, given) == words


def test_a_question_names_the_unit_of_its_number():
    one = {"name": "quiet_s", "type": "number", "default": 1800, "meaning": "", "at_least": 60}
    (question,) = parameter_questions({"parameters": [one]}, {})
    assert (question.label, question.hint) == ("lapses when quiet for (seconds)", "(at least 60)")


@pytest.mark.parametrize(
    ("found", "unit", "words"),
    [(720.0, "s", "12 min"), (0.4, "of last week's", "40 %"), (13.2, "days", "13.2 days"), (7, "", "7")],
)
def test_what_was_measured_is_said_with_its_unit(found, unit, words):
    assert alarm_words.measured(found, unit) == words


def test_empty_parameters_filter_nothing_and_are_not_said():
    assert alarm_words.given({"queues": "", "limit_s": 0, "codes": [], "users": None}) == [("limit_s", 0)]
