"""What dialogues make of answers, and what is made of Markdown: plain values, without a server."""

from __future__ import annotations

import json

import pytest

from dashboard import deeds, ends
from dashboard.components.markdown import document
from dashboard.components.preview import difference, go_words, preview
from dashboard.components.silence_table import end_words, growth
from dashboard.pages import WORKS
from dashboard.pages.alarm_actions import parameter_questions, parameters_of
from dashboard.pages.incident_actions import choices
from dashboard.works import numbers_of, shown_preview
from pandascope.errors import Usage

_EVALUATOR = {
    "name": "x",
    "parameters": [
        {"name": "limit_s", "type": "number", "default": 600.0, "meaning": "how long", "more_than": 0, "at_most": 2_592_000},
        {"name": "min_jobs", "type": "integer", "default": 10, "meaning": "", "at_least": 2},
        {"name": "level", "type": "string", "default": "ERROR", "meaning": "", "one_of": ["WARNING", "ERROR"]},
        {"name": "queues", "type": "string", "default": "", "meaning": ""},
    ],
}  # fmt: skip
_PREVIEW = {
    "action": "drain",
    "target_kind": "queue",
    "target_count": 3,
    "refused_count": 1,
    "targets": [{"target": "CERN", "refusal": ""}, {"target": "<b>BNL</b>", "refusal": "is held"}],
    "consequences": [{"what": "stranded", "count": 15, "sentence": "15 jobs that no other would"}],
    "expires": "2026-11-26T21:37:00+00:00",
    "inverse": "the status it had",
    "no_inverse": "",
}


def _text(component: object) -> str:
    return json.dumps(component, default=lambda one: one.to_plotly_json()["props"])


def test_no_two_works_have_one_name() -> None:
    assert len({work.name for work in WORKS}) == len(WORKS)


def test_a_fresh_preview_says_again_that_what_ends_meanwhile_is_left_out() -> None:
    kept = {work.name: work.accept_ended for work in deeds.WORKS}
    assert kept["kill-of-task"] and kept["kill-for"] and not kept["kill-job"] and not kept["drain-queue"]
    sentence = "Those that end by themselves meanwhile are left out."
    made = {**_PREVIEW, "token": "t"}
    assert sentence in _text(shown_preview(made, accept_ended=True).body)
    assert sentence not in _text(shown_preview(made).body)


def test_a_dialogue_calls_a_route_by_its_name_and_others_by_their_number() -> None:
    titles = {work.name: work for work in (*WORKS, *deeds.WORKS)}
    assert titles["remove-route"].named("3:17:storage: on call") == "storage: on call"
    assert titles["edit-route"].named("3:17:storage on call") == "storage on call"
    assert titles["kill-of-task"].named("10000001") == "10000001"
    assert titles["acknowledge-many"].named("3,5") == "3, 5"


def test_what_was_typed_goes_before_what_was_chosen() -> None:
    assert ends.silence_end({"ends": "2h", "at": ""}) == {"until_kind": "time", "until": "2h"}
    assert ends.silence_end({"ends": "fixed", "at": ""}) == {"until_kind": "fixed", "until": ""}
    assert ends.silence_end({"ends": "fixed", "at": "18:00"}) == {"until_kind": "time", "until": "18:00"}
    assert ends.queue_end({"ends": "tests:20", "at": ""}) == {"until": "tests:20"}
    assert ends.queue_end({"ends": "never", "at": "90m"}) == {"until": "90m"}


def test_a_button_without_marks_says_what_to_do() -> None:
    assert numbers_of("3,5") == [3, 5]
    with pytest.raises(Usage, match="nothing is marked"):
        numbers_of("")


def test_parameters_are_asked_with_their_range_and_come_back_in_their_type() -> None:
    asked = {question.name: question for question in parameter_questions(_EVALUATOR, {"limit_s": 900.0})}
    assert asked["p:limit_s"].value == "900"
    assert asked["p:limit_s"].label == "limit (seconds)"
    assert asked["p:limit_s"].hint == "how long (more than 0, at most 2592000)"
    assert [value for value, _ in asked["p:level"].choices] == ["WARNING", "ERROR"]
    given = {"p:limit_s": "0.5", "p:min_jobs": "5", "p:level": "WARNING", "p:queues": "CERN*"}
    assert parameters_of(_EVALUATOR, given) == {"limit_s": 0.5, "min_jobs": 5, "level": "WARNING", "queues": "CERN*"}
    assert "min_jobs" not in parameters_of(_EVALUATOR, {**given, "p:min_jobs": ""}), "left out: its default"
    with pytest.raises(Usage) as refused:
        parameters_of(_EVALUATOR, {**given, "p:min_jobs": "many"})
    assert refused.value.field == "min_jobs"


def test_a_preview_says_how_many_what_follows_and_what_takes_it_back() -> None:
    assert go_words(_PREVIEW) == "Drain 2 queues"
    shown = _text(preview(_PREVIEW))
    assert "15 jobs that no other would" in shown and "grave" in shown
    assert "the status it had" in shown and "21:37" in shown and "and 1 more" in shown
    kept = _text(preview({**_PREVIEW, "no_inverse": "ended is ended"}, accept_ended=True))
    assert "Cannot be taken back" in kept and "left out" in kept
    assert "3 jobs ended" in _text(difference(["3 jobs ended"]))


def test_a_handover_is_text_whatever_is_written_in_it() -> None:
    text = "# Head\n\n- **bold** and \\*\\*not\\*\\*\n- [x](javascript:alert(1)) ![y](http://z)\n\n<script>a</script>\n"
    shown = _text(document(text))
    assert '"Head"' in shown and '"bold"' in shown
    assert "**not**" in shown and "[x](javascript:alert(1)) ![y](http://z)" in shown and "<script>a</script>" in shown
    assert "href" not in shown and "src" not in shown


def test_a_silence_that_grew_is_marked() -> None:
    row = {"incident_id": 5, "growth": {"events": 340, "factor": 2.1}, "until_kind": "doubles", "until_time": None}
    assert "chip-warning" in _text(growth(row)) and "+340, × 2.1" in json.loads(_text(growth(row)))["children"]
    assert "chip-warning" not in _text(growth({**row, "growth": {"events": 3, "factor": 1.1}}))
    assert end_words(row) == "it has doubled"
    assert end_words({"until_kind": "time", "until_time": "2026-11-26T18:00:00+00:00"}) == "2026-11-26 18:00 UTC"


def test_a_resolved_incident_is_reopened_and_not_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.signin.may_act", lambda: True)
    resolved = _text(choices({"incident_id": 5, "state": "resolved", "held_by": ""}))
    held = _text(choices({"incident_id": 5, "state": "open", "held_by": "otto"}))
    assert '"Reopen"' in resolved and '"Silence"' not in resolved and '"Resolve"' not in resolved
    assert '"Release"' in held and '"Hold"' not in held
