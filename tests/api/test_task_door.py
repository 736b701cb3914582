"""Nasty tasks over HTTP: each is refused with its key and a remedy and leaves nothing behind, or says what it overlooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.agents import core_agents
from core.database import Database
from tests.core.taskengine.submitting import captured, prepare
from tests.support.builders import everything, make_dataset
from tests.support.system import RunningSystem, running_system

TABLES = ("task_datasets", "task_files", "task_history", "task_notices")


@pytest.fixture(scope="module")
def house(module_database_url, tmp_path_factory) -> Iterator[RunningSystem]:
    with running_system(module_database_url, tmp_path_factory.mktemp("door"), agents=False) as system:
        prepare(system.database)
        make_dataset(system.database, "in", ["a.txt", "b.txt"], at=["Q_DISK"])
        yield system


@pytest.fixture(scope="module")
def user(house: RunningSystem) -> httpx.Client:
    return house.client("testuser")


def kept(database: Database) -> list[Any]:
    return [everything(database), *(database.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES)]


def submit(client: httpx.Client, parameters: object, **more: object) -> dict[str, Any]:
    response = client.post("/api/v1/task/submit", json={"task_parameters": parameters, **more})
    assert response.status_code == 200, response.text
    return dict(response.json())


def run(**more: object) -> dict[str, Any]:
    """A task as `panda run` sends it."""
    return {"taskName": "t", "jobParameters": "true", "site": "Q", **more}


def prun(base: str = "single", **more: object) -> dict[str, Any]:
    """A task as prun sends it."""
    return captured(base, uniqueTaskName=False, **more)


ITEMS = captured("files")["jobParameters"]
INPUT = next(number for number, item in enumerate(ITEMS) if item.get("param_type") == "input")
OUTPUT = next(number for number, item in enumerate(ITEMS) if item.get("param_type") == "output")


def changed_item(number: int, **changes: object) -> dict[str, Any]:
    items = [{**item, **changes} if place == number else item for place, item in enumerate(ITEMS)]
    return prun("files", jobParameters=items)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    # contradictions
    ("nJobs", run(nJobs=5, inputDataset="in")),
    ("nFilesPerJob", run(nFilesPerJob=5)),
    ("jobParameters", run(jobParameters="cat %IN")),
    ("outputs", run(jobParameters="echo > %OUT7", outputs=["a"])),
    ("outputs", run(outputs=["a", "a"])),
    ("sandboxDataset", run(inputDataset="in", sandboxDataset="in")),
    ("skipScout", run(skipScout=True, useScout=True)),
    ("excludedSite", run(excludedSite=["Q"])),
    ("includedSite", {**run(includedSite=["NOWHERE"]), "site": ""}),
    ("site", run(includedSite=["Q_A"])),
    ("allowPartialFinish", prun(allowPartialFinish=True, useExhausted=True)),
    ("coreCount", prun(coreCount=8, maxCoreCount=4)),
    ("baseWalltime", prun(maxWalltime=1, baseWalltime=10**6)),
    (f"jobParameters.{OUTPUT}.dataset", changed_item(OUTPUT, dataset=ITEMS[INPUT]["dataset"])),
    (f"jobParameters.{INPUT}.dataset", changed_item(INPUT, include="f.*", exclude="f.*")),
    (f"jobParameters.{len(ITEMS)}.value", prun("files", jobParameters=[*ITEMS, ITEMS[OUTPUT]])),
    # rules and keys that nobody knows, or nobody obeys here
    ("splitRule", prun(splitRule="XX=1,NF=3")),
    ("splitRule", prun(splitRule="NF=3")),
    ("splitRule", run(splitRule={"NF": 3})),
    ("nFilesPerJobs", run(inputDataset="in", nFilesPerJobs=5)),
    ("ramcount", run(ramcount=5000)),
    ("nGBPerJob", run(inputDataset="in", nGBPerJob=-5)),
    ("nEventsPerJob", run(inputDataset="in", nEventsPerJob=5)),
    ("nMaxFilesPerJob", run(inputDataset="in", nMaxFilesPerJob=5)),
    ("mergeOutput", run(mergeOutput=True)),
    ("pfnList", run(pfnList=["/x"])),
    ("useJobCloning", prun(useJobCloning="runonce")),
    # nothing to do, nothing to read
    ("jobParameters", {"taskName": "t"}),
    ("jobParameters", run(jobParameters="  ")),
    ("jobParameters", run(jobParameters=None)),
    ("inputDataset", run(inputDataset="nothing")),
    ("taskName", {}),
    ("nJobs", run(nJobs=0)),
    (f"jobParameters.{INPUT}.value", changed_item(INPUT, dataset=[])),
    # negative, absurd, no numbers
    ("nJobs", run(nJobs=-1)),
    ("nJobs", run(nJobs=10**9)),
    ("nJobs", run(nJobs=True)),
    ("nJobs", run(nJobs=1.5)),
    ("ramCount", run(ramCount="NaN")),
    ("ramCount", run(ramCount=10**25)),
    ("ramCount", prun(ramCountUnit="MBPerCore", ramCount=90_000_000, coreCount=64)),
    ("coreCount", run(coreCount=0)),
    ("maxWalltime", run(maxWalltime=-1)),
    ("maxAttempt", run(maxAttempt=51)),
    ("goal", run(goal=0)),
    ("taskPriority", run(taskPriority=2**40)),
    ("nFiles", prun("files", nFiles="1e400")),
    ("minCpuEfficiency", prun(minCpuEfficiency=-5)),
    ("retryRamStep", prun(retryRamStep=-5)),
    ("retryRamOffset", prun(retryRamOffset=True)),
    ("retryRamMax", prun(retryRamMax="much")),
    ("retryRamMax", run(retryRamMax=10**12)),
    (f"jobParameters.{INPUT}.ratio", changed_item(INPUT, ratio=-1)),
    # two names of one thing
    ("ramUnit", prun(ramUnit="MB", ramCountUnit="MBPerCore")),
    ("encJobParams", prun(encJobParams=True, multiStepExec={"preprocess": {"command": "x"}})),
    # what would be left out for its shape
    ("multiStepExec", prun(multiStepExec=[1])),
    ("multiStepExec.preproces", prun(multiStepExec={"preproces": {"command": "x"}})),
    ("multiStepExec.preprocess", prun(multiStepExec={"preprocess": "x"})),
    ("multiStepExec.preprocess.command", prun(multiStepExec={"preprocess": {"args": "x"}})),
    ("multiStepExec.postprocess.args", prun(multiStepExec={"postprocess": {"command": "x", "args": 5}})),
    ("multiStepExec.containerOptions", prun(multiStepExec={"containerOptions": "docker"})),
    ("architecture", prun(architecture=["el9"])),
    ("architecture", prun(architecture=True)),
    ("transUses", prun(transUses=21.0)),
    ("transferType", prun(transferType={"a": 1})),
    (f"jobParameters.{OUTPUT}.hidden", changed_item(OUTPUT, hidden="perhaps")),
    (f"jobParameters.{INPUT}.reusable", changed_item(INPUT, reusable=5)),
    (f"jobParameters.{INPUT}.attributes", changed_item(INPUT, attributes=5)),
    # rubbish
    ("vo", run(vo="x" * 65)),
    ("processingType", run(processingType="x" * 201)),
    ("campaign", run(campaign=["a"])),
    ("prodSourceLabel", run(prodSourceLabel={"a": 1})),
    ("transPath", run(transPath=[1])),
    ("task_parameters", run(more=json.loads("[" * 70 + "]" * 70))),
]


@pytest.mark.parametrize(("field", "parameters"), REFUSED, ids=[f"{n} {case[0]}" for n, case in enumerate(REFUSED)])
def test_a_nasty_task_is_refused_with_its_key_and_a_remedy_and_leaves_nothing(house, user, field, parameters):
    before = kept(house.database)
    answer = submit(user, parameters)
    said = answer["message"]
    assert not answer["success"], answer
    assert said.startswith((f"{field}: ", "body: nested")), said
    assert said.endswith(")") and "(" in said, said
    assert kept(house.database) == before


@pytest.mark.parametrize("parent", [0, -1, True, "x", "5", 1.5, 2**70, 2**63, [1], {"a": 1}])
def test_a_parent_that_cannot_be_is_refused(house, user, parent):
    before = kept(house.database)
    answer = submit(user, run(), parent_tid=parent)
    assert not answer["success"]
    assert "parent" in answer["message"]
    assert kept(house.database) == before


def test_parents_in_a_circle_are_refused(house, user):
    one, two, three = (submit(user, run(taskName=f"circle {number}"))["data"] for number in range(3))
    for child, parent in ((one, two), (two, three), (three, one)):
        house.database.execute(
            "UPDATE tasks SET parent_tid = %(parent)s WHERE jedi_task_id = %(child)s",
            {"parent": parent, "child": child},
        )
    before = kept(house.database)
    answer = submit(user, run(), parent_tid=one)
    assert not answer["success"] and answer["message"].startswith("parent_tid: "), answer
    assert kept(house.database) == before


TOLD = [
    ({"nFilePerJob": 3}, "nFilePerJob: there is no such parameter, nFilesPerJob may be meant"),
    ({"maxEventsPerJob": 100, "nEventsPerFile": 10}, ""),
    ({"tgtMaxOutputForNG": 2}, "tgtMaxOutputForNG: means something beside nGBPerJob only"),
    ({"groupBoundaryID": 2}, "groupBoundaryID: outputs are not mapped to the boundary of their input"),
    (
        {"orderInputBy": "moon"},
        "orderInputBy: files are taken in the order of the catalogue; it may be name, size, events, random, registration, "
        "with desc behind it",
    ),
    ({"nEventsPerInputFile": 5, "maxAttemptES": 3, "newKeyOfTomorrow": {"deep": [1]}}, ""),
]


@pytest.mark.parametrize(("more", "said"), TOLD, ids=[next(iter(more)) for more, _ in TOLD])
def test_what_a_client_of_panda_sends_in_vain_is_told_and_not_refused(house, user, more, said):
    task_id = submit(user, prun("files", **more))["data"]
    assert user.get(f"/api/monitor/task/{task_id}").json()["task"]["error_dialog"] == said


def test_what_engines_add_to_the_parameters_later_is_no_reason_to_stop(house, user):
    """Scouts measure cpuTime for any task: the door asks once."""
    task_id = submit(user, run(taskName="later", nJobs=3))["data"]
    house.database.execute(
        """UPDATE tasks SET split_rule = split_rule || '{"cpuTime": 5, "baseWalltime": 60, "outDiskCount": 7}'::jsonb
           WHERE jedi_task_id = %(id)s""",
        {"id": task_id},
    )
    for agent in core_agents(house.database, house.settings):
        agent.cycle()
    task = user.get(f"/api/monitor/task/{task_id}").json()["task"]
    assert (task["status"] in ("ready", "running", "scouting"), task["error_dialog"]) == (True, "")
