"""Jobs submitted one by one, without a task: their inputs are looked up in the catalogue, their log is added."""

from __future__ import annotations

from collections.abc import Collection

from core.accounts.admission import check_submission
from core.accounts.priorities import group_offset
from core.database import Database, Transaction
from core.dataservice.catalogue import dataset_files, ensure_dataset
from core.errors import InvalidInput
from core.queues import check_queue_exists
from core.shares.tagging import ShareFacts, shares_of
from core.taskbuffer.submission import NewFile, NewJob, check_job, insert_jobs


def submit_jobs(
    database: Database,
    jobs: list[NewJob],
    *,
    production_groups: Collection[str] = (),
    highest_priority: int | None = None,
) -> list[int]:
    """Check and insert jobs and return their PandaIDs in order. Raises InvalidInput, UnknownObject, and NotAllowed
    for a banned account or one beyond its quota; nothing is kept then.

    `production_groups`: working groups whose production role the submitter has; what those privileged get more is added.
    `highest_priority`: what the submitter may ask for; who asks for more gets that.
    """
    for position, job in enumerate(jobs):
        if not any(file.type == "log" for file in job.files):
            name = "job.$PANDAID.log.tgz"
            job.files.append(NewFile("log", name, name, dataset=f"user.{job.prod_user_name}.logs"))
        for file in job.files:
            if file.type in ("output", "log") and not file.dataset:
                file.dataset = job.destination_dataset or f"user.{job.prod_user_name}.outputs"
            file.scope = file.scope or f"user.{job.prod_user_name}"
        check_job(job, f"jobs.{position}.")
        if highest_priority is not None:
            job.current_priority = min(job.current_priority, highest_priority)
    with database.transaction() as transaction:
        for user_name, working_group, label in sorted({_submitter(job) for job in jobs}):
            check_submission(transaction, user_name=user_name, working_group=working_group, label=label)
        _add_group_offsets(transaction, jobs, production_groups)
        catalogue: dict[str, dict[str, dict[str, object]]] = {}
        for position, job in enumerate(jobs):
            if job.computing_site:
                check_queue_exists(transaction, job.computing_site, f"jobs.{position}.computingSite")
            _resolve_inputs(transaction, job, f"jobs.{position}.", catalogue)
        _ensure_output_datasets(transaction, jobs)
        for job, share in zip(jobs, shares_of(transaction, [facts_of_job(job) for job in jobs]), strict=True):
            job.gshare = share
        return insert_jobs(transaction, jobs)


def _add_group_offsets(transaction: Transaction, jobs: list[NewJob], groups: Collection[str]) -> None:
    kinds = {(job.working_group, job.prod_source_label) for job in jobs if job.working_group in groups}
    offsets = {kind: group_offset(transaction, *kind) for kind in sorted(kinds)}
    for job in jobs:
        job.current_priority += offsets.get((job.working_group, job.prod_source_label), 0)


def facts_of_job(job: NewJob) -> ShareFacts:
    """What decides about the share of a job without a task."""
    return ShareFacts(
        vo=job.vo,
        prod_source_label=job.prod_source_label,
        working_group=job.working_group,
        processing_type=job.processing_type,
        trans_path=job.transformation,
    )


def _submitter(job: NewJob) -> tuple[str, str, str]:
    return job.prod_user_name, job.working_group, job.prod_source_label


def _resolve_inputs(
    transaction: Transaction, job: NewJob, position: str, catalogue: dict[str, dict[str, dict[str, object]]]
) -> None:
    for number, file in enumerate(job.files):
        if file.type not in ("input", "sandbox"):
            continue
        where = f"{position}Files.{number}."
        if file.dataset not in catalogue:
            rows = dataset_files(transaction, file.dataset, f"{where}dataset")
            catalogue[file.dataset] = {row["lfn"]: row for row in rows}
        row = catalogue[file.dataset].get(file.lfn)
        if row is None:
            raise InvalidInput(
                f"dataset {file.dataset!r} holds no file {file.lfn[:100]!r}",
                field=f"{where}lfn",
                remedy="register it with POST /api/control/datasets",
            )
        file.file_id, file.guid = int(str(row["file_id"])), str(row["guid"])
        file.size_bytes, file.checksum, file.scope = (
            int(str(row["size_bytes"])),
            str(row["checksum"]),
            str(row["scope"]),
        )


def _ensure_output_datasets(transaction: Transaction, jobs: list[NewJob]) -> None:
    wanted: dict[str, tuple[str, str, NewJob]] = {}
    for position, job in enumerate(jobs):
        for number, file in enumerate(job.files):
            if file.type in ("output", "log"):
                wanted.setdefault(file.dataset, (f"jobs.{position}.Files.{number}.dataset", file.type, job))
    # in order of name, so that two submissions that share datasets cannot deadlock
    for dataset, (field_name, kind, job) in sorted(wanted.items(), key=lambda item: item[0]):
        ensure_dataset(
            transaction,
            name=dataset,
            scope=f"user.{job.prod_user_name}",
            kind=kind,
            owner=job.prod_user_name,
            vo=job.vo,
            jedi_task_id=None,
            field_name=field_name,
        )
