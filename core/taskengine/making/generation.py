"""Makes jobs of the input of a task that is ready (domain.md 3.1: JobGenerator). Knows no HTTP and no command.

Whoever calls holds the live jobs of the task if it needs them: new jobs are seen by nobody before the transaction ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.database import Row, Transaction
from core.dataservice.catalogue import dataset_files
from core.errors import InvalidInput
from core.queues import check_queue_exists
from core.states import GENERATING_TASK_STATUSES, TaskStatus
from core.taskbuffer.submission import NewJob, check_job, insert_jobs
from core.taskengine.dialects.definition import InputStream, TaskDefinition
from core.taskengine.dialects.house import check_places
from core.taskengine.dialects.reading import definition_of
from core.taskengine.making.building import library_of
from core.taskengine.making.job import Library, Piece, make_job
from core.taskengine.making.progress import recount
from core.taskengine.making.splitting import Companions, InputFile, check_job_count, cut
from core.taskengine.making.streams import FOLLOWS_PARENT
from core.taskengine.status import change_status, final_status, lock_task

# ix_task_datasets_task, ix_task_files_status; the sum is that of all files before, used or not
_MASTER = """
SELECT * FROM (
    SELECT f.*, d.name AS dataset, d.type AS kind,
           sum(f.n_events) OVER (ORDER BY f.dataset_id, f.position, f.file_id) - f.n_events AS first_event
    FROM task_files f JOIN task_datasets d USING (dataset_id)
    WHERE f.jedi_task_id = %(id)s AND d.jedi_task_id = %(id)s AND d.is_master
) numbered WHERE status = 'ready' ORDER BY dataset_id, position, file_id
"""
# ix_task_datasets_task, ix_task_files_dataset
_COMPANIONS = """
SELECT f.*, d.name AS dataset, 0 AS first_event FROM task_files f JOIN task_datasets d USING (dataset_id)
WHERE d.jedi_task_id = %(id)s AND d.stream = %(stream)s AND d.type = 'input'
ORDER BY f.dataset_id, f.position, f.file_id
"""

# primary key
_GIVE = """
UPDATE task_files f SET status = 'running', attempt_nr = f.attempt_nr + 1, panda_id = v.panda_id
FROM unnest(%(file_ids)s::bigint[], %(panda_ids)s::bigint[]) AS v (file_id, panda_id) WHERE f.file_id = v.file_id
"""
_LEND = """
UPDATE task_files f SET attempt_nr = f.attempt_nr + v.times
FROM unnest(%(file_ids)s::bigint[], %(times)s::bigint[]) AS v (file_id, times) WHERE f.file_id = v.file_id
"""
_LEAVE_OUT = "DELETE FROM task_files WHERE file_id = ANY(%(file_ids)s)"
_COUNT = """
UPDATE tasks SET next_serial = next_serial + %(serials)s, n_jobs = n_jobs + %(jobs)s, n_input_files = (
    SELECT count(DISTINCT f.catalogue_file_id) FROM task_files f JOIN task_datasets d USING (dataset_id)
    WHERE f.jedi_task_id = %(id)s AND d.jedi_task_id = %(id)s AND d.is_master)
WHERE jedi_task_id = %(id)s
"""
# ix_jobs_live_task; ix_task_datasets_task
_IS_IDLE = """
SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM jobs_live WHERE jedi_task_id = %(id)s)
  AND NOT EXISTS (SELECT 1 FROM task_datasets WHERE jedi_task_id = %(id)s AND status = %(follows)s)
"""
# primary key
_PARENT = "SELECT p.status FROM tasks t JOIN tasks p ON p.jedi_task_id = t.parent_tid WHERE t.jedi_task_id = %(id)s"


def generate_jobs(transaction: Transaction, task_id: int) -> list[int]:
    """Make jobs of all master input of a task that is `ready`, by its present parameters; returns their PandaIDs.

    The files become `running` under their job. Build jobs that are needed come first. A task that has neither ready input
    nor live jobs ends as its counts say. Raises InvalidInput, UnknownObject naming the parameter that makes no job.
    """
    task = lock_task(transaction, task_id)
    files = [_input_file(row) for row in transaction.fetch(_MASTER, {"id": task_id})]
    if not files:
        _end_if_idle(transaction, task_id, task["status"])
        return []
    definition = definition_of(task)
    if definition.site:
        check_queue_exists(transaction, definition.site, "site")
    chunks = _chunks(transaction, task, definition, files)
    companions = _companions(transaction, task_id, definition)
    serials = range(task["next_serial"], task["next_serial"] + len(chunks))
    pieces = [
        Piece(serial, chunk, {name: group.take(len(chunk)) for name, group in companions.items()})
        for serial, chunk in zip(serials, chunks, strict=True)
    ]
    if task["next_serial"] == 1:
        sandbox = [file.lfn for piece in pieces[:1] for file in piece.companions.get("SANDBOX", [])]
        data = [file.lfn for file in files if file.catalogue_file_id is not None]
        check_places(definition, data, sandbox)
    library, build = library_of(transaction, task, definition)
    runs = _run_jobs(task, definition, pieces, library)
    panda_ids = insert_jobs(transaction, [*([build] if build else []), *runs])
    _give_files(transaction, panda_ids[-len(runs) :], pieces, companions)
    transaction.execute(_COUNT, {"id": task_id, "serials": len(runs), "jobs": len(panda_ids)})
    recount(transaction, task_id)
    return panda_ids


def _input_file(row: Row) -> InputFile:
    return InputFile(
        file_id=row["file_id"],
        lfn=row["lfn"],
        dataset=row["dataset"],
        scope=row["scope"],
        guid=row["guid"],
        size_bytes=row["size_bytes"],
        checksum=row["checksum"],
        catalogue_file_id=row["catalogue_file_id"],
        position=row["position"],
        n_events=row["n_events"],
        start_event=row["start_event"],
        first_event=int(row["first_event"] or 0),
        attempt_nr=row["attempt_nr"],
        last_panda_id=row["panda_id"],
    )


def _chunks(
    transaction: Transaction, task: Row, definition: TaskDefinition, files: list[InputFile]
) -> list[list[InputFile]]:
    """The pieces; what a limit on the number of jobs leaves over at the beginning is no input of the task."""
    if definition.master.kind == "pseudo_input" and not definition.master.pfns:
        chunks = [[file] for file in files]
    else:
        chunks = cut(files, definition.split)
    most = definition.split.max_jobs
    if most is not None and len(chunks) > most and task["next_serial"] == 1:
        left = [file.file_id for chunk in chunks[most:] for file in chunk]
        transaction.execute(_LEAVE_OUT, {"file_ids": left})
        chunks = chunks[:most]
    check_job_count(len(chunks), definition.split)
    if len(chunks) > 1:
        for output in definition.outputs:
            if not output.has_serial:
                raise InvalidInput(
                    f"{output.template!r} is the same for all {len(chunks)} jobs",
                    field=output.field,
                    remedy="put ${SN} into the name",
                )
    return chunks


def _companions(transaction: Transaction, task_id: int, definition: TaskDefinition) -> Mapping[str, Companions]:
    """The other streams of input, by name."""
    dealt: dict[str, Companions] = {}
    for stream in definition.inputs:
        if stream is definition.master or stream.kind == "pseudo_input":
            continue
        if stream.is_whole:
            files = _whole(transaction, stream)
        else:
            rows = transaction.fetch(_COMPANIONS, {"id": task_id, "stream": stream.name})
            files = [_input_file(row) for row in rows]
        dealt[stream.name] = Companions(stream, files, may_repeat=definition.reuses_on_demand)
    return dealt


def _whole(transaction: Transaction, stream: InputStream) -> list[InputFile]:
    """Datasets that go along with every job as they are at the moment."""
    files = [
        InputFile(
            file_id=0,
            lfn=row["lfn"],
            dataset=name,
            scope=row["scope"],
            guid=row["guid"],
            size_bytes=row["size_bytes"],
            checksum=row["checksum"],
            catalogue_file_id=row["file_id"],
        )
        for name in stream.datasets
        for row in dataset_files(transaction, name, stream.field)
    ]
    if not files:
        raise InvalidInput(
            f"dataset {', '.join(stream.datasets)!r} is empty", field=stream.field, remedy="register files with it"
        )
    return files


def _run_jobs(task: Row, definition: TaskDefinition, pieces: list[Piece], library: Library | None) -> list[NewJob]:
    jobs = [make_job(task, definition, piece, library) for piece in pieces]
    for job in jobs:
        check_job(job, "")
    return jobs


def _give_files(
    transaction: Transaction, panda_ids: list[int], pieces: list[Piece], companions: Mapping[str, Companions]
) -> None:
    given = [
        (file.file_id, panda_id) for panda_id, piece in zip(panda_ids, pieces, strict=True) for file in piece.master
    ]
    transaction.execute(_GIVE, {"file_ids": [pair[0] for pair in given], "panda_ids": [pair[1] for pair in given]})
    lent = {file_id: times for group in companions.values() for file_id, times in group.used.items() if file_id}
    transaction.execute(_LEND, {"file_ids": list(lent), "times": list(lent.values())})


def _end_if_idle(transaction: Transaction, task_id: int, status: str) -> None:
    """A task that was opened again and has nothing to do ends as it had ended."""
    if TaskStatus(status) not in GENERATING_TASK_STATUSES:
        return
    if transaction.fetch_one(_IS_IDLE, {"id": task_id, "follows": FOLLOWS_PARENT}) is None:
        return
    progress = recount(transaction, task_id)
    parent = transaction.fetch_one(_PARENT, {"id": task_id})
    target = final_status(progress.n_files, progress.n_finished, "" if parent is None else parent["status"])
    change_status(transaction, task_id, target, who="task engine", reason="there is nothing left to do")
