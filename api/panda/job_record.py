"""Job dictionaries of the v1 API in PanDA's names, read from submissions and written in descriptions."""

from __future__ import annotations

from typing import Any

from api.panda.casting import cast, describe
from api.panda.job_attributes import FILE_ATTRIBUTES, JOB_ATTRIBUTES
from core.database import Row
from core.errors import InvalidInput
from core.taskbuffer.submission import NewFile, NewJob

_NAMES: dict[str, tuple[str, type]] = {
    "jobName": ("job_name", str),
    "jobDefinitionID": ("job_definition_id", int),
    "transformation": ("transformation", str),
    "jobParameters": ("job_parameters", str),
    "computingSite": ("computing_site", str),
    "prodSourceLabel": ("prod_source_label", str),
    "processingType": ("processing_type", str),
    "workingGroup": ("working_group", str),
    "countryGroup": ("country_group", str),
    "VO": ("vo", str),
    "attemptNr": ("attempt_nr", int),
    "maxAttempt": ("max_attempt", int),
    "coreCount": ("core_count", int),
    "minRamCount": ("min_ram_mb", int),
    "maxDiskCount": ("max_disk_mb", int),
    "maxWalltime": ("max_walltime_s", int),
    "maxCpuCount": ("max_cpu_s", int),
    "loopingLimit": ("looping_limit_s", int),
    "destinationDBlock": ("destination_dataset", str),
    "parentID": ("parent_id", int),
    "container_name": ("container_name", str),
    "specialHandling": ("special_handling", str),
}
"""PanDA's name -> our attribute and its type, for what a submitter may say."""

_SAID_SINCE: dict[str, str] = {
    "PandaID": "panda_id",
    "jediTaskID": "jedi_task_id",
    "taskID": "jedi_task_id",
    "reqID": "jedi_task_id",
    "jobStatus": "job_status",
    "jobSubStatus": "job_sub_status",
    "currentPriority": "current_priority",
    "assignedPriority": "current_priority",
    "prodUserName": "prod_user_name",
    "prodUserID": "prod_user_name",
    "creationTime": "creation_time",
    "modificationTime": "modification_time",
    "stateChangeTime": "state_change_time",
    "startTime": "start_time",
    "endTime": "end_time",
    "modificationHost": "modification_host",
    "pilotID": "pilot_id",
    "batchID": "batch_id",
    "pilotTiming": "pilot_timing",
    "transExitCode": "trans_exit_code",
    **{
        f"{component}Error{part}": f"{column}_error_{part.lower()}"
        for component, column in (
            *(("pilot", "pilot"), ("exe", "exe"), ("sup", "sup"), ("ddm", "ddm"), ("brokerage", "brokerage")),
            *(("jobDispatcher", "job_dispatcher"), ("taskBuffer", "task_buffer")),
        )
        for part in ("Code", "Diag")
    },
    "cpuConsumptionTime": "cpu_consumption_time_s",
    "cpuConsumptionUnit": "cpu_consumption_unit",
    "maxRSS": "max_rss_kb",
    "maxPSS": "max_pss_kb",
    "jobMetrics": "job_metrics",
    "nEvents": "n_events",
    "nInputDataFiles": "n_input_data_files",
    "resource_type": "resource_type",
    "gshare": "gshare",
}
"""PanDA's name -> our column, for what the server and the pilot add."""

_MEASURED: dict[str, str] = {
    "schedulerID": "scheduler_id",
    "cpuConversion": "cpu_conversion_factor",
    "actualCoreCount": "core_count",
    "nInputFiles": "n_input_files",
    "grid": "grid",
    "sourceSite": "source_site",
    "destinationSite": "destination_site",
    "cpu_architecture_level": "cpu_architecture_level",
    **{
        name: f"{name[:3]}_{name[3:].lower()}"
        for name in ("maxVMEM", "maxSWAP", "avgRSS", "avgVMEM", "avgSWAP", "avgPSS")
    },
    **{f"tot{name}": f"tot_{name.lower()}" for name in ("RCHAR", "WCHAR", "RBYTES", "WBYTES")},
    **{f"rate{name}": f"rate_{name.lower()}" for name in ("RCHAR", "WCHAR", "RBYTES", "WBYTES")},
}
"""PanDA's name -> name among the metrics of a job (api/panda/pilot_reports.py)."""

_UNITS = {"maxCpuUnit": "s", "maxDiskUnit": "MB", "minRamUnit": "MB"}
_UNSET = (None, "NULL", "")
_FILE_TYPES = ("input", "pseudo_input", "output", "log", "sandbox", "lib")
_BUILD_LABEL = "panda"
_JOB_LABELS = ("user", "managed")
"""What a job may be for, whatever its prodSourceLabel is (server-api.md 1.1)."""


def job_from_record(record: dict[str, Any], position: str) -> NewJob:
    """A job to be from PanDA's dictionary. Raises InvalidInput naming the field; unknown keys are ignored."""
    values: dict[str, Any] = {}
    for name, (attribute, kind) in _NAMES.items():
        given = record.get(name)
        if not _is_unset(given):
            values[attribute] = _typed(given, kind, f"{position}{name}")
    priority = record.get("currentPriority")
    priority = record.get("assignedPriority") if _is_unset(priority) else priority
    if not _is_unset(priority):
        values["current_priority"] = _typed(priority, int, f"{position}currentPriority")
    label = record.get("job_label")
    if not _is_unset(label) and label not in _JOB_LABELS:
        remedy = "one of " + ", ".join(_JOB_LABELS)
        raise InvalidInput(f"unknown label {str(label)[:40]!r}", field=f"{position}job_label", remedy=remedy)
    values.setdefault("transformation", "")
    files = record.get("Files") or []
    if not isinstance(files, list):
        raise InvalidInput("not a list", field=f"{position}Files", remedy="send a list of file dictionaries")
    makes_lib = values.get("prod_source_label") == _BUILD_LABEL
    parsed = [_file(entry, f"{position}Files.{number}.", makes_lib) for number, entry in enumerate(files)]
    return NewJob(files=[file for file in parsed if file is not None], **values)


def _is_unset(given: Any) -> bool:
    return given is None or (isinstance(given, str) and given in _UNSET)


def _file(entry: Any, position: str, makes_lib: bool) -> NewFile | None:
    """A file to be; None for a pseudo input, of which there is nothing to fetch."""
    if not isinstance(entry, dict):
        raise InvalidInput("not an object", field=position.rstrip("."), remedy="send a file dictionary")
    kind = str(entry.get("type", ""))
    if kind not in _FILE_TYPES:
        raise InvalidInput(f"unknown type {kind!r}", field=f"{position}type", remedy="one of " + ", ".join(_FILE_TYPES))
    if kind == "pseudo_input":
        return None
    if kind == "lib":
        kind = "output" if makes_lib else "input"
    said = {name: "" if _is_unset(value) else value for name, value in entry.items()}
    lfn = _typed(said.get("lfn", ""), str, f"{position}lfn")
    # jobs of old clients name the dataset of an output by its destination block only
    other_name = "prodDBlock" if kind in ("input", "sandbox") else "destinationDBlock"
    dataset = said.get("dataset") or said.get(other_name) or ""
    return NewFile(
        type=kind,
        lfn=lfn,
        local_name=_typed(said.get("local_name") or lfn, str, f"{position}local_name"),
        dataset=_typed(dataset, str, f"{position}dataset"),
        scope=_typed(said.get("scope", ""), str, f"{position}scope"),
    )


def _typed(given: Any, kind: type, name: str) -> Any:
    try:
        return cast(given, kind)
    except (TypeError, ValueError) as error:
        shown = repr(given)[:80]
        raise InvalidInput(f"got {shown}", field=name, remedy=f"send {describe(kind)}") from error


def record_of(job: Row) -> dict[str, Any]:
    """A job row with files and parameters as PanDA's dictionary: every attribute is there, null where we have none."""
    metrics = job["metrics"] or {}
    files = [_file_record(file) for file in job["files"]]
    record: dict[str, Any] = dict.fromkeys(JOB_ATTRIBUTES)
    record |= {name: job.get(attribute) for name, (attribute, _) in _NAMES.items()}
    record |= {name: job.get(column) for name, column in _SAID_SINCE.items()}
    record |= {name: metrics.get(measured) for name, measured in _MEASURED.items()}
    record |= _UNITS
    record |= {
        "jobsetID": job["jedi_task_id"] or job["job_definition_id"],
        "commandToPilot": job["command_to_pilot"] or None,
        "specialHandling": job["special_handling"] or None,
        "container_name": job["container_name"] or None,
        "metadata": job.get("meta_data"),
        "relocationFlag": int(job["site_is_pinned"]),
        "nOutputDataFiles": sum(file["type"] == "output" for file in files),
        "outputFileBytes": sum(file["fsize"] or 0 for file in files if file["type"] == "output"),
        "inputFileBytes": sum(file["fsize"] or 0 for file in files if file["type"] == "input"),
        "Files": files,
    }
    return record


def _file_record(file: Row) -> dict[str, Any]:
    ours = ("row_id", "local_name", "endpoint", "pfn")
    is_input = file["type"] in ("input", "sandbox")
    known = {
        "rowID": file["row_id"],
        "PandaID": file["panda_id"],
        "GUID": file["guid"],
        "fsize": file["size_bytes"],
        "prodDBlock" if is_input else "destinationDBlock": file["dataset"] or None,
        "destinationSE": None if is_input else file["endpoint"] or None,
        **{name: file[name] for name in ("lfn", "type", "dataset", "status", "checksum", "scope")},
    }
    return {**dict.fromkeys(FILE_ATTRIBUTES), **known, **{name: file[name] for name in ours}}
