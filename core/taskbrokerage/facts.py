"""Reads the nuclei with what is assigned to them, and what a task needs of one. Knows tables, no rule."""

from __future__ import annotations

from collections.abc import Sequence

from core.brokerage.candidates import Candidate
from core.brokerage.requests import request_of_task
from core.database import Row, Transaction
from core.errors import PandaError
from core.states import FINAL_TASK_STATUSES, TaskStatus
from core.taskbrokerage.candidates import TAPE, Amount, Need, Nucleus
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.reading import definition_of

_BYTES_OF_MB = 1_000_000
_MOST_FILES = 100_000
"""Input files of a task that are looked at: enough to see where most of it lies."""
_OPEN_STATUSES = sorted(status.value for status in frozenset(TaskStatus) - FINAL_TASK_STATUSES)

# a short table
_ENDPOINTS = "SELECT name, state, kind, is_nucleus, free_mb, total_mb FROM storage_endpoints ORDER BY name"
# ix_tasks_status: a few thousand tasks at most are open
_ASSIGNED = """
SELECT * FROM tasks WHERE status = ANY(%(open)s) AND nucleus = ANY(%(nuclei)s) AND n_files > n_files_finished + n_files_failed
"""
# ix_task_datasets_task, ix_task_files_status; per file the primary keys of its replicas and their endpoints
_INPUT_AT = """
SELECT i.places, count(*)::bigint AS files, sum(i.size_bytes)::bigint AS bytes FROM (
    SELECT coalesce(f.size_bytes, 0) AS size_bytes, ARRAY(
        SELECT r.endpoint FROM replicas r JOIN storage_endpoints e ON e.name = r.endpoint
        WHERE r.file_id = f.catalogue_file_id AND e.state = 'online' ORDER BY 1) AS places
    FROM (
        SELECT DISTINCT f.catalogue_file_id, f.size_bytes FROM task_files f JOIN task_datasets d USING (dataset_id)
        WHERE f.jedi_task_id = %(id)s AND d.type = 'input' AND f.catalogue_file_id IS NOT NULL LIMIT %(most)s
    ) f
) i GROUP BY i.places
"""
# ix_task_datasets_task, ix_task_files_status
_MASTER = """
SELECT coalesce(sum(d.n_files), 0)::bigint AS files, coalesce(sum(d.n_events), 0)::bigint AS events,
       coalesce((SELECT sum(f.size_bytes) FROM task_files f JOIN task_datasets m USING (dataset_id)
                 WHERE f.jedi_task_id = %(id)s AND m.is_master), 0)::bigint AS bytes
FROM task_datasets d WHERE d.jedi_task_id = %(id)s AND d.is_master
"""


class OutputBook:
    """What the jobs of tasks will write in all, kept for as long as a task says the same of its outputs."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[int, int, int], float]] = {}

    def expected_mb(self, transaction: Transaction, task: Row, definition: TaskDefinition) -> float:
        """By outDiskCount, stated or measured, and the input; what nobody has said counts nothing."""
        task_id, needs = int(task["jedi_task_id"]), definition.needs
        said = (needs.disk_kb_per_event, needs.disk_kb_per_input_mb, int(task["n_files"]))
        known = self._known.get(task_id)
        if known is None or known[0] != said:
            known = (said, self._count(transaction, task_id, said) if said[0] or said[1] else 0.0)
            self._known[task_id] = known
        return known[1]

    def keep_only(self, task_ids: set[int]) -> None:
        """Forget all others."""
        self._known = {task_id: known for task_id, known in self._known.items() if task_id in task_ids}

    def _count(self, transaction: Transaction, task_id: int, said: tuple[int, int, int]) -> float:
        [master] = transaction.fetch(_MASTER, {"id": task_id})
        return float(said[0] * master["events"] + said[1] * master["bytes"] / _BYTES_OF_MB) / 1000


def read_nuclei(transaction: Transaction, queues: Sequence[Candidate], book: OutputBook) -> list[Nucleus]:
    """All storage endpoints that collect outputs, with the work assigned to them, by name. `queues`: those of brokerage."""
    nuclei = {
        row["name"]: Nucleus(
            *(row["name"], row["state"] == "online", row["kind"], row["free_mb"], row["total_mb"]),
            near=_near(row["name"], queues),
        )
        for row in transaction.fetch(_ENDPOINTS)
        if row["is_nucleus"]
    }
    assigned = transaction.fetch(_ASSIGNED, {"open": _OPEN_STATUSES, "nuclei": sorted(nuclei)}) if nuclei else []
    book.keep_only({int(task["jedi_task_id"]) for task in assigned})
    for task in assigned:
        nucleus = nuclei[task["nucleus"]]
        try:
            definition = definition_of(task)
        except PandaError:  # it makes no further jobs, and says why itself
            continue
        left = task["n_files"] - task["n_files_finished"] - task["n_files_failed"]
        nucleus.remaining_jobs += left / _files_per_job(definition)
        nucleus.projected_mb += book.expected_mb(transaction, task, definition) * left / task["n_files"]
    return list(nuclei.values())


def need_of_task(transaction: Transaction, task: Row, definition: TaskDefinition, book: OutputBook) -> Need:
    """What a task whose input is listed needs of a nucleus."""
    rows = transaction.fetch(_INPUT_AT, {"id": task["jedi_task_id"], "most": _MOST_FILES})
    tapes = {row["name"] for row in transaction.fetch(_ENDPOINTS) if row["kind"] == TAPE}
    return Need(
        jedi_task_id=int(task["jedi_task_id"]),
        request=request_of_task(transaction, task, definition),
        input_at={frozenset(row["places"]): Amount(row["bytes"] / _BYTES_OF_MB, row["files"]) for row in rows},
        tapes=frozenset(tapes),
        jobs=task["n_files"] / _files_per_job(definition),
        output_mb=book.expected_mb(transaction, task, definition),
    )


def _files_per_job(definition: TaskDefinition) -> int:
    """As the task says; one where it does not."""
    return max(1, definition.split.files_per_job or 1)


def _near(name: str, queues: Sequence[Candidate]) -> frozenset[str]:
    """The storage endpoints of every site that has this one."""
    return frozenset({name}).union(*(queue.site_endpoints for queue in queues if name in queue.site_endpoints))
