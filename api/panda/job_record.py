"""Job dictionaries of the v1 API in PanDA's names, read from submissions and written in descriptions."""

from __future__ import annotations

from typing import Any

from api.panda.casting import cast, describe
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
}
"""PanDA's name -> our attribute and its type."""

_FILE_TYPES = ("input", "pseudo_input", "output", "log", "sandbox")


def job_from_record(record: dict[str, Any], position: str) -> NewJob:
    """A job to be from PanDA's dictionary. Raises InvalidInput naming the field; unknown keys are ignored."""
    values: dict[str, Any] = {}
    for name, (attribute, kind) in _NAMES.items():
        given = record.get(name)
        if given is None or given in ("NULL", ""):
            continue
        values[attribute] = _typed(given, kind, f"{position}{name}")
    priority = record.get("currentPriority", record.get("assignedPriority"))
    if priority not in (None, "NULL", ""):
        values["current_priority"] = _typed(priority, int, f"{position}currentPriority")
    values.setdefault("transformation", "")
    files = record.get("Files") or []
    if not isinstance(files, list):
        raise InvalidInput("not a list", field=f"{position}Files", remedy="send a list of file dictionaries")
    return NewJob(files=[_file(entry, f"{position}Files.{number}.") for number, entry in enumerate(files)], **values)


def _file(entry: Any, position: str) -> NewFile:
    if not isinstance(entry, dict):
        raise InvalidInput("not an object", field=position.rstrip("."), remedy="send a file dictionary")
    kind = str(entry.get("type", ""))
    if kind not in _FILE_TYPES:
        raise InvalidInput(f"unknown type {kind!r}", field=f"{position}type", remedy="one of " + ", ".join(_FILE_TYPES))
    lfn = _typed(entry.get("lfn") or "", str, f"{position}lfn")
    return NewFile(
        type="input" if kind == "pseudo_input" else kind,
        lfn=lfn,
        local_name=_typed(entry.get("local_name") or lfn, str, f"{position}local_name"),
        dataset=_typed(entry.get("dataset") or "", str, f"{position}dataset"),
        scope=_typed(entry.get("scope") or "", str, f"{position}scope"),
    )


def _typed(given: Any, kind: type, name: str) -> Any:
    try:
        return cast(given, kind)
    except (TypeError, ValueError) as error:
        shown = repr(given)[:80]
        raise InvalidInput(f"got {shown}", field=name, remedy=f"send {describe(kind)}") from error


def record_of(job: Row) -> dict[str, Any]:
    """A job row with files and parameters as PanDA's dictionary."""
    record = {name: job.get(attribute) for name, (attribute, _) in _NAMES.items()}
    record |= {
        "PandaID": job["panda_id"],
        "jediTaskID": job["jedi_task_id"],
        "jobStatus": job["job_status"],
        "jobSubStatus": job["job_sub_status"],
        "currentPriority": job["current_priority"],
        "prodUserName": job["prod_user_name"],
        "creationTime": job["creation_time"],
        "modificationTime": job["modification_time"],
        "stateChangeTime": job["state_change_time"],
        "startTime": job["start_time"],
        "endTime": job["end_time"],
        "modificationHost": job["modification_host"],
        "commandToPilot": job["command_to_pilot"] or None,
        "transExitCode": job["trans_exit_code"],
        "pilotErrorCode": job["pilot_error_code"],
        "pilotErrorDiag": job["pilot_error_diag"],
        "exeErrorCode": job["exe_error_code"],
        "exeErrorDiag": job["exe_error_diag"],
        "supErrorCode": job["sup_error_code"],
        "supErrorDiag": job["sup_error_diag"],
        "ddmErrorCode": job["ddm_error_code"],
        "ddmErrorDiag": job["ddm_error_diag"],
        "brokerageErrorCode": job["brokerage_error_code"],
        "brokerageErrorDiag": job["brokerage_error_diag"],
        "jobDispatcherErrorCode": job["job_dispatcher_error_code"],
        "jobDispatcherErrorDiag": job["job_dispatcher_error_diag"],
        "taskBufferErrorCode": job["task_buffer_error_code"],
        "taskBufferErrorDiag": job["task_buffer_error_diag"],
        "cpuConsumptionTime": job["cpu_consumption_time_s"],
        "maxRSS": job["max_rss_kb"],
        "maxPSS": job["max_pss_kb"],
        "jobMetrics": job["job_metrics"],
        "pilotID": job["pilot_id"],
        "resource_type": job["resource_type"],
        "Files": [_file_record(file) for file in job["files"]],
    }
    return record


def _file_record(file: Row) -> dict[str, Any]:
    names = ("row_id", "lfn", "local_name", "scope", "type", "dataset", "status", "endpoint", "pfn", "checksum")
    return {**{name: file[name] for name in names}, "GUID": file["guid"], "fsize": file["size_bytes"]}
