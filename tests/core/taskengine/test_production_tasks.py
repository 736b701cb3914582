"""Tasks as production systems and iDDS define them, which write some things otherwise than prun: what their jobs become."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.database import Database
from core.errors import InvalidInput
from tests.core.taskengine.submitting import accept, files, jobs, prepare, row_of_task, send, texts
from tests.support.builders import make_dataset


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    prepare(shared_database)
    make_dataset(shared_database, "filters", ["a.filter", "b.filter"], at=["Q_DISK"])
    return shared_database


INPUT = {
    "type": "template",
    "param_type": "input",
    "value": "--inputEVNTFile=${IN/L}",
    "dataset": "user.testuser.one",
    "offset": 0,
}
EVENTS = [
    {"type": "template", "param_type": "number", "value": "--maxEvents=${MAXEVENTS}"},
    {"type": "template", "param_type": "number", "value": "--skipEvents=${SKIPEVENTS}"},
]


def output(value: str = "--outputHITSFile=HITS.31._${SN}.pool.root.1", **more: Any) -> dict[str, Any]:
    return {
        "type": "template",
        "param_type": "output",
        "token": "DATADISK",
        "value": value,
        "dataset": "mc.HITS",
        **more,
    }


def of_production(name: str, items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Five files, one job each, unless `more` says otherwise."""
    return {
        "taskName": name,
        "vo": "atlas",
        "prodSourceLabel": "managed",
        "processingType": "simul",
        "transPath": "Sim_tf.py",
        "transUses": "Atlas-21.0.15",
        "architecture": "x86_64-slc6-gcc49-opt",
        "site": "Q",
        "nFilesPerJob": 1,
        "skipScout": True,
        "log": {
            "type": "template",
            "param_type": "log",
            "dataset": f"{name}.log",
            "value": "log.31._${SN}.job.log.tgz",
        },
        "jobParameters": items,
        **more,
    }


def of_idds(name: str, **more: Any) -> dict[str, Any]:
    """Three pseudo files, one job each."""
    return {
        "taskName": name,
        "vo": "wlcg",
        "prodSourceLabel": "managed",
        "processingType": None,
        "transPath": "https://storage.example.org/bash-c-enc",
        "site": "Q",
        "noInput": True,
        "pfnList": ["step:0", "step:1", "step:2"],
        "nFiles": 3,
        "nFilesPerJob": 1,
        "skipScout": True,
        "coreCount": 4,
        "ramCount": 2730 / 4,
        "ramUnit": "MBPerCoreFixed",
        "maxWalltime": 25,
        "log": {
            "dataset": "PandaJob_#{pandaid}/",
            "destination": "local",
            "token": "local",
            "param_type": "log",
            "type": "template",
            "value": "log.tgz",
        },
        "jobParameters": [{"type": "constant", "value": "run ${IN/L} --at ${SOMEWHERE}"}],
        **more,
    }


@pytest.mark.parametrize(
    ("value", "argument"),
    [
        ("--outputHITSFile=HITS.31._${SN}.pool.root.1", "--outputHITSFile=HITS.31._000001.pool.root.1"),
        ("outputHITSFile=HITS.31._${SN}.pool.root.1", "outputHITSFile=HITS.31._000001.pool.root.1"),
        ("--outputHITSFile='HITS.31._${SN}.pool.root.1'", "--outputHITSFile='HITS.31._000001.pool.root.1'"),
        ("--outputHITSFile HITS.31._${SN}.pool.root.1", "--outputHITSFile HITS.31._000001.pool.root.1"),
        ("HITS.31._${SN}.pool.root.1", "HITS.31._000001.pool.root.1"),
    ],
)
def test_the_name_of_an_output_is_what_follows_the_argument(site, value, argument):
    task_id = accept(site, of_production(f"out.{argument}", [INPUT, output(value)]), is_production=True)
    assert files(site, task_id, "output")[0] == ["HITS.31._000001.pool.root.1"]
    assert texts(site, task_id)[0] == f"--inputEVNTFile=f1.txt {argument}"


def test_a_hidden_output_and_a_log_are_names_as_they_stand(site):
    hidden = output("a=b._${SN}.root", hidden=True)
    task = of_production("hidden", [INPUT, hidden])
    task["log"]["value"] = "x=y._${SN}.tgz"
    task_id = accept(site, task, is_production=True)
    assert files(site, task_id, "output")[0] == ["a=b._000001.root"]
    assert files(site, task_id, "log")[0] == ["x=y._000001.tgz"]


def test_events_of_a_file_are_known_under_the_name_that_production_gives_them(site):
    task = of_production("mc.simul", [INPUT, output(), *EVENTS], nFilesPerJob=None, nEventsPerJob=1000)
    with pytest.raises(InvalidInput, match="nEventsPerJob"):
        accept(site, task, is_production=True)
    task_id = accept(site, {**task, "nEventsPerInputFile": 2000}, is_production=True)
    found = texts(site, task_id)
    assert len(found) == 10
    assert found[1].endswith("--maxEvents=1000 --skipEvents=1000")
    # the numbers of the catalogue were asked for, and it has none
    with pytest.raises(InvalidInput, match="nEventsPerJob"):
        accept(site, {**task, "nEventsPerInputFile": 2000, "useRealNumEvents": True}, is_production=True)


def test_a_stream_that_is_not_split_goes_to_every_job(site):
    whole = {**INPUT, "value": "--filterFile=${IN_FILTER/L}", "dataset": "filters", "attributes": "repeat,nosplit"}
    task_id = accept(site, of_production("mc.filter", [INPUT, whole, output()]), is_production=True)
    assert len(jobs(site, task_id)) == 5
    assert all("--filterFile=a.filter,b.filter" in text for text in texts(site, task_id))


def test_what_means_nothing_of_an_item_is_told(site):
    first = {**INPUT, "eventRatio": 0.5}
    numbers = {**INPUT, "param_type": "pseudo_input", "value": "${SEQNUMBER}", "dataset": "seq_number", "random": True}
    task_id = accept(site, of_production("mc.pile", [first, numbers, output()]), is_production=True)
    said = row_of_task(site, task_id)["error_dialog"]
    assert "jobParameters.0.eventRatio: means something of a second input of files only" in said
    assert "jobParameters.1.random: numbers are taken in their order" in said


@pytest.mark.parametrize("unit", ["ramUnit", "ramCountUnit"])
def test_memory_is_per_core_under_both_names(site, unit):
    task = of_production(f"mc.{unit}", [INPUT, output()], coreCount=8, ramCount=2000, baseRamCount=500)
    task_id = accept(site, {**task, unit: "MBPerCore"}, is_production=True)
    assert {job["min_ram_mb"] for job in jobs(site, task_id)} == {16_500}
    assert row_of_task(site, task_id)["ram_unit"] == "MBPerCore"


def test_a_task_of_idds_becomes_the_jobs_that_it_means(site):
    task_id = accept(site, of_idds("rubin.isr", encJobParams=True), is_production=True)
    # 682.5 MB for each of four cores, rounded up
    assert [(job["min_ram_mb"], job["max_walltime_s"]) for job in jobs(site, task_id)] == [(2732, 25 * 3600)] * 3
    assert row_of_task(site, task_id)["ram_unit"] == "MBPerCoreFixed"
    # its program decodes what it gets
    assert [base64.b64decode(text).decode() for text in texts(site, task_id)] == [
        f"run step:{number} --at ${{SOMEWHERE}}" for number in range(3)
    ]
    assert files(site, task_id, "log") == [[f"log.{task_id}.00000{number}.tgz"] for number in (1, 2, 3)]
    names = site.fetch(
        "SELECT DISTINCT dataset FROM job_files WHERE jedi_task_id = %(id)s AND type = 'log'", {"id": task_id}
    )
    assert [row["dataset"] for row in names] == ["rubin.isr.log"]


def test_without_encoding_the_text_is_plain_and_steps_around_an_encoded_one_are_refused(site):
    task_id = accept(site, of_idds("rubin.plain", encJobParams=False), is_production=True)
    assert texts(site, task_id)[0] == "run step:0 --at ${SOMEWHERE}"
    steps = {"preprocess": {"command": "${TRF}", "args": "${TRF_ARGS}"}}
    with pytest.raises(InvalidInput) as caught:
        send(site, of_idds("rubin.steps", encJobParams=True, multiStepExec=steps), is_production=True)
    assert caught.value.field == "encJobParams"
