"""The build job that makes the library of a task's run jobs, and what becomes of those when it has ended.

Run jobs wait as `pending`; they are released or cancelled by an agent and not in the transaction that ends the build
job: that one holds jobs already, and locks are taken in order of PandaID.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.database import Row, Transaction
from core.states import JobStatus
from core.taskbuffer.endings import Ending, JobError, end_jobs
from core.taskbuffer.submission import NewFile, NewJob
from core.taskbuffer.transitions import advance_jobs
from core.taskengine.dialects.definition import BuildStep, TaskDefinition
from core.taskengine.dialects.items import scope_of
from core.taskengine.dialects.quoting import QuoteState
from core.taskengine.making.job import Library, common
from core.taskengine.making.streams import library_dataset

BUILD_PRIORITY = 2000
"""domain.md 2.6."""
UPSTREAM_FAILED = "upstream job failed"
"""server-api.md 5.2."""
_BATCH = 2000
_PLACEHOLDER = re.compile(r"\$\{(IN|OUT|LIB|SURL)\}|\$\{?JEDITASKID\}?")

# datasets_name_key, uq_files_dataset_lfn, primary key of replicas; a library without a copy is lost
_MADE = """
SELECT f.file_id, f.lfn, f.guid, f.size_bytes, f.checksum FROM files f JOIN datasets d USING (dataset_id)
WHERE d.name = %(dataset)s AND f.lfn LIKE '%%.lib.tgz' AND EXISTS (SELECT 1 FROM replicas r WHERE r.file_id = f.file_id)
ORDER BY f.file_id DESC LIMIT 1
"""
# ix_jobs_live_task, ix_job_files_job
_COMING = """
SELECT f.lfn FROM jobs_live j JOIN job_files f USING (panda_id)
WHERE j.jedi_task_id = %(task)s AND j.job_index = 0 AND f.type = 'lib' ORDER BY j.panda_id DESC LIMIT 1
"""
# ix_job_files_task
_BUILDS = "SELECT count(*) AS n FROM job_files WHERE jedi_task_id = %(task)s AND type = 'lib'"


def library_of(transaction: Transaction, task: Row, definition: TaskDefinition) -> tuple[Library | None, NewJob | None]:
    """The library that run jobs of a task need, and the build job to insert before them if it must still be made.

    (None, None) when the task has nothing to build.
    """
    if definition.build is None:
        return None, None
    task_id = task["jedi_task_id"]
    dataset, scope = library_dataset(definition, task_id), scope_of(definition.base_name)
    made = transaction.fetch_one(_MADE, {"dataset": dataset})
    if made is not None:
        return Library(made["lfn"], dataset, scope, made), None
    coming = transaction.fetch_one(_COMING, {"task": task_id})
    if coming is not None:
        return Library(coming["lfn"], dataset, scope), None
    count = transaction.fetch(_BUILDS, {"task": task_id})[0]["n"]
    library = Library(f"{definition.base_name}.{task_id}.{count + 1}.lib.tgz", dataset, scope)
    return library, _build_job(task, definition, definition.build, library, attempt_nr=count + 1)


# ix_job_files_task, primary key of jobs_archive
_LAST_BUILD = """
SELECT j.job_status FROM job_files f JOIN jobs_archive j USING (panda_id)
WHERE f.jedi_task_id = %(task)s AND f.type = 'lib' ORDER BY j.panda_id DESC LIMIT 1
"""


def is_build_hopeless(transaction: Transaction, task_id: int) -> bool:
    """Whether the last build job of a task ended in a way that another would not mend; closed ones were only moved."""
    last = transaction.fetch_one(_LAST_BUILD, {"task": task_id})
    return last is not None and last["job_status"] != JobStatus.CLOSED


def _build_job(task: Row, definition: TaskDefinition, build: BuildStep, library: Library, *, attempt_nr: int) -> NewJob:
    log = library.lfn.removesuffix(".lib.tgz") + ".lib.log.tgz"
    facts = common(task, definition)
    facts.update(prod_source_label=build.label, current_priority=BUILD_PRIORITY)
    return NewJob(
        transformation=build.transformation,
        job_parameters=build_text(build, library.lfn, definition.source_url, task["jedi_task_id"]),
        job_name=f"{definition.base_name}.build",
        job_index=0,
        attempt_nr=attempt_nr,
        max_attempt=attempt_nr,
        core_count=1,
        destination_dataset=library.dataset,
        files=[
            NewFile("lib", library.lfn, library.lfn, library.dataset, library.scope),
            NewFile("log", log, log, library.dataset, library.scope),
        ],
        **facts,
    )


def build_text(build: BuildStep, library: str, source_url: str, task_id: int) -> str:
    """The argument string of a build job: ${IN} is the source archive, ${OUT} the library."""
    values = {"IN": build.archive, "OUT": library, "LIB": library, "SURL": source_url}
    state, parts, position = QuoteState(), [], 0
    for found in _PLACEHOLDER.finditer(build.text):
        literal = build.text[position : found.start()]
        state.read(literal)
        parts += [literal, state.protect(values[found[1]] if found[1] else str(task_id))]
        position = found.end()
    return "".join([*parts, build.text[position:]]).strip()


# ix_jobs_live_unready, ix_jobs_live_task
_WAITING = """
SELECT j.panda_id, j.jedi_task_id FROM jobs_live j
WHERE j.job_status = 'pending' AND j.jedi_task_id IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM jobs_live b WHERE b.jedi_task_id = j.jedi_task_id AND b.job_index = 0)
ORDER BY j.panda_id LIMIT %(batch)s FOR UPDATE OF j SKIP LOCKED
"""
# ix_job_files_job, uq_files_dataset_lfn: the library each of them needs, if its build job stored it
_RESOLVE = """
UPDATE job_files w SET file_id = f.file_id, guid = f.guid, size_bytes = f.size_bytes, checksum = f.checksum
FROM datasets d JOIN files f USING (dataset_id)
WHERE w.panda_id = ANY(%(panda_ids)s) AND w.type = 'input' AND w.file_id IS NULL AND d.kind = 'lib'
  AND d.name = w.dataset AND f.lfn = w.lfn
RETURNING w.panda_id
"""


def jobs_behind_builds(transaction: Transaction) -> list[list[Row]]:
    """Run jobs that waited for a build job that has ended, locked, task by task: panda_id, jedi_task_id."""
    of_tasks: dict[int, list[Row]] = {}
    for row in transaction.fetch(_WAITING, {"batch": _BATCH}):
        of_tasks.setdefault(row["jedi_task_id"], []).append(row)
    return list(of_tasks.values())


def release_jobs_behind_builds(transaction: Transaction, of_tasks: Sequence[list[Row]]) -> int:
    """Let jobs of `jobs_behind_builds` go whose build job finished, cancel the others; returns how many moved."""
    found = sorted((row for jobs in of_tasks for row in jobs), key=lambda row: int(row["panda_id"]))
    waiting = [row["panda_id"] for row in found]
    resolved = {row["panda_id"] for row in transaction.fetch(_RESOLVE, {"panda_ids": waiting})}
    go = [panda_id for panda_id in waiting if panda_id in resolved]
    moved = advance_jobs(transaction, go, JobStatus.DEFINED, reason="the build job made the library")
    left = [row for row in found if row["panda_id"] not in resolved]
    hopeless = {task_id: is_build_hopeless(transaction, task_id) for task_id in {row["jedi_task_id"] for row in left}}
    ended = end_jobs(transaction, [_ending(row, hopeless[row["jedi_task_id"]]) for row in left])
    return len(moved) + len(ended)


def _ending(job: Row, is_hopeless: bool) -> Ending:
    """Jobs of a build job that was only moved give their input back; it will be built again."""
    error = JobError("task_buffer", 100, UPSTREAM_FAILED)
    if is_hopeless:
        return Ending(job["panda_id"], JobStatus.CANCELLED, UPSTREAM_FAILED, error=error)
    return Ending(job["panda_id"], JobStatus.CLOSED, "the build job was moved", "toreassign")
