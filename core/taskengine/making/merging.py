"""Merge jobs: few files of many, when the run jobs are through or enough is there for a full one (domain.md 3.4).

What waits to be merged is a row of `task_files` in the task's MERGE dataset for each run job that finished (its `position` is
the PandaID), written when that job ends; from there on it goes through jobs like any other input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.database import Row, Transaction
from core.states import JobStatus
from core.taskbuffer.submission import NewFile, NewJob
from core.taskengine.dialects.definition import Filling, MergeStep, TaskDefinition
from core.taskengine.dialects.merging import merge_text
from core.taskengine.making.job import Library, common

MERGE_PRIORITY = 5000
"""domain.md 2.6."""
PROCESSING_TYPE = "pmerge"
SPECIAL_HANDLING = "merge"

# ix_task_datasets_task, ix_task_files_status: in its order, so that no more is read than is taken
_WAITING = """
SELECT f.* FROM task_datasets d CROSS JOIN LATERAL (
    SELECT file_id, position AS panda_id, size_bytes, n_events, attempt_nr, panda_id AS last_panda_id, ram_mb
    FROM task_files
    WHERE jedi_task_id = %(id)s AND status = 'ready' AND dataset_id = d.dataset_id
    ORDER BY position LIMIT %(limit)s) AS f
WHERE d.jedi_task_id = %(id)s AND d.type = 'merge_input'
"""
# ix_job_files_job
_MADE = """
SELECT panda_id, type, lfn, dataset, scope, file_id, guid, size_bytes, checksum, endpoint FROM job_files
WHERE panda_id = ANY(%(panda_ids)s) AND type IN ('output', 'log') AND status = 'ready' AND file_id IS NOT NULL
ORDER BY panda_id, row_id
"""


# ix_task_datasets_task, ix_task_files_status
_TO_RUN = """
SELECT 1 FROM task_datasets d WHERE d.jedi_task_id = %(id)s AND (d.status IN ('mutable', 'toupdate') OR d.is_master AND
    (SELECT count(*) FROM unnest(ARRAY['ready', 'running', 'staging']) AS s (status) CROSS JOIN LATERAL (
         SELECT 1 FROM task_files f
         WHERE f.jedi_task_id = %(id)s AND f.status = s.status AND f.dataset_id = d.dataset_id
         ORDER BY f.position LIMIT 1) AS first) > 0)
LIMIT 1
"""


@dataclass
class Part:
    """What one run job made: its row in the MERGE dataset, and its files by the name of their dataset."""

    file_id: int
    panda_id: int
    size_bytes: int
    n_events: int
    attempt_nr: int
    last_panda_id: int | None
    ram_mb: int
    """Memory that its merge job needs at least, because one ran out of it; 0 = not known."""
    files: dict[str, Row] = field(default_factory=dict)
    endpoint: str = ""


@dataclass(frozen=True)
class MergeJob:
    """A merge job to be inserted, and the rows that it takes."""

    job: NewJob
    file_ids: list[int]


def is_all_run(transaction: Transaction, task_id: int) -> bool:
    """Whether no run job is live or will be made: nothing more will come to be merged."""
    return transaction.fetch_one(_TO_RUN, {"id": task_id}) is None


def merge_jobs(
    transaction: Transaction,
    task: Row,
    definition: TaskDefinition,
    library: Library | None,
    *,
    is_last: bool,
    limit: int,
) -> list[MergeJob]:
    """Up to `limit` merge jobs of what waits; a job that is not full is made only when `is_last`: nothing else will come."""
    step = definition.merge
    if step is None:
        return []
    task_id = task["jedi_task_id"]
    parts = _waiting(transaction, task_id, limit * step.max_files)
    groups = list(_groups(parts, step, is_last=is_last))[:limit]
    if not groups:
        return []
    names = {stream.name: stream.dataset for stream in definition.outputs}
    return [
        MergeJob(
            _job(task, definition, step, group, names, library, task["next_serial"] + number),
            [part.file_id for part in group],
        )
        for number, group in enumerate(groups)
    ]


def _waiting(transaction: Transaction, task_id: int, limit: int) -> list[Part]:
    rows = transaction.fetch(_WAITING, {"id": task_id, "limit": limit})
    parts = {
        row["panda_id"]: Part(
            row["file_id"],
            row["panda_id"],
            row["size_bytes"] or 0,
            row["n_events"],
            row["attempt_nr"],
            row["last_panda_id"],
            row["ram_mb"],
        )
        for row in rows
    }
    for made in transaction.fetch(_MADE, {"panda_ids": list(parts)}):
        part = parts[made["panda_id"]]
        part.files[made["dataset"].rstrip("/")] = made
        if made["type"] == "output":
            part.endpoint = made["endpoint"]
    return list(parts.values())


def _groups(parts: Sequence[Part], step: MergeStep, *, is_last: bool) -> Iterator[list[Part]]:
    """Parts at the same storage, up to the limits of a merge job, in order of their run jobs."""
    by_endpoint: dict[str, list[Part]] = {}
    for part in parts:
        by_endpoint.setdefault(part.endpoint, []).append(part)
    for here in by_endpoint.values():
        group: list[Part] = []
        for part in here:
            if group and not _fits(step, [*group, part]):
                yield group
                group = []
            group.append(part)
        if group and (is_last or len(group) >= step.max_files):
            yield group


def _fits(step: MergeStep, group: Sequence[Part]) -> bool:
    if len(group) > step.max_files or sum(part.size_bytes for part in group) > step.max_bytes:
        return False
    return step.max_events is None or sum(part.n_events for part in group) <= step.max_events


def _job(
    task: Row,
    definition: TaskDefinition,
    step: MergeStep,
    group: Sequence[Part],
    names: dict[str, str],
    library: Library | None,
    serial: int,
) -> NewJob:
    task_id = task["jedi_task_id"]
    filling = Filling(task_id=task_id, serial=serial, source_url=definition.source_url)
    inputs, outputs, merges = _merged(step, group, names, filling)
    for log in (stream for stream in definition.outputs if stream.kind == "log"):
        lfn, local = log.names(filling)
        outputs.append(NewFile("log", lfn, local, log.dataset, log.scope))
    if library is not None and library.file is not None:
        inputs.append(_input({**library.file, "dataset": library.dataset, "scope": library.scope}))
    values = {
        "SURL": definition.source_url,
        "LIB": library.lfn if library is not None else "",
        "JEDITASKID": str(task_id),
    }
    attempt_nr = max(part.attempt_nr for part in group) + 1
    facts = {
        **common(task, definition),
        "processing_type": PROCESSING_TYPE,
        "current_priority": MERGE_PRIORITY,
        "special_handling": ",".join(filter(None, (definition.special_handling, SPECIAL_HANDLING))),
    }
    return NewJob(
        transformation=step.transformation,
        job_parameters=merge_text(step, values, merges),
        job_name=f"{definition.base_name}.merge.{serial:06d}",
        job_index=serial,
        parent_id=next((part.last_panda_id for part in group if part.last_panda_id), None),
        attempt_nr=attempt_nr,
        max_attempt=max(definition.max_attempt, attempt_nr),
        core_count=1,
        min_ram_mb=max(part.ram_mb for part in group),
        destination_dataset=next((file.dataset for file in outputs if file.type == "output"), ""),
        files=[*inputs, *outputs],
        n_input_data_files=len(inputs),
        initial_status=JobStatus.DEFINED,
        **facts,
    )


def _merged(
    step: MergeStep, group: Sequence[Part], names: dict[str, str], filling: Filling
) -> tuple[list[NewFile], list[NewFile], dict[str, tuple[list[str], str]]]:
    """What is read, what is made of it, and for the command by stream: the names read and the name made."""
    inputs: list[NewFile] = []
    outputs: list[NewFile] = []
    merges: dict[str, tuple[list[str], str]] = {}
    for stream in step.streams:
        made = [part.files[names[stream.source]] for part in group if names.get(stream.source, "") in part.files]
        if not made:
            continue  # outputs that need not be made, and were not
        lfn, local = stream.target.names(filling)
        inputs += [_input(row) for row in made]
        outputs.append(NewFile("output", lfn, local, stream.target.dataset, stream.target.scope))
        merges[stream.source] = ([row["lfn"] for row in made], local)
    return inputs, outputs, merges


def _input(row: Row) -> NewFile:
    place = (row["lfn"], row["lfn"], row["dataset"].rstrip("/"), row["scope"])
    return NewFile("input", *place, row["file_id"], row["guid"], row["size_bytes"], row["checksum"])
