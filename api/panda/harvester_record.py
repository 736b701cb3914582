"""What a Harvester sends, in its own names, as core's reports. Knows the wire and core's reports; no request, no table.

Everything here raises InvalidInput with a field below the name of the parameter, such as `workers.3.nCore`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.bodies import parse_json
from api.panda.casting import cast, describe
from core.errors import InvalidInput
from core.harvester.counts import WorkerCount
from core.harvester.messages import Dialog, ServiceMetric
from core.harvester.states import WorkerStatus
from core.harvester.times import parse_time
from core.harvester.workers import NUMBERS, TEXT_LIMITS, TIMES, WorkerReport
from core.text import clean

_WIRE_NAMES: dict[str, str] = {
    **{"computing_site": "computingSite", "batch_id": "batchID", "queue_name": "queueName", "node_id": "nodeID"},
    **{"computing_element": "computingElement", "submission_host": "submissionHost", "job_type": "jobType"},
    **{"harvester_host": "harvesterHost", "resource_type": "resourceType", "native_status": "nativeStatus"},
    **{"diag_message": "diagMessage", "std_out": "stdOut", "std_err": "stdErr", "batch_log": "batchLog", "jdl": "jdl"},
    **{"n_core": "nCore", "n_jobs": "nJobs", "min_ram_mb": "minRamCount", "native_exit_code": "nativeExitCode"},
    **{"error_code": "errorCode", "submit_time": "submitTime", "start_time": "startTime", "end_time": "endTime"},
}
"""Columns of a worker and what Harvester calls them."""

_UNCLASSIFIED = "Undefined"
"""The resource type under which Harvester counts workers before it knows theirs: not told (server-api.md 1.4)."""


def worker_report(entry: Any, field: str) -> WorkerReport:
    """One worker of `harvester/update_workers`."""
    worker = _object(entry, field, '{"workerID": 1, "status": "running", ...}')
    values: dict[str, Any] = {}
    for name, wire_name in _WIRE_NAMES.items():
        value = worker.get(wire_name)
        if value is None or value == "":
            continue
        place = f"{field}.{wire_name}"
        if name in TIMES:
            values[name] = parse_time(value, place)
        elif name in NUMBERS:
            values[name] = _cast(value, int, place)
        else:
            values[name] = clean(_cast(value, str, place), TEXT_LIMITS[name])
    return WorkerReport(
        worker_id=_cast(worker.get("workerID"), int, f"{field}.workerID"),
        status=_worker_status(worker.get("status"), f"{field}.status"),
        panda_ids=tuple(_cast(worker.get("pandaid_list") or [], list[int], f"{field}.pandaid_list")),
        ends_its_jobs=worker.get("syncLevel") in (1, "1"),
        **values,
    )


def worker_counts(statistics: str | dict[str, Any]) -> list[WorkerCount]:
    """`harvester/report_worker_statistics`: {label: {resource type: {status: count}}}, as an object or as JSON text."""
    document = parse_json(statistics.encode(), field="statistics") if isinstance(statistics, str) else statistics
    counts = []
    for label, by_type in _entries(document, "statistics"):
        for resource_type, by_status in _entries(by_type, f"statistics.{label}"):
            if resource_type == _UNCLASSIFIED:
                continue
            place = f"statistics.{label}.{resource_type}"
            for status, count in _entries(by_status, place):
                number = _cast(count, int, f"{place}.{status}")
                if number < 0:
                    raise InvalidInput(f"{number} workers", field=f"{place}.{status}", remedy="0 or more")
                counts.append(WorkerCount(clean(label, 64), clean(resource_type, 64), clean(status, 32), number))
    return counts


def dialog(entry: Any, field: str) -> Dialog:
    """One message of `harvester/add_dialogs`."""
    said = _object(entry, field, '{"diagID": 1, "messageLevel": "ERROR", "diagMessage": "...", ...}')
    return Dialog(
        diag_id=_cast(said.get("diagID"), int, f"{field}.diagID"),
        module_name=_text(said, "moduleName", field, 100),
        identifier=_text(said, "identifier", field, 255),
        creation_time=parse_time(said.get("creationTime"), f"{field}.creationTime"),
        message_level=_text(said, "messageLevel", field, 10),
        diag_message=_text(said, "diagMessage", field, 2000),
    )


def service_metric(entry: Any, field: str) -> ServiceMetric:
    """One measurement of `harvester/update_service_metrics`: [time, host, JSON text or object]."""
    if not isinstance(entry, list) or len(entry) != 3:
        raise InvalidInput("not a list of three", field=field, remedy='send [time, host, {"cpu_pc": 12.5, ...}]')
    measured = parse_json(entry[2].encode(), field=f"{field}.2") if isinstance(entry[2], str) else entry[2]
    return ServiceMetric(
        creation_time=parse_time(entry[0], f"{field}.0"),
        host_name=clean(_cast(entry[1], str, f"{field}.1"), 255),
        metrics=_object(measured, f"{field}.2", '{"cpu_pc": 12.5, ...}'),
    )


def _worker_status(value: Any, field: str) -> WorkerStatus | None:
    if value is None or value == "":
        return None
    try:
        return WorkerStatus(value)
    except ValueError as error:
        known = ", ".join(WorkerStatus)
        raise InvalidInput(f"unknown status {str(value)[:40]!r}", field=field, remedy=f"one of {known}") from error


def _entries(document: Any, field: str) -> Iterator[tuple[str, Any]]:
    yield from _object(document, field, '{"user": {"SCORE": {"running": 1, ...}}}').items()


def _object(value: Any, field: str, example: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput("not an object", field=field, remedy=f"send {example}")
    return value


def _text(said: dict[str, Any], name: str, field: str, limit: int) -> str:
    value = said.get(name)
    return "" if value is None else clean(_cast(value, str, f"{field}.{name}"), limit)


def _cast(value: Any, kind: Any, field: str) -> Any:
    try:
        return cast(value, kind)
    except (TypeError, ValueError) as error:
        given = "missing" if value is None else f"{str(value)[:40]!r} given"
        raise InvalidInput(given, field=field, remedy=f"send {describe(kind)}") from error
