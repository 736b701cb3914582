"""Accounting of outputs: finished is only what has every output stored with size and checksum."""

from __future__ import annotations

import pytest

from core.agents.adder import ADDER_ERROR, Adder
from core.database import Database
from core.dataservice.catalogue import describe_dataset
from core.direct_submission import submit_jobs
from core.taskbuffer.submission import NewFile
from tests.support.builders import (
    ADLER32,
    acquire,
    activate,
    add_up,
    history_of,
    make_queue,
    new_job,
    outputs_of,
    report,
    report_finished,
    row_of,
    start,
    status_of,
    stored,
)


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


def running_job(database: Database, dataset: str, *outputs: str) -> int:
    job = new_job()
    job.files += [NewFile("output", name, name, dataset=f"{dataset}_out") for name in outputs]
    job.files += [NewFile("log", f"{dataset}.log.tgz", "log.tgz", dataset=f"{dataset}_log")]
    [panda_id] = submit_jobs(database, [job])
    activate(database, 0)
    acquire(database)
    report(database, panda_id, "running")
    return panda_id


def catalogued(database: Database, dataset: str) -> dict[str, dict[str, object]]:
    return {file["lfn"]: file for file in describe_dataset(database, dataset)["files"]}


def files_of(database: Database, panda_id: int) -> dict[str, dict[str, object]]:
    rows = database.fetch("SELECT * FROM job_files WHERE panda_id = %(id)s", {"id": panda_id})
    return {row["lfn"]: row for row in rows}


def test_stored_outputs_are_registered_with_their_facts(site):
    panda_id = running_job(site, "all", "a.txt", "b.txt")
    report_finished(site, panda_id)
    assert status_of(site, panda_id) == "holding"
    assert add_up(site) == 1
    assert history_of(site, panda_id)[-2:] == ["holding", "finished"]
    files = catalogued(site, "all_out")
    assert set(files) == {"a.txt", "b.txt"}
    assert files["a.txt"]["checksum"] == f"ad:{ADLER32}"
    assert files["a.txt"]["panda_id"] == panda_id
    assert files["a.txt"]["replicas"] == [{"endpoint": "Q_DISK", "pfn": "/stored/a.txt"}]
    assert set(catalogued(site, "all_log")) == {"all.log.tgz"}
    assert {file["status"] for file in files_of(site, panda_id).values()} == {"ready"}


def test_the_guid_of_an_output_is_the_one_the_server_made(site):
    panda_id = running_job(site, "guid", "a.txt")
    made = files_of(site, panda_id)["a.txt"]["guid"]
    report_finished(site, panda_id)
    add_up(site)
    assert made
    assert catalogued(site, "guid_out")["a.txt"]["guid"] == made


def test_a_guid_the_pilot_sends_is_taken(site):
    panda_id = running_job(site, "given", "a.txt")
    report(site, panda_id, "finished", output_report=stored(outputs_of(site, panda_id), guid="THE-PILOTS-OWN"))
    add_up(site)
    assert catalogued(site, "given_out")["a.txt"]["guid"] == "THE-PILOTS-OWN"


def test_a_finished_job_without_one_of_its_outputs_failed(site):
    panda_id = running_job(site, "missing", "a.txt", "b.txt")
    report(site, panda_id, "finished", output_report=stored(["a.txt", "missing.log.tgz"]))
    add_up(site)
    row = row_of(site, panda_id)
    assert (row["job_status"], row["ddm_error_code"]) == ("failed", ADDER_ERROR)
    assert row["ddm_error_diag"] == "b.txt: was not stored"
    assert catalogued(site, "missing_out") == {}
    assert files_of(site, panda_id)["a.txt"]["status"] == "failed"


def test_the_log_of_a_failed_job_is_registered(site):
    panda_id = running_job(site, "broken", "a.txt")
    report(
        site,
        panda_id,
        "failed",
        pilot_error_code=1305,
        pilot_error_diag="exit 3",
        output_report=stored(["a.txt", "broken.log.tgz"]),
    )
    add_up(site)
    row = row_of(site, panda_id)
    assert (row["job_status"], row["pilot_error_code"], row["ddm_error_code"]) == ("failed", 1305, 0)
    assert set(catalogued(site, "broken_log")) == {"broken.log.tgz"}
    assert catalogued(site, "broken_out") == {}


def test_a_missing_log_is_no_reason_to_fail(site):
    panda_id = running_job(site, "nolog", "a.txt")
    report(site, panda_id, "finished", output_report=stored(["a.txt"]))
    add_up(site)
    assert status_of(site, panda_id) == "finished"
    assert files_of(site, panda_id)["nolog.log.tgz"]["status"] == "failed"


BAD_ENTRIES = [
    {"adler32": ""},
    {"adler32": "0A1B2C3D"},
    {"adler32": "0a1b2c3"},
    {"adler32": "md5:0a1b2c3d"},
    {"adler32": None},
    {"adler32": None, "md5sum": "0123"},
    {"adler32": None, "md5sum": "D41D8CD98F00B204E9800998ECF8427E"},
    {"fsize": None},
    {"fsize": "3"},
    {"fsize": 3.5},
    {"fsize": -1},
    {"fsize": True},
    {"fsize": 2**63},
    {"surl": 5},
    {"guid": ["x"]},
]


@pytest.mark.parametrize("wrong", BAD_ENTRIES, ids=[str(entry) for entry in BAD_ENTRIES])
def test_an_output_without_a_size_and_checksum_is_not_accounted_for(site, wrong):
    [panda_id] = start(site, outputs=["a.txt"])
    said = stored(outputs_of(site, panda_id)) | stored(["a.txt"], **wrong)
    report(site, panda_id, "finished", output_report=said)
    add_up(site)
    row = row_of(site, panda_id)
    assert (row["job_status"], row["ddm_error_code"]) == ("failed", ADDER_ERROR)
    assert row["ddm_error_diag"].startswith("a.txt: ")


@pytest.mark.parametrize(
    "good", [{"adler32": f"ad:{ADLER32}"}, {"fsize": 0}, {"guid": None, "surl": None}, {"more": "x"}]
)
def test_the_forms_pilots_use_are_understood(site, good):
    [panda_id] = start(site, outputs=["a.txt"])
    report(site, panda_id, "finished", output_report=stored(outputs_of(site, panda_id), **good))
    add_up(site)
    assert status_of(site, panda_id) == "finished"
    assert files_of(site, panda_id)["a.txt"]["checksum"] == f"ad:{ADLER32}"


def test_an_md5_sum_will_do(site):
    md5 = "d41d8cd98f00b204e9800998ecf8427e"
    [panda_id] = start(site, outputs=["a.txt"])
    said = stored(outputs_of(site, panda_id), adler32="", md5sum=md5)
    report(site, panda_id, "finished", output_report=said)
    add_up(site)
    assert status_of(site, panda_id) == "finished"
    assert files_of(site, panda_id)["a.txt"]["checksum"] == f"md5:{md5}"


def test_files_nobody_expected_are_not_registered(site):
    panda_id = running_job(site, "extra", "a.txt")
    report(site, panda_id, "finished", output_report=stored([*outputs_of(site, panda_id), "../evil", "z.txt"]))
    add_up(site)
    assert status_of(site, panda_id) == "finished"
    assert set(catalogued(site, "extra_out")) == {"a.txt"}


@pytest.mark.parametrize(
    ("said", "component"),
    [({}, "ddm"), ({"trans_exit_code": 3}, ""), ({"exe_error_code": 65}, "exe"), ({"pilot_error_code": 1305}, "pilot")],
)
def test_a_failed_job_has_an_error_and_only_one_that_somebody_saw(site, said, component):
    [panda_id] = start(site)
    report(site, panda_id, "failed", **said)
    add_up(site)
    row = row_of(site, panda_id)
    assert row["job_status"] == "failed"
    found = {name for name in ("pilot", "exe", "ddm") if row[f"{name}_error_code"]}
    assert found == ({component} if component else set())


def test_the_last_attempt_of_a_file_counts(site):
    first, second = running_job(site, "again", "a.txt"), running_job(site, "again", "a.txt")
    for panda_id, size in ((first, 3), (second, 4)):
        report(site, panda_id, "finished", output_report=stored(outputs_of(site, panda_id), fsize=size))
        add_up(site)
    assert catalogued(site, "again_out")["a.txt"]["size_bytes"] == 4
    assert catalogued(site, "again_out")["a.txt"]["panda_id"] == second


def test_many_reports_are_taken_batch_by_batch(site):
    panda_ids = start(site, 450)
    for panda_id in panda_ids:
        report(site, panda_id, "failed", pilot_error_code=1305)
    adder = Adder(site, 1)
    assert [adder.cycle() for _ in range(4)] == [200, 200, 50, 0]


def test_a_job_that_holds_without_a_verdict_is_left_alone(site):
    [panda_id] = start(site)
    report(site, panda_id, "holding")
    assert add_up(site) == 0
    assert status_of(site, panda_id) == "holding"


def test_an_output_that_may_be_left_out_does_not_fail_a_finished_job(site):
    panda_id = running_job(site, "optional", "must.txt", "may.txt")
    item = {"type": "template", "param_type": "output", "dataset": "may_out/", "allowNoOutput": True}
    site.execute(
        "INSERT INTO tasks (jedi_task_id, parameters) VALUES (10777777, %(p)s)", {"p": {"jobParameters": [item]}}
    )
    site.execute("UPDATE job_files SET jedi_task_id = 10777777 WHERE panda_id = %(id)s", {"id": panda_id})
    site.execute("UPDATE job_files SET dataset = 'may_out' WHERE lfn = 'may.txt'")
    made = [name for name in outputs_of(site, panda_id) if name != "may.txt"]
    report(site, panda_id, "finished", output_report=stored(made))
    add_up(site)
    assert status_of(site, panda_id) == "finished"
    assert files_of(site, panda_id)["may.txt"]["status"] == "nooutput"
    assert files_of(site, panda_id)["must.txt"]["status"] == "ready"
