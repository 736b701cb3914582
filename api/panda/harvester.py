"""`harvester`: factories report their workers and themselves, and fetch their orders (server-api.md 1.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from api.panda.harvester_record import dialog, service_metric, worker_counts, worker_report
from api.panda.kernel import Auth, Call, Result, Success, endpoint
from core.errors import InvalidInput
from core.harvester import commands, counts, messages
from core.harvester import slots as target_slots
from core.harvester import workers as factory_workers
from core.harvester.times import parse_time
from core.harvester.workers import MAX_WORKERS_PER_REPORT, WorkerReport

_SHOWN_REFUSALS = 5
_MAX_NAME = 100
_MOST_DIGITS = 9


@endpoint("POST")
def update_workers(call: Call, harvester_id: str, workers: list[Any]) -> Result:
    """Insert or update workers; one true per worker taken, false for one that makes no sense (the message says why)."""
    instance = _name(harvester_id)
    if len(workers) > MAX_WORKERS_PER_REPORT:
        raise InvalidInput(
            f"more than {MAX_WORKERS_PER_REPORT} at once", field="workers", remedy="send them in several requests"
        )
    taken: list[WorkerReport] = []
    answers: list[bool] = []
    refusals: list[str] = []
    for number, entry in enumerate(workers):
        try:
            taken.append(worker_report(entry, f"workers.{number}"))
            answers.append(True)
        except InvalidInput as error:
            answers.append(False)
            refusals.append(str(error))
    factory_workers.update_workers(call.services.database, instance, taken)
    more = [f"and {len(refusals) - _SHOWN_REFUSALS} more"] if len(refusals) > _SHOWN_REFUSALS else []
    return Success(answers, "; ".join([*refusals[:_SHOWN_REFUSALS], *more]))


@endpoint("POST")
def update_service_metrics(call: Call, harvester_id: str, metrics: list[Any]) -> Result:
    """Keep measurements of a factory's host: [[time, host, {name: value}], ...]; one true each."""
    instance = _name(harvester_id)
    measured = [service_metric(entry, f"metrics.{number}") for number, entry in enumerate(metrics)]
    messages.add_service_metrics(call.services.database, instance, measured)
    return Success([True] * len(measured))


@endpoint("POST")
def add_dialogs(call: Call, harvester_id: str, dialogs: list[Any]) -> Result:
    """Keep messages of a factory for people; an error becomes an incident."""
    instance = _name(harvester_id)
    said = [dialog(entry, f"dialogs.{number}") for number, entry in enumerate(dialogs)]
    messages.add_dialogs(call.services.database, instance, said)
    return Success()


@endpoint("POST")
def heartbeat(call: Call, harvester_id: str, data: dict[str, Any] | None = None) -> Result:
    """A factory is alive; `data` is what it says of itself."""
    details = data or {}
    host_name = str(details.get("hostName") or "")[:255]
    messages.heartbeat(call.services.database, _name(harvester_id), call.caller.user_name, host_name, details)
    return Success()


@endpoint("GET")
def get_current_worker_id(call: Call, harvester_id: str) -> Result:
    """The highest worker id known of a factory; 0 before its first worker."""
    return Success(factory_workers.largest_worker_id(call.services.database, harvester_id))


@endpoint("GET")
def get_worker_statistics(call: Call) -> Result:
    """Counts of the last four hours: {queue: {harvester id: {label: {resource type: {status: count}}}}}."""
    answer: dict[str, Any] = {}
    for row in counts.recent_counts(call.services.read_database):
        place = answer
        for name in ("computing_site", "harvester_id", "job_type", "resource_type"):
            place = place.setdefault(row[name], {})
        place[row["status"]] = row["worker_count"]
    return Success(answer)


@endpoint("POST")
def report_worker_statistics(
    call: Call, harvester_id: str, panda_queue: str, statistics: str | dict[str, Any]
) -> Result:
    """Take a factory's count of its workers at a queue in place of its last one."""
    counted = worker_counts(statistics)
    queue_name = _name(panda_queue, "panda_queue")
    counts.replace_counts(call.services.database, _name(harvester_id), queue_name, counted)
    return Success(None, "OK")


@endpoint("POST", auth=Auth.PRODUCTION)
def acquire_commands(call: Call, harvester_id: str, n_commands: int, timeout: int = 30) -> Result:
    """Up to `n_commands` orders that this factory has not taken yet, oldest first."""
    taken = commands.take_commands(call.services.database, harvester_id, n_commands)
    return Success(
        [
            {
                "command_id": row["command_id"],
                "command": row["command"],
                "params": row["params"],
                "ack_requested": int(row["ack_requested"]),
                "creation_date": row["creation_time"].replace(tzinfo=None).isoformat(),
            }
            for row in taken
        ]
    )


@endpoint("POST", auth=Auth.PRODUCTION)
def acknowledge_commands(call: Call, command_ids: list[int], timeout: int = 30) -> Result:
    """Orders were carried out; unknown numbers are nobody's business."""
    commands.acknowledge_commands(call.services.database, command_ids)
    return Success()


@endpoint("POST", auth=Auth.PRODUCTION)
def add_sweep_command(
    call: Call, panda_queue: str, status_list: list[str], ce_list: list[str], submission_host_list: list[str]
) -> Result:
    """Order the factory of a queue to kill its workers there, of these statuses, CEs and submission hosts ("ALL": any)."""
    commands.add_sweep_command(
        call.services.database,
        panda_queue,
        statuses=status_list,
        computing_elements=ce_list,
        submission_hosts=submission_host_list,
    )
    return Success(None, "OK")


@endpoint("POST", auth=Auth.PRODUCTION)
def add_target_slots(
    call: Call,
    panda_queue: str,
    slots: int,
    global_share: str | None = None,
    resource_type: str | None = None,
    expiration_date: str | None = None,
) -> Result:
    """Want so many slots at a queue until `expiration_date` (a time, or a number of days); -1 takes the wish back."""
    target_slots.set_target_slots(
        call.services.database,
        _name(panda_queue, "panda_queue"),
        slots,
        gshare=(global_share or "")[:_MAX_NAME],
        resource_type=(resource_type or "")[:_MAX_NAME],
        expiration_time=_expiration(expiration_date),
    )
    said = f"set numSlots={slots} for PQ={panda_queue} gshare={global_share} resource={resource_type}"
    return Success(None, said)


def _name(text: str, field: str = "harvester_id") -> str:
    if not text.strip() or len(text) > _MAX_NAME:
        raise InvalidInput(f"{text[:40]!r} is no name", field=field, remedy=f"1 to {_MAX_NAME} characters")
    return text


def _expiration(text: str | None) -> datetime | None:
    """A number means days from now, as upstream; anything else is a time."""
    if not text:
        return None
    if (number := text.strip()).isdecimal():
        # of thousands of digits Python makes no number
        if len(number) > _MOST_DIGITS or int(number) > 36_500:
            raise InvalidInput(f"{number[:40]} days", field="expiration_date", remedy="at most 36500")
        return datetime.now(UTC) + timedelta(days=int(number))
    return parse_time(text, "expiration_date")
