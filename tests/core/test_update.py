"""Reports of pilots: what they change, and what a wrong one leaves alone."""

from __future__ import annotations

import threading

import pytest

from core.database import Database
from core.dispatch.update import (
    ALREADY_DONE,
    BAD_ATTEMPT,
    INVALID_BATCH_ID,
    LOG_TAIL_CHARACTERS,
    REPORTABLE,
    JobReport,
    PilotReports,
)
from core.errors import InvalidInput
from core.states import FINAL_JOB_STATUSES, JOB_TRANSITIONS, ON_WORKER_NODE, JobStatus
from core.taskbuffer.killing import TO_BE_KILLED, Killer, kill_jobs
from tests.support.builders import (
    acquire,
    activate,
    add_up,
    everything,
    history_of,
    make_queue,
    put_into,
    report,
    report_finished,
    row_of,
    start,
    status_of,
    stored,
    submit,
)


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


def sent(database: Database) -> int:
    [panda_id] = activate(database)
    assert acquire(database)[0].job["panda_id"] == panda_id
    return panda_id


def test_a_job_takes_every_step_a_pilot_reports(site):
    panda_id = sent(site)
    for status in ("starting", "stagein", "running", "stageout"):
        assert report(site, panda_id, status, attempt_nr=1, node="wn1") is None
    report_finished(site, panda_id)
    assert history_of(site, panda_id) == [
        *("defined", "activated", "sent", "starting", "stagein", "running", "stageout", "holding")
    ]
    row = row_of(site, panda_id)
    assert row["start_time"] is not None
    assert row["end_time"] is not None
    assert row["modification_host"] == "wn1"


def test_figures_of_a_heartbeat_are_kept_and_silence_keeps_the_old_ones(site):
    [panda_id] = start(site)
    report(site, panda_id, "running", cpu_consumption_time_s=10, max_rss_kb=2000, work_dir_mb=5, job_metrics="n=1")
    report(site, panda_id, "running", cpu_consumption_time_s=20)
    row = row_of(site, panda_id)
    assert (row["cpu_consumption_time_s"], row["max_rss_kb"], row["work_dir_mb"], row["job_metrics"]) == (
        20,
        2000,
        5,
        "n=1",
    )


def test_a_heartbeat_is_no_state_change(site):
    [panda_id] = start(site)
    before = row_of(site, panda_id)
    report(site, panda_id, "running")
    after = row_of(site, panda_id)
    assert after["modification_time"] > before["modification_time"]
    assert after["state_change_time"] == before["state_change_time"]
    assert history_of(site, panda_id)[-1:] == ["running"]
    assert history_of(site, panda_id).count("running") == 1


def test_running_is_not_undone_by_a_late_starting(site):
    [panda_id] = start(site)
    assert report(site, panda_id, "starting") is None
    assert status_of(site, panda_id) == "running"


@pytest.mark.parametrize("before", sorted(set(JobStatus) - FINAL_JOB_STATUSES))
@pytest.mark.parametrize("said", sorted(REPORTABLE))
def test_a_report_moves_a_job_along_the_table_or_not_at_all(site, before, said):
    [panda_id] = submit(site)
    put_into(site, panda_id, before)
    rows_before = everything(site) if before not in ON_WORKER_NODE else None
    answer = report(site, panda_id, said)
    target = JobStatus.HOLDING if said in ("finished", "failed") else JobStatus(said)
    if before in ON_WORKER_NODE:
        assert answer is None
        assert status_of(site, panda_id) == (target if target in JOB_TRANSITIONS[before] else before)
    elif before in ("holding", "transferring") and said in ("finished", "failed"):
        assert answer is None  # the verdict that was due
        assert status_of(site, panda_id) == before
    else:
        assert answer == (ALREADY_DONE if before in ("holding", "merging", "transferring") else TO_BE_KILLED)
        assert everything(site) == rows_before
    put_into(site, panda_id, "throttled")  # out of the way of the others


@pytest.mark.parametrize(
    "said", ["", "sent", "activated", "cancelled", "closed", "merging", "Running", "x" * 1000, "a\x00b"]
)
def test_a_pilot_may_not_report_what_is_not_its_to_say(site, said):
    [panda_id] = start(site)
    before = everything(site)
    with pytest.raises(InvalidInput) as refused:
        report(site, panda_id, said)
    assert refused.value.field == "job_status"
    assert refused.value.remedy
    assert everything(site) == before


@pytest.mark.parametrize("said", ["running", "finished", "failed", "holding"])
def test_another_attempt_changes_nothing(site, said):
    [panda_id] = start(site)
    before = everything(site)
    assert report(site, panda_id, said, attempt_nr=2, pilot_error_code=1305) == BAD_ATTEMPT
    assert everything(site) == before


@pytest.mark.parametrize("said", ["running", "finished"])
def test_nobody_works_for_an_unknown_job(site, said):
    before = everything(site)
    assert report(site, 10**12, said) == TO_BE_KILLED
    assert everything(site) == before


def test_a_repeated_verdict_changes_nothing(site):
    [panda_id] = start(site, outputs=["o"])
    report_finished(site, panda_id)
    before = everything(site)
    for said in ("finished", "failed", "running", "holding"):
        assert report(site, panda_id, said, pilot_error_code=1305, output_report={}) == ALREADY_DONE
    assert everything(site) == before
    add_up(site)
    before = everything(site)
    assert report(site, panda_id, "finished") == ALREADY_DONE
    assert report(site, panda_id, "running") == TO_BE_KILLED
    assert report(site, panda_id, "finished", attempt_nr=2) == BAD_ATTEMPT
    assert everything(site) == before


@pytest.mark.parametrize("waiting", ["holding", "transferring"])
def test_a_verdict_after_the_outputs_had_to_wait_counts(site, waiting):
    [panda_id] = start(site, outputs=["o"])
    assert report(site, panda_id, waiting, pilot_error_code=1137, pilot_error_diag="disk full") is None
    assert row_of(site, panda_id)["end_time"] is None
    assert report(site, panda_id, waiting) == ALREADY_DONE
    report_finished(site, panda_id)
    assert report(site, panda_id, "failed") == ALREADY_DONE
    add_up(site)
    assert history_of(site, panda_id)[-2:] == [waiting, "finished"]


def test_a_kill_reaches_the_pilot_with_the_next_heartbeat(site):
    [panda_id] = start(site)
    assert kill_jobs(site, [panda_id], Killer("alice", is_manager=False)) == [True]
    assert report(site, panda_id, "running") == TO_BE_KILLED
    assert report(site, panda_id, "running") == TO_BE_KILLED
    assert report(site, panda_id, "failed", pilot_error_code=1144) is None


def test_a_final_report_keeps_the_tails_of_the_logs(site):
    [panda_id] = start(site)
    long = "".join(f"{number}\n" for number in range(20_000)) + "the last line"
    report(
        site, panda_id, "failed", logs={"payload.stderr": long, "payload.stdout": "short", "pilot.log": "nul \x00 here"}
    )
    logs = {row["name"]: row for row in site.fetch("SELECT * FROM job_logs WHERE panda_id = %(id)s", {"id": panda_id})}
    assert len(logs["payload.stderr"]["text"]) == LOG_TAIL_CHARACTERS
    assert logs["payload.stderr"]["text"].endswith("the last line")
    assert logs["payload.stderr"]["is_truncated"]
    assert logs["payload.stdout"]["text"] == "short"
    assert not logs["payload.stdout"]["is_truncated"]
    assert logs["pilot.log"]["text"] == "nul  here"


def test_binary_and_endless_texts_of_a_pilot_are_kept_readable(site):
    [panda_id] = start(site)
    odd = "\x00\x01\x1b[31m\ud800 é \U0001f4a3" + "x" * 10_000
    report(site, panda_id, "failed", pilot_error_diag=odd, node=odd, pilot_id=odd, job_metrics=odd, sub_status=odd)
    row = row_of(site, panda_id)
    assert row["pilot_error_diag"].startswith("\x01\x1b[31m? é \U0001f4a3x")
    lengths = {name: len(row[name]) for name in ("pilot_error_diag", "modification_host", "pilot_id", "job_sub_status")}
    assert lengths == {"pilot_error_diag": 500, "modification_host": 128, "pilot_id": 200, "job_sub_status": 80}


ODD_REPORTS = [
    {"o\x00": {"guid": "\x00"}},
    {"o": {"fsize": 10**30, "adler32": "0a1b2c3d"}},
    {"o": {"fsize": float("nan"), "adler32": float("inf")}},
    {"o": {"fsize": -1, "adler32": "0a1b2c3d"}},
    {"o": {"fsize": True, "adler32": "0a1b2c3d"}},
    {"o": {"fsize": "3", "adler32": ["0a1b2c3d"]}},
    {"o": None, "p": 3, "": {}},
    {"o": {"fsize": 3, "adler32": "0a1b2c3d", "guid": {"a": 1}, "surl": ["\ud800"]}},
]


@pytest.mark.parametrize("odd", ODD_REPORTS, ids=range(len(ODD_REPORTS)))
def test_an_odd_output_report_harms_its_own_job_only(site, odd):
    good, bad = start(site, 2, outputs=["o"])
    report(site, bad, "finished", output_report=odd)
    report_finished(site, good)
    add_up(site)
    assert status_of(site, good) == "finished"
    assert status_of(site, bad) == "failed"


def test_reports_that_meet_share_a_statement_and_each_gets_its_own_answer(site):
    panda_ids = start(site, 40)
    kill_jobs(site, panda_ids[:10], Killer("alice", is_manager=False))
    reports = PilotReports(site)
    answers: dict[int, str | None] = {}
    begin = threading.Barrier(43)

    def pilot(panda_id: int, said: str, attempt_nr: int) -> None:
        begin.wait()
        answers[panda_id] = reports.update_job(JobReport(panda_id, said, attempt_nr=attempt_nr))

    calls = [(panda_id, "running", 1) for panda_id in panda_ids[:20]]
    calls += [(panda_id, "failed", 1) for panda_id in panda_ids[20:30]]
    calls += [(panda_id, "running", 7) for panda_id in panda_ids[30:]]
    calls += [(10**12 + number, "running", 1) for number in range(3)]
    threads = [threading.Thread(target=pilot, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[panda_id] for panda_id in panda_ids] == [
        *[TO_BE_KILLED] * 10,
        *[None] * 20,
        *[BAD_ATTEMPT] * 10,
    ]
    assert [answers[10**12 + number] for number in range(3)] == [TO_BE_KILLED] * 3
    assert {status_of(site, panda_id) for panda_id in panda_ids[20:30]} == {"holding"}


def test_one_of_two_verdicts_that_race_is_kept_whole(site):
    for panda_id in start(site, 10):
        begin = threading.Barrier(2)

        def say(verdict: str, panda_id: int = panda_id, begin: threading.Barrier = begin) -> None:
            begin.wait()
            # an instance each, as in two processes
            report(site, panda_id, verdict, output_report=stored([verdict]), pilot_error_diag=verdict)

        threads = [threading.Thread(target=say, args=(verdict,)) for verdict in ("finished", "failed")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = site.fetch_one("SELECT * FROM job_output_reports WHERE panda_id = %(id)s", {"id": panda_id})
        assert kept is not None
        assert list(kept["report"]) == [kept["verdict"]]
        assert row_of(site, panda_id)["pilot_error_diag"] == kept["verdict"]
        assert history_of(site, panda_id).count("holding") == 1


@pytest.mark.parametrize(
    ("first", "second", "is_foreign"),
    [
        ("farm.cluster.1", "farm.cluster.2", True),
        ("farm.cluster.1", "farm.cluster.1", False),
        ("farm.cluster.1", "", False),
        ("farm.cluster.1", None, False),
        ("", "farm.cluster.2", False),
        ("4711", "4712", False),
        ("17.0", "farm.cluster.2", False),
    ],
)
def test_another_batch_job_than_the_one_that_has_the_job_is_told_to_stop(site, first, second, is_foreign):
    [panda_id] = start(site)
    report(site, panda_id, "running", batch_id=first)
    before = row_of(site, panda_id)
    answer = report(site, panda_id, "failed", batch_id=second, pilot_error_code=1305, node="wn9")
    row = row_of(site, panda_id)
    if not is_foreign:
        assert (answer, row["job_status"], row["sup_error_code"]) == (None, "holding", 0)
        return
    assert answer == TO_BE_KILLED
    assert row["sup_error_code"] == INVALID_BATCH_ID
    assert "farm.cluster.2 on wn9" in row["sup_error_diag"]
    assert {**row, "sup_error_code": 0, "sup_error_diag": ""} == before
    assert report(site, panda_id, "running", batch_id=first) is None
