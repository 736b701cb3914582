"""Jobs enter: numbered in order, checked whole, all or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.direct_submission import submit_jobs
from core.errors import Conflict, InvalidInput, NotAllowed, PandaError, UnknownObject
from core.labels import LABELS
from core.resource_types import resource_type
from core.taskbuffer.submission import JOB_LIMITS, MAX_PARAMETERS_BYTES, NewFile, check_job
from tests.support.builders import everything, history_of, make_dataset, make_queue, new_job, row_of, submit


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    make_dataset(shared_database, "in", ["a.txt", "dir/b.txt"], at=["Q_DISK"])
    return shared_database


def job_with(*files: NewFile, **attributes):
    job = new_job(**attributes)
    job.files += files
    return job


def files_of(database, panda_id):
    return database.fetch("SELECT * FROM job_files WHERE panda_id = %(id)s ORDER BY row_id", {"id": panda_id})


def test_panda_ids_come_back_in_the_order_of_the_jobs(site):
    panda_ids = submit_jobs(site, [new_job(job_name=f"job {number}") for number in range(50)])
    assert panda_ids == sorted(panda_ids)
    assert [row_of(site, panda_id)["job_name"] for panda_id in panda_ids] == [f"job {number}" for number in range(50)]


def test_a_new_job_is_defined_with_history_and_has_a_log(site):
    [panda_id] = submit(site, outputs=["o.txt"])
    assert row_of(site, panda_id)["job_status"] == "defined"
    assert history_of(site, panda_id) == ["defined"]
    assert {(file["type"], file["lfn"]) for file in files_of(site, panda_id)} == {
        ("output", "o.txt"),
        ("log", f"job.{panda_id}.log.tgz"),
    }


def test_guids_of_outputs_are_made_by_the_server_and_differ(site):
    [panda_id] = submit(site, outputs=["o.txt", "p.txt"])
    guids = [file["guid"] for file in files_of(site, panda_id)]
    assert all(len(guid) == 36 for guid in guids)
    assert len(set(guids)) == 3


def test_inputs_take_their_facts_from_the_catalogue(site):
    [panda_id] = submit_jobs(site, [job_with(NewFile("input", "dir/b.txt", "here/b.txt", dataset="in"))])
    [file] = [file for file in files_of(site, panda_id) if file["type"] == "input"]
    assert file["status"] == "pending"
    assert (file["size_bytes"], file["checksum"], file["scope"]) == (3, "ad:0a1b2c3d", "user.alice")
    assert file["local_name"] == "here/b.txt"
    assert file["guid"]


def test_a_queue_that_was_named_pins_the_job(site):
    [pinned], [free] = submit(site, queue="Q"), submit(site, queue="")
    assert row_of(site, pinned)["site_is_pinned"]
    assert not row_of(site, free)["site_is_pinned"]


def test_long_texts_about_a_job_are_cut_and_its_parameters_are_not(site):
    parameters = "x" * 10_000_000
    [panda_id] = submit_jobs(site, [new_job(job_name="n" * 1000, job_parameters=parameters)])
    assert len(row_of(site, panda_id)["job_name"]) == 255
    kept = site.fetch_one("SELECT job_parameters FROM job_parameters WHERE panda_id = %(id)s", {"id": panda_id})
    assert kept == {"job_parameters": parameters}


REFUSED = [
    ("jobs.1.transformation", {"transformation": ""}),
    ("jobs.1.jobParameters", {"job_parameters": "a\x00b"}),
    ("jobs.1.jobParameters", {"job_parameters": "x" * (MAX_PARAMETERS_BYTES + 1)}),
    ("jobs.1.prodSourceLabel", {"prod_source_label": "production"}),
    ("jobs.1.computingSite", {"computing_site": "NOWHERE"}),
    *[
        (f"jobs.1.{name}", {attribute: value})
        for name, attribute in {
            "coreCount": "core_count",
            "attemptNr": "attempt_nr",
            "minRamCount": "min_ram_mb",
            "maxDiskCount": "max_disk_mb",
            "maxWalltime": "max_walltime_s",
            "loopingLimit": "looping_limit_s",
            "currentPriority": "current_priority",
        }.items()
        for value in (JOB_LIMITS[name][0] - 1, JOB_LIMITS[name][1] + 1)
    ],
]


@pytest.mark.parametrize(
    ("field", "wrong"), REFUSED, ids=[f"{field}-{index}" for index, (field, _) in enumerate(REFUSED)]
)
def test_a_wrong_job_is_named_with_its_field_and_no_job_is_kept(site, field, wrong):
    before = everything(site)
    bad = new_job()
    for attribute, value in wrong.items():
        setattr(bad, attribute, value)
    with pytest.raises(PandaError) as refused:
        submit_jobs(site, [new_job(), bad])
    assert refused.value.field == field
    assert refused.value.remedy
    assert everything(site) == before


def test_the_limits_themselves_are_accepted():
    for label in LABELS:
        check_job(
            new_job(prod_source_label=label, core_count=100_000, min_ram_mb=100_000_000, current_priority=-1_000_000),
            "",
        )


OUTSIDE = [
    "",
    "/etc/passwd",
    "../up",
    "a/../../up",
    "a//b",
    "a/",
    "x" * 256,
    "/".join("y" * 200 for _ in range(6)),
    "a\x00b",
]


@pytest.mark.parametrize("name", OUTSIDE, ids=range(len(OUTSIDE)))
def test_no_file_of_a_job_lies_outside_its_directory_or_its_storage(site, name):
    before = everything(site)
    for file in (NewFile("output", name, "inside"), NewFile("output", "inside", name)):
        with pytest.raises(InvalidInput) as refused:
            submit_jobs(site, [job_with(file)])
        assert refused.value.field in ("jobs.0.Files.0.lfn", "jobs.0.Files.0.local_name")
        assert refused.value.remedy
    assert everything(site) == before


@pytest.mark.parametrize("dataset", [".", "..", "d" * 256])
def test_no_dataset_leads_out_of_its_storage(site, dataset):
    before = everything(site)
    with pytest.raises(InvalidInput) as refused:
        submit_jobs(site, [job_with(NewFile("output", "o", "o", dataset=dataset))])
    assert refused.value.field == "jobs.0.Files.0.dataset"
    assert everything(site) == before


def test_two_files_of_a_job_cannot_have_one_place(site):
    with pytest.raises(InvalidInput, match="twice"):
        submit_jobs(site, [job_with(NewFile("output", "a", "same"), NewFile("output", "b", "./same"))])


def test_unknown_input_is_named(site):
    with pytest.raises(UnknownObject) as refused:
        submit_jobs(site, [job_with(NewFile("input", "a.txt", "a.txt", dataset="nothing"))])
    assert refused.value.field == "jobs.0.Files.0.dataset"
    with pytest.raises(InvalidInput) as refused:
        submit_jobs(site, [job_with(NewFile("input", "c.txt", "c.txt", dataset="in"))])
    assert refused.value.field == "jobs.0.Files.0.lfn"


def test_outputs_go_into_no_dataset_of_somebody_else(site):
    submit_jobs(site, [job_with(NewFile("output", "o", "o", dataset="alices"), user="alice")])
    before = everything(site)
    with pytest.raises(NotAllowed) as refused:
        submit_jobs(site, [job_with(NewFile("output", "o", "o", dataset="alices"), user="bob")])
    assert refused.value.field == "jobs.0.Files.0.dataset"
    with pytest.raises(Conflict, match="holds input files"):
        submit_jobs(site, [job_with(NewFile("output", "a.txt", "a.txt", dataset="in"), user="alice")])
    assert everything(site) == before


@pytest.mark.parametrize(
    ("cores", "memory_mb", "kind"),
    [(1, 0, "SCORE"), (1, 2000, "SCORE"), (1, 2001, "SCORE_HIMEM"), (8, 16_000, "MCORE"), (8, 16_008, "MCORE_HIMEM")],
)
def test_resource_types(cores, memory_mb, kind):
    assert resource_type(cores, memory_mb) == kind


@given(name=st.text(min_size=1, max_size=300))
def test_any_file_name_is_taken_or_refused_by_name(name):
    job = new_job(outputs=[name])
    try:
        check_job(job, "")
    except InvalidInput as refused:
        assert refused.field in ("Files.0.lfn", "Files.0.local_name")
    else:
        assert len(name.encode()) <= 1024
        assert not name.startswith("/")
        assert ".." not in name.split("/")
