"""Submissions that cannot be: each names its key and leaves nothing behind."""

from __future__ import annotations

import time

import pytest

from core.database import Database
from core.errors import PandaError
from tests.core.taskengine.submitting import captured, prepare, send
from tests.support.builders import everything, make_dataset


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    prepare(shared_database)
    make_dataset(shared_database, "user.testuser.logs", ["a.log.tgz"], at=["Q_DISK"])
    make_dataset(shared_database, "user.bob.out", ["x"], at=["Q_DISK"], owner="bob")
    return shared_database


def items(base: str, kind: str, **changes: object) -> dict[str, object]:
    """The captured items with changes to the first one of a kind."""
    given = captured(base)["jobParameters"]
    item = next(item for item in given if item.get("param_type", item["type"]) == kind)
    item.update(changes)
    return {"jobParameters": given, "dsForIN": item["dataset"] if kind == "input" else None}


def constant(text: object) -> dict[str, object]:
    return {"jobParameters": [{"type": "constant", "value": text}]}


LOG = captured("single")["log"]
REFUSED = [
    ("taskName", "single", {"taskName": ""}),
    ("taskName", "single", {"taskName": "/"}),
    ("taskName", "single", {"taskName": "x" * 241}),
    ("taskName", "single", {"taskName": ["x"]}),
    ("uniqueTaskName", "single", {"uniqueTaskName": "perhaps"}),
    ("prodSourceLabel", "single", {"prodSourceLabel": "nonsense"}),
    ("vo", "single", {"vo": 5}),
    ("site", "single", {"site": "NOWHERE"}),
    ("site", "single", {"site": {"a": 1}}),
    ("includedSite", "single", {"includedSite": ["NOWHERE"]}),
    ("includedSite", "single", {"includedSite": [5]}),
    ("excludedSite", "single", {"site": "Q", "excludedSite": ["Q"]}),
    ("excludedSite", "single", {"includedSite": ["Q"], "excludedSite": "Q,Q_A"}),
    ("site", "single", {"site": "Q", "includedSite": ["Q_A"]}),
    ("transPath", "single", {"transPath": "/etc/passwd"}),
    ("transPath", "single", {"transPath": "file:///etc/passwd"}),
    ("transPath", "single", {"transPath": "http://x/ y"}),
    ("processingType", "single", {"processingType": "panda-client-2.2.0-jedi-athena"}),
    ("coreCount", "single", {"coreCount": -1}),
    ("coreCount", "single", {"coreCount": 8, "maxCoreCount": 4}),
    ("ramCount", "single", {"ramCount": -5}),
    ("ramCount", "single", {"ramCount": 10**15}),
    ("ramCountUnit", "single", {"ramCountUnit": "GB"}),
    ("outDiskUnit", "single", {"outDiskUnit": "TB"}),
    ("cpuTimeUnit", "single", {"cpuTimeUnit": "years"}),
    ("maxWalltime", "single", {"maxWalltime": -1}),
    ("maxWalltime", "single", {"maxWalltime": 1.5}),
    ("maxWalltime", "single", {"maxWalltime": 10**9}),
    ("maxAttempt", "single", {"maxAttempt": 51}),
    ("currentPriority", "single", {"currentPriority": "high"}),
    ("nEvents", "single", {"nEvents": -1}),
    ("nEvents", "single", {"nEvents": 10**7, "nEventsPerJob": 1}),
    ("nEventsPerJob", "single", {"nEventsPerJob": [1]}),
    ("nEventsPerJob", "events_unknown", {}),
    ("nEvents", "files", {"nEvents": 100}),
    ("nEventsPerJob", "files", {"nEventsPerFile": 10**12, "nEventsPerJob": 1}),
    ("nFiles", "single", {"nFiles": 10**9, "nEvents": None}),
    ("nFilesPerJob", "files", {"nFilesPerJob": -2}),
    ("nFilesPerJob", "files", {"nFilesPerJob": 10**9}),
    ("nMaxFilesPerJob", "files", {"nMaxFilesPerJob": 10**9}),
    ("nFiles", "files", {"nFiles": "many"}),
    ("nGBPerJob", "files", {"nGBPerJob": -1}),
    ("nGBPerJob", "files", {"nGBPerJob": "nan"}),
    ("tgtNumEventsPerJob", "files", {"tgtNumEventsPerJob": -1}),
    ("nMaxFilesPerJob", "files", {"nMaxFilesPerJob": True}),
    ("maxNumJobs", "files", {"maxNumJobs": 10**9}),
    ("pfnList", "pfnlist", {"pfnList": {"a": 1}}),
    ("pfnList.0", "pfnlist", {"pfnList": ["a\nb"]}),
    ("skipFilesUsedBy", "skip_used", {"skipFilesUsedBy": "abc"}),
    ("addNthFieldToLFN", "middle_name", {"addNthFieldToLFN": "0"}),
    ("log", "single", {"log": "text"}),
    ("log.dataset", "single", {"log": {**LOG, "dataset": ""}}),
    ("log.dataset", "single", {"log": {**LOG, "dataset": "/"}}),
    ("log.dataset", "single", {"log": {**LOG, "dataset": "user.bob.out"}}),
    ("log.dataset", "single", {"log": {**LOG, "dataset": "user.testuser.one"}}),
    ("log.dataset", "single", {"log": {**LOG, "dataset": "x" * 300}}),
    ("log.value", "single", {"log": {**LOG, "value": ""}}),
    ("log.value", "single", {"log": {**LOG, "value": "../up.${SN}"}}),
    ("log.value", "single", {"log": {**LOG, "value": "x${SN"}}),
    ("log.value", "njobs", {"log": {**LOG, "value": "same.log.tgz"}}),
    ("jobParameters.0.value", "single", constant("-i ${IN/T}")),
    ("jobParameters.0.value", "single", constant("${IN2}")),
    ("jobParameters.0.value", "single", constant("${SEQNUMBER}")),
    ("jobParameters.0.value", "single", constant("-l ${LIB}")),
    ("jobParameters.0.value", "single", constant("a ${IN b")),
    ("jobParameters.0.value", "single", constant("${TRN_OUTPUT:OUTPUT}")),
    ("jobParameters.0.value", "single", constant("${SEGMENT_ID}")),
    ("jobParameters.0.value", "single", constant(["x"])),
    ("jobParameters.0.value", "single", constant("x" * (2**20 + 1))),
    ("jobParameters", "single", {"jobParameters": [{}] * 10_001}),
    ("jobParameters", "single", {"jobParameters": None}),
    ("jobParameters.0.param_type", "single", {"jobParameters": [{"param_type": "sideways", "value": "x"}]}),
    ("jobParameters.6.dataset", "files", items("files", "input", dataset="user.testuser.nothing/")),
    ("jobParameters.6.dataset", "files", items("files", "input", dataset="user.testuser.logs")),
    ("jobParameters.6.dataset", "files", items("files", "input", dataset="x" * 100_000)),
    ("jobParameters.6.dataset", "files", items("files", "input", include="nomatch")),
    ("jobParameters.6.include", "files", items("files", "input", include="(unclosed")),
    ("jobParameters.6.include", "files", items("files", "input", include="x" * 1001)),
    ("jobParameters.6.include", "files", items("files", "input", include="a" + ",b" * 500_000)),
    ("jobParameters.6.offset", "files", items("files", "input", offset=5)),
    ("jobParameters.6.offset", "files", items("files", "input", offset=-1)),
    ("jobParameters.6.files", "files", items("files", "input", files=[1])),
    ("jobParameters.6.value", "files", items("files", "input", value="no placeholder")),
    ("jobParameters.6.value", "files", items("files", "input", value="${IN/F}")),
    ("jobParameters.10.dataset", "secondary_ratio", {"reuseSecOnDemand": False}),
    ("jobParameters.4.dataset", "files", items("files", "output", dataset="")),
    ("jobParameters.4.value", "files", items("files", "output", value="same.txt")),
    ("jobParameters.4.value", "files", items("files", "output", value="f1.txt", type="template") | {"nFilesPerJob": 5}),
    ("jobParameters.4.value", "regex_output", {}),
    ("buildSpec", "build", {"buildSpec": "x"}),
    ("buildSpec.archiveName", "build", {"buildSpec": {"jobParameters": "-o ${OUT}"}}),
    ("buildSpec.jobParameters", "build", {"buildSpec": {"archiveName": "a", "jobParameters": "${OUT"}}),
    ("buildSpec.tarBallViaDDM", "build", {"buildSpec": {"archiveName": "a", "tarBallViaDDM": "x"}}),
    ("hpoWorkflow", "single", {"hpoWorkflow": True}),
    ("preproSpec", "single", {"preproSpec": "x"}),
    ("preproSpec", "single", {"preproSpec": [1]}),
    ("preproSpec.jobParameters", "single", {"preproSpec": {"prodSourceLabel": "panda"}}),
    ("preproSpec.jobParameters", "single", {"preproSpec": {"jobParameters": ["--goodRunListXML", "x"]}}),
    ("preproSpec.jobParameters", "single", {"preproSpec": {"jobParameters": "--sourceURL ${SURL"}}),
    ("preproSpec.command", "single", {"preproSpec": {"jobParameters": "-x", "command": "./find.sh"}}),
    ("preproSpec.command", "single", {"preproSpec": {"command": 5}}),
    ("preproSpec.transPath", "single", {"preproSpec": {"jobParameters": "-x", "transPath": "ftp://x/y"}}),
    ("preproSpec.transPath", "single", {"preproSpec": {"command": "./find.sh", "transPath": "http://x/y"}}),
    ("preproSpec.archiveName", "single", {"preproSpec": {"command": "./find.sh", "archiveName": "a; b"}}),
    ("preproSpec.prodSourceLabel", "single", {"preproSpec": {"jobParameters": "-x", "prodSourceLabel": "managed"}}),
    ("waitInput", "single", {"waitInput": "when it rains"}),
    ("runUntilClosed", "single", {"runUntilClosed": 7}),
    ("groupBoundaryID", "files", {"groupBoundaryID": 5}),
    ("groupBoundaryID", "files", {"groupBoundaryID": 3, "nEventsPerJob": 10, "nEventsPerFile": 5}),
    ("maxEventsPerJob", "files", {"maxEventsPerJob": 5, "nEventsPerJob": 10, "nEventsPerFile": 5}),
    ("maxEventsPerJob", "files", {"maxEventsPerJob": -5}),
    ("tgtMaxOutputForNG", "files", {"nGBPerJob": 1, "tgtMaxOutputForNG": "much"}),
    ("tarBallViaDDM", "single", {"tarBallViaDDM": "x"}),
    ("segmentedWork", "single", {"segmentedWork": True}),
]


@pytest.mark.parametrize(
    ("field", "base", "changes"),
    REFUSED,
    ids=[f"{number}-{field}" for number, (field, _, _) in enumerate(REFUSED)],
)
def test_every_refusal_names_its_key_and_keeps_nothing(site, field, base, changes):
    before = kept(site)
    with pytest.raises(PandaError) as refused:
        send(site, captured(base, **changes))
    assert refused.value.field == field, refused.value
    assert refused.value.remedy
    assert kept(site) == before


def kept(database: Database) -> list[object]:
    """Everything, the tables of the task engine included."""
    tables = ("task_datasets", "task_files", "task_history")
    return [everything(database), *(database.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in tables)]


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(x+x+)+y", r"(\w*)*z", "(a|aa)+$"])
def test_no_pattern_of_a_user_takes_the_server_with_it(site, pattern):
    name = f"user.testuser.long{abs(hash(pattern))}"
    make_dataset(site, name, [f"{'a' * 200}{number}!" for number in range(200)], at=["Q_DISK"])
    parameters = captured("files", **items("files", "input", dataset=name, include=pattern))
    began = time.monotonic()
    with pytest.raises(PandaError):
        send(site, parameters)
    assert time.monotonic() - began < 30


def test_unknown_keys_and_nulls_are_no_reason_to_refuse(site):
    parameters = captured("single", newKeyOfTomorrow={"deep": [1, None]}, nFilesPerJob=None, coreCount="", vo=None)
    assert send(site, parameters).code == 0
