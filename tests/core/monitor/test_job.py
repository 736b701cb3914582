"""One job: its page, its sentence, its logs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import UnknownObject
from core.monitor.job import job_detail
from core.monitor.job_rows import job_rows
from core.monitor.joblog import count_lines, job_log
from core.wording import duration_words
from tests.core.monitor.rows import NOW, insert, insert_jobs


def ago(seconds: float):
    return NOW - timedelta(seconds=seconds)


@pytest.fixture
def failed_job(database):
    insert_jobs(
        database,
        [
            {
                "panda_id": 17,
                "job_status": "failed",
                "computing_site": "CERN",
                "modification_host": "node1",
                "state_change_time": ago(60),
                "start_time": ago(7260),
                "end_time": ago(60),
                "pilot_error_code": 1305,
                "pilot_error_diag": "exit code 3",
                "trans_exit_code": 3,
            }
        ],
    )
    steps = [("defined", 9000), ("activated", 8000), ("running", 7260), ("failed", 60)]
    insert(
        database,
        "job_history",
        [{"panda_id": 17, "job_status": status, "modification_time": ago(seconds)} for status, seconds in steps],
    )
    insert(
        database,
        "job_files",
        [{"panda_id": 17, "type": "output", "lfn": f"out/{i}", "local_name": f"{i}"} for i in (2, 1)],
    )
    insert(database, "job_parameters", [{"panda_id": 17, "job_parameters": "--events 5"}])
    insert(
        database,
        "job_logs",
        [
            {"panda_id": 17, "name": "payload.stderr", "text": "one\ntwo\nValueError: no", "is_truncated": False},
            {"panda_id": 17, "name": "payload.stdout", "text": "é\n", "is_truncated": True},
            {"panda_id": 17, "name": "pilot.log", "text": "", "is_truncated": False},
        ],
    )
    return database


def cover(database, log="payload.stdout", **incident):
    insert(database, "incidents", [{"incident_id": 5, "title": "boom", "opened_time": NOW, **incident}])
    line = {"culprit_log": log, "culprit_line_number": 1, "culprit_line": "ValueError: no"}
    insert(database, "incident_jobs", [{"panda_id": 17, "incident_id": 5, **line}])


def test_a_job_tells_its_history_with_durations(failed_job):
    answer = job_detail(failed_job, 17, NOW)
    assert [(step["job_status"], step["duration_s"]) for step in answer["history"]] == [
        ("defined", 1000.0),
        ("activated", 740.0),
        ("running", 7200.0),
        ("failed", None),
    ]
    assert [file["lfn"] for file in answer["files"]] == ["out/2", "out/1"]
    assert answer["parameters"] == "--events 5"
    assert [(error["component"], error["code"], error["primary"]) for error in answer["errors"]] == [
        ("pilot", 1305, True),
        ("trans", 3, False),
    ]
    assert answer["logs"] == [
        {"name": "payload.stderr", "size_bytes": 22, "line_count": 3},
        {"name": "payload.stdout", "size_bytes": 3, "line_count": 1},
        {"name": "pilot.log", "size_bytes": 0, "line_count": 0},
    ]
    assert answer["brokerage"] is None and answer["incidents"] == []


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"job_count": 4}, "seen 4 times, retried each time: no incident"),
        ({"job_count": 1}, "seen once, retried each time: no incident"),
        ({"job_count": 9, "residue_count": 2}, "seen 9 times, 2 of them lost after all attempts: no incident"),
    ],
)
def test_a_failure_that_is_only_counted_is_no_incident_and_says_so(failed_job, counts, sentence):
    cover(failed_job, state="candidate", opened_time=None, **counts)
    answer = job_detail(failed_job, 17, NOW)
    assert answer["incidents"] == [] and answer["job"]["incident_id"] is None
    assert answer["candidate"]["sentence"] == sentence and answer["job"]["culprit_line"] == "ValueError: no"
    assert job_rows(failed_job, [17])[0]["incident_id"] is None


def test_a_failed_job_says_where_how_long_and_why(failed_job):
    before = job_detail(failed_job, 17, NOW)["summary"]
    assert before == "Failed at CERN on node1 after running for 2 h: exit code 3 (pilot 1305 PAYLOADEXECUTIONFAILURE)."
    cover(failed_job)
    answer = job_detail(failed_job, 17, NOW)
    assert "ValueError: no (pilot 1305" in answer["summary"]
    assert answer["incidents"] == [{"incident_id": 5, "title": "boom", "state": "open", "severity": "error"}]
    assert (answer["job"]["incident_id"], answer["job"]["culprit_line"]) == (5, "ValueError: no")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            {"job_status": "activated", "computing_site": "CERN"},
            "Activated at CERN for 5 min: ready; waiting for a pilot; there is no queue CERN.",
        ),
        (
            {"job_status": "defined", "brokerage_error_diag": "no queue has 99 GB"},
            "Defined for 5 min: accepted; a queue is being chosen; no queue has 99 GB.",
        ),
        (
            {"job_status": "running", "command_to_pilot": "tobekilled"},
            "Running for 5 min: the payload executes."
            " A kill was requested; the pilot learns of it with its next heartbeat.",
        ),
        (
            {"job_status": "running", "command_to_pilot": "tail payload.stdout"},
            "Running for 5 min: the payload executes. The pilot is told 'tail payload.stdout' with its next heartbeat.",
        ),
        (
            {"job_status": "holding", "command_to_pilot": "tobekilled"},
            "Holding for 5 min: payload ended; outputs are being accounted for.",
        ),
        ({"job_status": "finished", "start_time": ago(360), "end_time": ago(300)}, "Finished after running for 1 min."),
        ({"job_status": "cancelled"}, "Cancelled without having run: no error was reported."),
    ],
)
def test_sentences_of_other_states(database, columns, sentence):
    insert_jobs(database, [{"panda_id": 1, "state_change_time": ago(300), **columns}])
    assert job_detail(database, 1, NOW)["summary"] == sentence


def test_the_last_reason_tells_why_a_job_was_cancelled(database):
    insert_jobs(database, [{"panda_id": 1, "job_status": "cancelled", "state_change_time": ago(1)}])
    insert(database, "job_history", [{"panda_id": 1, "job_status": "cancelled", "reason": "killed by Ada"}])
    assert job_detail(database, 1, NOW)["summary"] == "Cancelled without having run: killed by Ada."


def test_the_last_brokerage_is_shown_with_its_funnel(database):
    insert_jobs(database, [{"panda_id": 1, "job_status": "defined", "state_change_time": ago(1)}])
    funnel = [{"criterion": "memory", "sentence": "enough memory", "before": 2, "after": 0, "excluded": []}]
    insert(database, "brokerage_decisions", [{"decision_id": 9, "chosen": "", "funnel": funnel}])
    insert(database, "job_brokerage", [{"panda_id": 1, "decision_id": 9}])
    brokerage = job_detail(database, 1, NOW)["brokerage"]
    assert brokerage["funnel"] == funnel and brokerage["chosen"] == "" and brokerage["time"].tzinfo


def test_an_unknown_job_is_refused_by_name(database):
    for ask in (lambda: job_detail(database, 1, NOW), lambda: job_log(database, 1, "", NOW)):
        with pytest.raises(UnknownObject) as refusal:
            ask()
        assert refusal.value.field == "panda_id"


def test_a_log_opens_at_the_culprit_line(failed_job):
    assert job_log(failed_job, 17, "", NOW)["name"] == "payload.stderr"
    cover(failed_job)
    answer = job_log(failed_job, 17, "", NOW)
    assert (answer["name"], answer["truncated"]) == ("payload.stdout", True)
    assert answer["culprit"] == {"line_number": 1, "text": "ValueError: no"}
    other = job_log(failed_job, 17, "payload.stderr", NOW)
    assert (other["culprit"], other["line_count"], other["first_line_number"]) == (None, 3, 1)
    assert other["names"] == ["payload.stderr", "payload.stdout", "pilot.log"]


def test_a_log_that_is_not_there_names_those_that_are(failed_job):
    with pytest.raises(UnknownObject) as refusal:
        job_log(failed_job, 17, "x", NOW)
    assert refusal.value.field == "name" and "payload.stderr" in refusal.value.remedy
    insert_jobs(failed_job, [{"panda_id": 18, "job_status": "running", "state_change_time": ago(1)}])
    with pytest.raises(UnknownObject) as refusal:
        job_log(failed_job, 18, "", NOW)
    assert "running" in refusal.value.remedy


@given(some.text(alphabet="a\n\r\x0b\u2028", max_size=12))
def test_lines_end_at_newlines_only(text):
    lines = text.split("\n")
    assert count_lines(text) == len(lines) - (1 if lines[-1] == "" else 0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "less than a second"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3661, "1 h 1 min"),
        (90_061, "1 d 1 h"),
        (86_460, "1 d"),
        (-5, "less than a second"),
    ],
)
def test_durations_in_words(seconds, words):
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("text", "timing"),
    [
        ("1|20|300|4|0|5", {"getjob": 1, "stagein": 20, "payload": 300, "stageout": 4, "initial_setup": 0, "setup": 5}),
        ("", {}),
        ("1|2|3", {}),
        ("a|b|c|d|e|f", {}),
    ],
)
def test_the_times_of_the_pilot_are_told_by_step(database, text, timing):
    insert_jobs(
        database, [{"panda_id": 1, "job_status": "finished", "state_change_time": ago(1), "pilot_timing": text}]
    )
    assert job_detail(database, 1, NOW)["timing"] == timing
