"""Chooses from which tape to which disk a dataset is brought, and says why. Knows tasks and brokerage; moves nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.brokerage.broker import broker
from core.brokerage.candidates import Candidate
from core.brokerage.facts import read_candidates
from core.brokerage.requests import request_of_task
from core.database import Row, Transaction
from core.dataservice.staging import live_tasks
from core.errors import PandaError
from core.taskengine.dialects.reading import definition_of
from core.wording import counted

_MOST_TASKS = 20
"""Tasks of a request whose queues are asked for, the most urgent first."""
_BYTES_OF_MB = 10**6

# ix_data_carousel_files_status, primary keys of replicas and endpoints
_TAPES = """
SELECT r.endpoint AS name, count(*) AS files FROM data_carousel_files c JOIN replicas r USING (file_id)
JOIN storage_endpoints e ON e.name = r.endpoint
WHERE c.request_id = %(id)s AND c.status = 'waiting' AND e.kind = 'tape' AND e.state = 'online'
GROUP BY r.endpoint ORDER BY count(*) DESC, r.endpoint
"""
# primary keys
_TASKS = (
    "SELECT * FROM tasks WHERE jedi_task_id = ANY(%(ids)s) ORDER BY current_priority DESC, jedi_task_id LIMIT %(most)s"
)
# ix_data_carousel_relations_task, ix_task_datasets_task; then ix_files_dataset and primary keys: what a disk holds of the
# input of a task already, in a look at the beginning of each dataset
_HOLDS = """
SELECT r.endpoint AS name, count(*) AS files FROM (
    SELECT DISTINCT q.dataset_id FROM data_carousel_relations l JOIN data_carousel_requests q USING (request_id)
    WHERE l.jedi_task_id = %(task)s
    UNION SELECT s.dataset_id FROM datasets s WHERE s.name = ANY(%(names)s)
) w CROSS JOIN LATERAL (SELECT file_id FROM files WHERE dataset_id = w.dataset_id ORDER BY file_id LIMIT 1000) f
JOIN replicas r USING (file_id) JOIN storage_endpoints e ON e.name = r.endpoint
WHERE e.kind = 'disk' AND e.state = 'online' GROUP BY r.endpoint
"""
# a short table
_DISKS = "SELECT name, free_mb FROM storage_endpoints WHERE kind = 'disk' AND state = 'online' ORDER BY name"


@dataclass(frozen=True)
class Chosen:
    """A storage and why it was taken; an empty name when there is none."""

    name: str
    why: str


@dataclass(frozen=True)
class _Disk:
    name: str
    queue_name: str
    holds: int
    free_mb: int | None


def choose_source(transaction: Transaction, request: Row, *, exclude: Collection[str] = ()) -> Chosen:
    """The tape that holds most of what is waited for."""
    tapes = [row for row in transaction.fetch(_TAPES, {"id": request["request_id"]}) if row["name"] not in exclude]
    if not tapes:
        return Chosen("", "no tape that is online holds any of its files")
    most = tapes[0]
    others = f", the most of {len(tapes)} tapes" if len(tapes) > 1 else ""
    return Chosen(most["name"], f"{most['name']} holds {counted(most['files'], 'file')} of it{others}")


def tapes_of(transaction: Transaction, request: Row) -> list[str]:
    """The tapes that are online and hold something of what is waited for."""
    return [row["name"] for row in transaction.fetch(_TAPES, {"id": request["request_id"]})]


def choose_destination(transaction: Transaction, request: Row, *, exclude: Collection[str] = ()) -> Chosen:
    """The disk of a queue that the most urgent task may use: where most of its input is, then with most free room."""
    ids = live_tasks(transaction, request["request_id"])
    candidates = read_candidates(transaction)
    free = {row["name"]: row["free_mb"] for row in transaction.fetch(_DISKS)}
    need_mb = max(0, request["n_bytes"] - request["n_bytes_staged"]) // _BYTES_OF_MB
    said = "no task needs it any more"
    for task in transaction.fetch(_TASKS, {"ids": ids, "most": _MOST_TASKS}):
        disks = _disks_for(transaction, task, candidates, free, exclude)
        fitting = [disk for disk in disks if disk.free_mb is None or disk.free_mb >= need_mb]
        if fitting:
            return _best(fitting, task["jedi_task_id"])
        said = (
            f"no queue that takes task {task['jedi_task_id']} has {'another' if exclude else 'a'} disk that is online"
        )
        if disks:
            said = (
                f"none of {counted(len(disks), 'disk')} that task {task['jedi_task_id']} may use has {need_mb} MB free"
            )
    return Chosen("", said)


def _disks_for(
    transaction: Transaction,
    task: Row,
    candidates: list[Candidate],
    free: dict[str, int | None],
    exclude: Collection[str],
) -> list[_Disk]:
    try:
        definition = definition_of(task)
        request = request_of_task(transaction, task, definition)
    except PandaError:  # its own step says so
        return []
    names = [name for stream in definition.inputs for name in stream.datasets if stream.kind == "input"]
    holds = {
        row["name"]: row["files"] for row in transaction.fetch(_HOLDS, {"task": task["jedi_task_id"], "names": names})
    }
    disks: dict[str, _Disk] = {}
    for queue in broker(request, candidates).accepted:
        name = queue.storage_endpoint
        if name in free and name not in exclude and name not in disks:
            room = free[name] if free[name] is not None else queue.free_storage_mb
            disks[name] = _Disk(name, queue.queue_name, holds.get(name, 0), room)
    return list(disks.values())


def _best(disks: list[_Disk], task_id: int) -> Chosen:
    best = max(disks, key=lambda disk: (disk.holds, -1 if disk.free_mb is None else disk.free_mb))
    why = f"{best.name} is the storage of queue {best.queue_name}, which task {task_id} may use"
    if best.holds:
        why += f", and holds {counted(best.holds, 'file')} of its input already"
    if best.free_mb is not None:
        why += f", with {best.free_mb:,} MB free"
    if len(disks) > 1:
        why += f"; the best of {len(disks)}"
    return Chosen(best.name, why)
