"""Makes the preprocessing job of a task, much as a build job is made (core.taskengine.making.building). Knows no status.

It has no number (jobs of the real work count from 1), the flag PREPROCESSING in `special_handling`, and a log.
"""

from __future__ import annotations

from dataclasses import replace

from core.database import Row, Transaction
from core.dataservice.catalogue import ensure_dataset
from core.queues import check_queue_exists
from core.taskbuffer.submission import NewFile, NewJob, check_job, insert_jobs
from core.taskengine.dialects.definition import BuildStep, PreprocessStep, TaskDefinition
from core.taskengine.dialects.house import fill_in
from core.taskengine.dialects.items import scope_of
from core.taskengine.dialects.preprocessing import REPORT, SPEC
from core.taskengine.making.building import BUILD_PRIORITY, build_text
from core.taskengine.making.job import common
from core.taskengine.making.ready_input import whole_datasets

PREPROCESSING = "preprocess"
"""The flag by which people and programs tell such a job from others."""

# primary keys
_GIVE = """
UPDATE task_files SET status = 'running', attempt_nr = attempt_nr + 1, panda_id = %(panda_id)s WHERE file_id = %(file_id)s
"""
_COUNT = "UPDATE tasks SET n_jobs = n_jobs + 1, frozen_time = NULL WHERE jedi_task_id = %(task_id)s"


def make_preprocessing_job(
    transaction: Transaction, task: Row, definition: TaskDefinition, step: PreprocessStep, file: Row
) -> int:
    """Insert the next job for the pseudo `file`, which is running under it from now on; returns its PandaID.

    It needs what errors of memory have raised the file to.

    Raises InvalidInput, UnknownObject or NotAllowed naming the parameter that makes no job.
    """
    if definition.site:
        check_queue_exists(transaction, definition.site, "site")
    attempt_nr = file["attempt_nr"] + 1
    job = replace(_job(transaction, task, definition, step, attempt_nr), min_ram_mb=file["ram_mb"])
    check_job(job, f"{SPEC}.")
    [panda_id] = insert_jobs(transaction, [job])
    transaction.execute(_GIVE, {"file_id": file["file_id"], "panda_id": panda_id})
    transaction.execute(_COUNT, {"task_id": task["jedi_task_id"]})
    return panda_id


def _job(
    transaction: Transaction, task: Row, definition: TaskDefinition, step: PreprocessStep, attempt_nr: int
) -> NewJob:
    task_id, scope = task["jedi_task_id"], scope_of(definition.base_name)
    dataset = f"{definition.base_name}.{task_id}.pp_log"
    ensure_dataset(
        transaction,
        name=dataset,
        scope=scope,
        kind="log",
        owner=task["user_name"],
        vo=task["vo"],
        jedi_task_id=task_id,
        field_name="taskName",
    )
    log = f"{definition.base_name}.{task_id}.{attempt_nr}.pp.log.tgz"
    facts = common(task, definition)
    flags = ",".join(filter(None, (definition.special_handling, PREPROCESSING)))
    facts.update(prod_source_label=step.label, current_priority=BUILD_PRIORITY, special_handling=flags)
    return NewJob(
        transformation=step.transformation,
        job_parameters=_text(definition, step, task_id),
        job_name=f"{definition.base_name}.preprocess",
        job_index=0,
        attempt_nr=attempt_nr,
        max_attempt=max(definition.max_attempt, attempt_nr),
        core_count=1,
        destination_dataset=dataset,
        files=[*_sandbox(transaction, definition, step), NewFile("log", log, log, dataset, scope)],
        **facts,
    )


def _text(definition: TaskDefinition, step: PreprocessStep, task_id: int) -> str:
    if step.is_shell:
        return fill_in(step.text, [], [REPORT], 1)
    build = BuildStep(step.label, step.archive, step.text, step.transformation)
    return build_text(build, "", definition.source_url, task_id)


def _sandbox(transaction: Transaction, definition: TaskDefinition, step: PreprocessStep) -> list[NewFile]:
    """The user's own files, where they travel as a dataset. Raises UnknownObject."""
    return [
        NewFile(
            *("sandbox", file.lfn, file.lfn, file.dataset.rstrip("/"), file.scope),
            *(file.catalogue_file_id, file.guid, file.size_bytes, file.checksum),
        )
        for stream in definition.inputs
        if step.is_shell and stream.kind == "sandbox"
        for file in whole_datasets(transaction, stream)
    ]
