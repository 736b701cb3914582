"""A job as pilots read it: PanDA's flat dictionary with comma-joined lists, plus our own structured file list.

Wire facts: pilot-wire.md 3, server-api.md 1.15. Real pilots ignore our keys; ours ignores the lists, because names of
files may hold commas.
"""

from __future__ import annotations

from typing import Any

from core.dispatch.acquire import AcquiredJob


def pilot_dictionary(acquired: AcquiredJob) -> dict[str, Any]:
    """The dictionary of one job given to a pilot."""
    files = acquired.files
    inputs = [file for file in files if file["type"] in ("input", "sandbox")]
    logs = [file for file in files if file["type"] == "log"]
    outputs = [file for file in files if file["type"] == "output"]
    return {
        **_facts(acquired),
        "inFiles": _joined(inputs, "lfn"),
        "realDatasetsIn": _joined(inputs, "dataset"),
        "GUID": _joined(inputs, "guid"),
        "fsize": _joined(inputs, "size_bytes"),
        "checksum": _joined(inputs, "checksum"),
        "scopeIn": _joined(inputs, "scope"),
        "ddmEndPointIn": _joined(inputs, "endpoint"),
        "prodDBlocks": _joined(inputs, "dataset"),
        "prodDBlockToken": ",".join("NULL" for _ in inputs),
        "dispatchDblock": ",".join("NULL" for _ in inputs) or "NULL",
        "dispatchDBlockToken": ",".join("NULL" for _ in inputs) or "NULL",
        "dispatchDBlockTokenForOut": ",".join("NULL" for _ in [*outputs, *logs]) or "NULL",
        "outFiles": _joined([*outputs, *logs], "lfn"),
        "realDatasets": _joined([*outputs, *logs], "dataset"),
        "destinationDblock": _joined([*outputs, *logs], "dataset"),
        "destinationDBlockToken": ",".join("NULL" for _ in [*outputs, *logs]),
        "fileDestinationSE": _joined([*outputs, *logs], "endpoint"),
        "ddmEndPointOut": _joined([*outputs, *logs], "endpoint"),
        "scopeOut": _joined(outputs, "scope"),
        "logFile": logs[0]["lfn"] if logs else "",
        "logGUID": logs[0]["guid"] if logs else "",
        "scopeLog": logs[0]["scope"] if logs else "",
        "panda_files": [_file(file) for file in files],
    }


def _facts(acquired: AcquiredJob) -> dict[str, Any]:
    job = acquired.job
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
        "transformation": job["transformation"],
        "jobPars": acquired.job_parameters,
        "coreCount": job["core_count"],
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
        "nucleus": "",
        "sourceSite": "",
        "destinationSE": "",
        "transferType": "NULL",
        "ioIntensity": 0,
        "ioIntensityUnit": "kBPerS",
        "nSent": 0,
    }


def _joined(files: list[dict[str, Any]], name: str) -> str:
    return ",".join("NULL" if file[name] in (None, "") else str(file[name]) for file in files)


def _file(row: dict[str, Any]) -> dict[str, Any]:
    names = ("row_id", "lfn", "local_name", "scope", "type", "dataset", "guid", "size_bytes", "checksum", "endpoint")
    return {**{name: row[name] for name in names}, "mover": row["mover"] or "cp", "pfn": row["pfn"]}
