"""A job as pilots read it: PanDA's flat dictionary with comma-joined lists, plus our own structured file list.

Wire facts: pilot-wire.md 3, server-api.md 1.15. Real pilots ignore our keys; ours ignores the lists, because names of
files may hold commas.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import orjson

from core.dispatch.acquire import AcquiredJob
from core.taskbuffer.commanding import DEBUG_FLAGS
from core.taskengine.dialects.execution import execution_steps
from core.taskengine.dialects.transformations import RUN_CONTAINER
from core.taskengine.preprocessing.job import PREPROCESSING

BUILD_LABEL = "panda"
"""prodSourceLabel of the jobs that make a lib, around which no steps of the task are taken (client-wire.md 4.4)."""
_INPUTS = ("input", "sandbox")
_OUTPUTS = ("output", "lib")
"""A lib is what a build job makes; the jobs that use it have it as an input like any other."""
_TRANSFORMATION = re.compile(rf"[A-Za-z]\w*-\d\d-\d\d-\d\d|{RUN_CONTAINER}")
"""How PanDA names its transformations (client-wire.md 4.6); anything else in the job is an executable or an address."""


def pilot_dictionary(
    acquired: AcquiredJob,
    *,
    transformation_base: str,
    task: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The dictionary of one job given to a pilot.

    `transformation_base`: where this pilot fetches transformations of ours. `task`: what its task asks of the pilot
    (`core.taskengine.questions.task_facts`). `secrets`: of the job's owner, when the task wants them on the node.
    """
    files = acquired.files
    inputs = [file for file in files if file["type"] in _INPUTS]
    logs = [file for file in files if file["type"] == "log"]
    outputs = [file for file in files if file["type"] in _OUTPUTS]
    return {
        **_facts(acquired.job, str((task or {}).get("nucleus") or "")),
        "jobPars": _parameters(acquired),
        "transformation": transformation_address(acquired.job["transformation"], transformation_base),
        **_input_lists(inputs),
        **_output_lists(outputs, logs),
        **_wishes(acquired, task or {}, outputs),
        **({"secrets": orjson.dumps(secrets).decode()} if secrets else {}),
        "panda_files": [_file(file) for file in files],
    }


def _parameters(acquired: AcquiredJob) -> str:
    """The argument string; programs of ours are told the image by a name that production pilots leave alone, for they cut
    `--containerImage` out and run the program without it (docs/transformations.md)."""
    image, text = acquired.job["container_name"], acquired.job_parameters
    if not image or not _TRANSFORMATION.fullmatch(acquired.job["transformation"]):
        return text
    return f"{text} --containerName {shlex.quote(image)}"


def transformation_address(transformation: str, base: str) -> str:
    """What a pilot executes: a transformation of ours below `base`; executables and addresses stay as they are."""
    return f"{base.rstrip('/')}/{transformation}" if _TRANSFORMATION.fullmatch(transformation) else transformation


def _input_lists(inputs: list[dict[str, Any]]) -> dict[str, str]:
    nulls = ",".join("NULL" for _ in inputs)
    return {
        "inFiles": _joined(inputs, "lfn"),
        "realDatasetsIn": _joined(inputs, "dataset"),
        "GUID": _joined(inputs, "guid"),
        "fsize": _joined(inputs, "size_bytes"),
        "checksum": _joined(inputs, "checksum"),
        "scopeIn": _joined(inputs, "scope"),
        "ddmEndPointIn": _joined(inputs, "endpoint"),
        "prodDBlocks": _joined(inputs, "dataset"),
        "prodDBlockToken": nulls,
        "dispatchDblock": nulls or "NULL",
        "dispatchDBlockToken": nulls or "NULL",
    }


def _output_lists(outputs: list[dict[str, Any]], logs: list[dict[str, Any]]) -> dict[str, str]:
    stored = [*outputs, *logs]
    nulls = ",".join("NULL" for _ in stored)
    return {
        "outFiles": _joined(stored, "lfn"),
        "realDatasets": _joined(stored, "dataset"),
        "destinationDblock": _joined(stored, "dataset"),
        "destinationDBlockToken": nulls,
        "dispatchDBlockTokenForOut": nulls or "NULL",
        "fileDestinationSE": _joined(stored, "endpoint"),
        "ddmEndPointOut": _joined(stored, "endpoint"),
        # without the log: the real pilot takes its scope from scopeLog and counts the rest off
        "scopeOut": _joined(outputs, "scope"),
        "logFile": logs[0]["lfn"] if logs else "",
        "logGUID": logs[0]["guid"] if logs else "",
        "scopeLog": logs[0]["scope"] if logs else "",
    }


def _facts(job: dict[str, Any], nucleus: str) -> dict[str, Any]:
    return {
        "StatusCode": 0,
        "PandaID": job["panda_id"],
        "jobName": job["job_name"],
        "jobDefinitionID": job["job_definition_id"],
        "jobsetID": job["jedi_task_id"] or job["job_definition_id"],
        "taskID": job["jedi_task_id"],
        "reqID": job["jedi_task_id"],
        "attemptNr": job["attempt_nr"],
        "prodSourceLabel": job["prod_source_label"],
        "processingType": job["processing_type"],
        "prodUserID": job["prod_user_name"],
        "coreCount": job["core_count"] or 1,
        "minRamCount": job["min_ram_mb"],
        "maxDiskCount": job["max_disk_mb"],
        "maxCpuCount": job["max_cpu_s"],
        "maxWalltime": job["max_walltime_s"],
        "loopingLimit": job["looping_limit_s"],
        "currentPriority": job["current_priority"],
        "resource_type": job["resource_type"],
        "swRelease": "NULL",
        "homepackage": "NULL",
        "cmtConfig": "NULL",
        "cloud": "",
        "nucleus": nucleus,
        "sourceSite": "",
        "destinationSE": nucleus,
        "transferType": "NULL",
        "ioIntensity": 0,
        "ioIntensityUnit": "kBPerS",
        "nSent": 0,
    }


def _wishes(acquired: AcquiredJob, task: Mapping[str, Any], outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """What is there only when it applies (server-api.md 1.15); flags are the text True."""
    job = acquired.job
    wishes: dict[str, Any] = {}
    if job["container_name"]:
        wishes["container_name"] = job["container_name"]
    if DEBUG_FLAGS & set(str(job["special_handling"]).split(",")):
        wishes["debug"] = "True"
    if _is_set(task.get("noLoopingCheck")) or task.get("loopingCheck") is False:
        wishes["loopingCheck"] = False
    optional = [file["lfn"] for file in outputs if file["dataset"].rstrip("/") in task.get("optional_outputs", ())]
    if optional:
        wishes["allowNoOutput"] = optional
    if isinstance(task.get("transferType"), str) and task["transferType"]:
        wishes["transferType"] = task["transferType"]
    if job["prod_source_label"] != BUILD_LABEL and PREPROCESSING not in str(job["special_handling"]).split(","):
        # the pilot has the transformation in the job's directory by the time it takes these steps
        program = "./" + str(job["transformation"]).rsplit("/", 1)[-1]
        wishes |= execution_steps(task, program, acquired.job_parameters)
    return wishes


def _is_set(flag: object) -> bool:
    return flag is True or flag == 1 or (isinstance(flag, str) and flag.lower() == "true")


def _joined(files: list[dict[str, Any]], name: str) -> str:
    return ",".join("NULL" if file[name] in (None, "") else str(file[name]) for file in files)


def _file(row: dict[str, Any]) -> dict[str, Any]:
    names = ("row_id", "lfn", "local_name", "scope", "type", "dataset", "guid", "size_bytes", "checksum", "endpoint")
    return {**{name: row[name] for name in names}, "mover": row["mover"] or "cp", "pfn": row["pfn"]}
