"""The methods of the old protocol, /server/panda/<method>, as one table of renames onto v1 (server-api.md 4).

Each row: the v1 endpoint, the parameters that have other names, and how the answer looks. How requests are read and
errors told is in legacy_door.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from api.panda.casting import cast
from api.panda.legacy_shapes import Fields, Pair, Plain, Shape, StatusCode, renamed, without_nonsense
from api.panda.pilot_reports import UPDATE_JOB
from core.dispatch.update import REPORTABLE
from core.errors import InvalidInput

_HARVESTER = {"harvesterID": "harvester_id"}
_GET_JOB = {
    "siteName": "site_name",
    "computingElement": "computing_element",
    "prodSourceLabel": "prod_source_label",
    "diskSpace": "disk_space",
    "mem": "memory",
    "jobType": "job_type",
    "resourceType": "resource_type",
    "taskID": "task_id",
    "prodUserID": "prod_user_id",
    "workingGroup": "working_group",
    "countryGroup": "country_group",
    "allowOtherCountry": "allow_other_country",
    "viaTopic": "via_topic",
    "nJobs": "n_jobs",
    "schedulerID": "scheduler_id",
    "getProxyKey": "get_proxy_key",
}
_UPDATE_JOB = {
    "jobId": "job_id",
    "state": "job_status",
    "xml": "job_output_report",
    "siteName": "site_name",
    "attemptNr": "attempt_nr",
    "schedulerID": "scheduler_id",
    "pilotID": "pilot_id",
    "batchID": "batch_id",
    "coreCount": "core_count",
    "meanCoreCount": "mean_core_count",
    "nEvents": "n_events",
    "nInputFiles": "n_input_files",
    "cpuConsumptionTime": "cpu_consumption_time",
    "cpuConsumptionUnit": "cpu_consumption_unit",
    "cpuConversionFactor": "cpu_conversion_factor",
    "jobMetrics": "job_metrics",
    "metaData": "meta_data",
    "jobSubStatus": "job_sub_status",
    "pilotTiming": "pilot_timing",
    "pilotLog": "pilot_log",
    "pilotErrorCode": "pilot_error_code",
    "pilotErrorDiag": "pilot_error_diag",
    "transExitCode": "trans_exit_code",
    "exeErrorCode": "exe_error_code",
    "exeErrorDiag": "exe_error_diag",
    "corruptedFiles": "corrupted_files",
    "sourceSite": "source_site",
    "destinationSite": "destination_site",
    **{f"max{name}": f"max_{name.lower()}" for name in ("RSS", "VMEM", "SWAP", "PSS")},
    **{f"avg{name}": f"avg_{name.lower()}" for name in ("RSS", "VMEM", "SWAP", "PSS")},
    **{f"tot{name}": f"tot_{name.lower()}" for name in ("RCHAR", "WCHAR", "RBYTES", "WBYTES")},
    **{f"rate{name}": f"rate_{name.lower()}" for name in ("RCHAR", "WCHAR", "RBYTES", "WBYTES")},
}
"""startTime and endTime are left behind: epochs there, and the server keeps the times itself (pilot-wire.md 2.2)."""

NOTHING_SAID: dict[str, Any] = {"StatusCode": 0, "command": "NULL"}
"""The answer to a report that says nothing this server acts on."""


@dataclass(frozen=True)
class LegacyMethod:
    """One old method."""

    module: str
    function: str
    names: Mapping[str, str] = field(default_factory=dict)
    """Old name of a parameter -> v1 name; the others are called the same."""
    shape: Shape = field(default_factory=Fields)
    prepare: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda values: values
    """Last touch on the v1 parameters; None when there is nothing to do and `NOTHING_SAID` is the answer."""
    takes_nonsense: bool = False
    """A pilot calls it: numbers that make no sense count as not said."""
    must_arrive: bool = False
    """The caller takes any JSON as delivered; while it cannot be kept the answer must be none (pilot-wire.md 2.2)."""


def _job_or_jobs(data: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
    """With nJobs a list, without it the one job at the top level."""
    return {"jobs": data["jobs"]} if sent.get("nJobs") else dict(data["jobs"][0])


def _command(data: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "command": data["command"] or "NULL"}


def report_of(values: dict[str, Any]) -> dict[str, Any] | None:
    """An updateJob as v1 takes it; None for no job, or a state that is none of those a pilot reports."""
    if str(values.get("job_id")) in ("NULL", "None", "") or values.get("job_status") not in REPORTABLE:
        return None
    report = values.get("job_output_report")
    if isinstance(report, str):
        # the verdict counts even when the list of files cannot be read; the adder then says which are missing
        values["job_output_report"] = _object_or_nothing(report)
    return values


def _object_or_nothing(text: str) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _reports(values: dict[str, Any]) -> dict[str, Any]:
    """The reports of updateJobsInBulk as v1 takes them, each without its nonsense."""
    try:
        entries = cast(values.get("job_list") or [], list[Any])
    except (TypeError, ValueError) as error:
        raise InvalidInput("not a list", field="jobList", remedy="send a JSON list of reports") from error
    return {**values, "job_list": [_report_in_bulk(entry) for entry in entries]}


def _report_in_bulk(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    report = renamed(entry, _UPDATE_JOB)
    report = report_of(report) or report
    return without_nonsense(report, UPDATE_JOB)


def _answers(result: Any, sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One answer per report; Harvester reads it once more out of the text in `content`."""
    answers = []
    for envelope in result.data:
        if envelope["success"]:
            answer = {**envelope["data"], "command": envelope["data"]["command"] or "NULL"}
        else:
            answer = {"StatusCode": int(StatusCode.INVALID), "command": "NULL", "errorDialog": envelope["message"]}
        answers.append({**answer, "type": "json", "content": orjson.dumps(answer).decode()})
    return answers


def _ids(values: dict[str, Any]) -> dict[str, Any]:
    """`ids` separated by blanks or commas as a list of numbers; what is no number is no job."""
    words = re.split(r"[\s,]+", str(values.get("job_ids", "")).strip())
    return {"job_ids": [int(word) if word.isdecimal() and len(word) < 19 else 0 for word in words if word]}


def _joined_statuses(data: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
    statuses = [entry["status"].replace(" ", "") for entry in data]
    return {"status": "+".join(statuses), "attemptNr": "+".join(str(entry["attempt_number"]) for entry in data)}


def _checked_statuses(data: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": [{"status": entry["status"], "attemptNr": entry["attempt_number"]} for entry in data]}


def _secrets(result: Any, sent: Mapping[str, Any]) -> Any:
    """An object when asked for, else the text that v1 answers."""
    wants_object = str(sent.get("get_json")).lower() in ("true", "1")
    return orjson.loads(result.data or "{}") if wants_object and isinstance(result.data, str) else result.data


def _comma_list(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def split(values: dict[str, Any]) -> dict[str, Any]:
        given = values.get(name)
        if isinstance(given, str) and not given.startswith("["):
            values[name] = [word for word in given.split(",") if word]
        return values

    return split


def _token(data: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
    return {"userProxy": data["user_proxy"]}


_EVENTS = {"pandaID": "job_id", "jobsetID": "jobset_id", "taskID": "task_id", "nRanges": "n_ranges"}

LEGACY_METHODS: dict[str, LegacyMethod] = {
    # pilots
    "getJob": LegacyMethod("pilot", "acquire_jobs", _GET_JOB, Fields(_job_or_jobs), takes_nonsense=True),
    "updateJob": LegacyMethod(
        "pilot", "update_job", _UPDATE_JOB, Fields(_command), report_of, takes_nonsense=True, must_arrive=True
    ),
    "updateJobsInBulk": LegacyMethod(
        "pilot", "update_jobs_bulk", {"jobList": "job_list"}, Pair(_answers), _reports, must_arrive=True
    ),
    "getStatus": LegacyMethod("pilot", "get_job_status", {"ids": "job_ids"}, Fields(_joined_statuses), _ids),
    "checkJobStatus": LegacyMethod("pilot", "get_job_status", {"ids": "job_ids"}, Fields(_checked_statuses), _ids),
    "updateWorkerPilotStatus": LegacyMethod(
        "pilot", "update_worker_status", {"workerID": "worker_id", "harvesterID": "harvester_id"}
    ),
    "setDebugMode": LegacyMethod("job", "set_debug_mode", {"pandaID": "job_id", "modeOn": "mode"}),
    # credentials
    "getProxy": LegacyMethod("creds", "get_proxy", {}, Fields(_token, refused_as=StatusCode.PROXY_ERROR)),
    "getKeyPair": LegacyMethod(
        "creds",
        "get_key_pair",
        {"publicKeyName": "public_key_name", "privateKeyName": "private_key_name"},
        Fields(
            lambda data, sent: {"publicKey": data["public_key"], "privateKey": data["private_key"]},
            refused_as=StatusCode.MISSING_KEY,
        ),
    ),
    "get_access_token": LegacyMethod(
        "creds", "get_access_token", {}, Fields(_token, refused_as=StatusCode.PROXY_ERROR)
    ),
    "get_user_secrets": LegacyMethod("creds", "get_user_secrets", {}, Pair(_secrets), _comma_list("keys")),
    # events
    "getEventRanges": LegacyMethod(
        "event",
        "acquire_event_ranges",
        _EVENTS,
        Fields(
            lambda data, sent: {"eventRanges": data},
            refused_as=StatusCode.SUCCESS,
            refused_with={"eventRanges": []},
        ),
    ),
    "updateEventRanges": LegacyMethod(
        "event",
        "update_event_ranges",
        {"eventRanges": "event_ranges"},
        Fields(
            lambda data, sent: {"Returns": data["Returns"], "Command": data["Command"]},
            refused_with={"Returns": [], "Command": {}},
        ),
    ),
    "checkEventsAvailability": LegacyMethod(
        "event",
        "get_available_event_range_count",
        _EVENTS,
        Fields(
            lambda data, sent: {"nEventRanges": data}, refused_as=StatusCode.SUCCESS, refused_with={"nEventRanges": 0}
        ),
    ),
    # factories
    "isAlive": LegacyMethod("system", "is_alive", {}, Fields(lambda data, sent: {"alive": "yes"})),
    "getResourceTypes": LegacyMethod(
        "metaconfig", "get_resource_types", {}, Fields(lambda data, sent: {"ResourceTypes": data})
    ),
    "harvesterIsAlive": LegacyMethod("harvester", "heartbeat", _HARVESTER, Pair()),
    "updateWorkers": LegacyMethod("harvester", "update_workers", _HARVESTER, Pair()),
    **dict.fromkeys(
        ("reportWorkerStats", "reportWorkerStats_jobtype"),
        LegacyMethod(
            "harvester",
            "report_worker_statistics",
            {**_HARVESTER, "siteName": "panda_queue", "paramsList": "statistics"},
            Pair(),
        ),
    ),
    "getCommands": LegacyMethod(
        "harvester", "acquire_commands", _HARVESTER, Fields(lambda data, sent: {"Commands": data})
    ),
    "ackCommands": LegacyMethod("harvester", "acknowledge_commands"),
    "addHarvesterDialogs": LegacyMethod("harvester", "add_dialogs", _HARVESTER, Pair()),
    "updateServiceMetrics": LegacyMethod("harvester", "update_service_metrics", _HARVESTER, Pair()),
    "getJobStatisticsPerSite": LegacyMethod("statistics", "active_job_stats_by_site", {}, Plain()),
    "updateLog": LegacyMethod("file_server", "update_jedi_log"),
    # the user client and workflows
    "put_workflow_request": LegacyMethod("file_server", "upload_workflow_request", {"check": "dry_run"}, Pair()),
    "execute_idds_workflow_command": LegacyMethod("idds", "execute_idds_workflow_command", {}, Pair()),
    "relay_idds_command": LegacyMethod("idds", "relay_idds_command", {}, Pair()),
    "putEventPickingRequest": LegacyMethod(
        "file_server",
        "upload_event_picking_request",
        {
            "runEventList": "run_event_list",
            "eventPickDataType": "data_type",
            "eventPickStreamName": "stream_name",
            "eventPickDS": "dataset_name",
            "eventPickAmiTag": "ami_tag",
            "userDatasetName": "user_dataset_name",
            "lockedBy": "locked_by",
            "giveGUID": "include_guids",
            "params": "parameters",
            "inputFileList": "input_file_list",
            "eventPickNumSites": "n_sites",
        },
        Pair(),
    ),
    "put_file_recovery_request": LegacyMethod(
        "file_server", "upload_file_recovery_request", {"jediTaskID": "task_id", "dryRun": "dry_run"}, Pair()
    ),
    "put_checkpoint": LegacyMethod("file_server", "upload_hpo_checkpoint"),
    "delete_checkpoint": LegacyMethod("file_server", "delete_hpo_checkpoint"),
}
