"""Statements about tasks whose definition a first job works out: not made yet, under way, its report not read yet."""

from __future__ import annotations

from dataclasses import replace

from core.database import Row
from core.states import FINAL_TASK_STATUSES, ON_WORKER_NODE, TaskStatus
from core.task_ends import is_set
from core.taskengine.preprocessing_marker import pseudo_file
from core.why.job_case import job_row_of
from core.why.job_statements import WAITING
from core.why.reason import Reason, Responsible, true_reasons
from core.why.resting import unless_it_rests
from core.why.task_case import TaskCase

_AGENT = "preprocessor"
_THEN = "when it has finished, what it found becomes the definition of the task, and jobs are made of that"


class FirstJobIsToBeMade:
    """Its definition is to be worked out, and no job does it yet."""

    id = "to_be_preprocessed"
    sentence = "a job that works out its definition is to be made"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look at the status, and whether a parent is waited for first."""
        if case.status != TaskStatus.TOPREPROCESS:
            return None
        parent = case.parent
        if parent is not None and parent["status"] not in FINAL_TASK_STATUSES and not _goes_ahead(case):
            parent_id, status = parent["jedi_task_id"], parent["status"]
            return Reason(
                self.id,
                Responsible.SYSTEM,
                clause=f"its parent, task {parent_id}, is {status}",
                sentence=f"A first job is to work out its definition, when its parent, task {parent_id}, has ended: "
                f"that is {status}.",
                next_step="an agent (preprocessor) makes the job then",
                advice=(f"see why the parent does not end: panda why {parent_id}",),
                numbers={"parent": parent_id, "parent_status": status},
            )
        reason = Reason(
            self.id,
            Responsible.SYSTEM,
            clause="its definition is to be worked out",
            sentence="A first job is to work out its definition (preproSpec).",
            next_step="an agent (preprocessor) makes that job within seconds",
        )
        return unless_it_rests(reason, case.transaction, _AGENT, case.as_of)


class DefinitionIsWorkedOut:
    """A job does it, or has done it."""

    id = "preprocessing"
    sentence = "a job works out its definition"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look for the job, and what that waits for."""
        if case.status != TaskStatus.PREPROCESSING:
            return None
        file = pseudo_file(case.transaction, case.task_id)
        panda_id = file["panda_id"] if file is not None else None
        job = job_row_of(case.transaction, panda_id) if panda_id is not None else None
        if file is None or job is None or file["status"] != "running":
            return self._next(case, file, job)
        attempt = f"attempt {file['attempt_nr']} of {file['max_attempt']}"
        numbers = {"panda_id": panda_id, "job_status": job["job_status"], "attempt_nr": file["attempt_nr"]}
        found = next(true_reasons(WAITING, case.waiting_job), None) if case.waiting_job is not None else None
        said = f"Job {panda_id} works out its definition ({attempt}) and is {job['job_status']}"
        if found is not None:
            return replace(
                found,
                id=self.id,
                clause=f"job {panda_id} works out its definition: {found.clause}",
                sentence=f"{said}. {found.sentence}",
                numbers={**found.numbers, **numbers},
            )
        where = f" at {job['computing_site']}" if job["job_status"] in ON_WORKER_NODE else ""
        return Reason(
            self.id,
            Responsible.SYSTEM,
            clause=f"job {panda_id} works out its definition",
            sentence=f"{said}{where}.",
            next_step=_THEN,
            advice=(f"see what the job does: panda why {panda_id}",),
            numbers=numbers,
        )

    def _next(self, case: TaskCase, file: Row | None, job: Row | None) -> Reason:
        """No job is under way: its report is read, another is made, or the task is given up."""
        status = file["status"] if file is not None else "gone"
        panda_id = job["panda_id"] if job is not None else None
        step = {
            "finished": ("its first job has finished", "an agent (preprocessor) reads within seconds what it found"),
            "ready": ("its first job is tried again", "an agent (preprocessor) makes the next one within seconds"),
        }.get(status, ("its first job has ended badly", "an agent (preprocessor) breaks the task with the reason"))
        which = f" That was job {panda_id}." if panda_id is not None else ""
        reason = Reason(
            self.id,
            Responsible.SYSTEM,
            clause=step[0],
            sentence=f"{step[0][:1].upper()}{step[0][1:]}.{which}",
            next_step=step[1],
            numbers={"panda_id": panda_id} if panda_id is not None else {},
        )
        return unless_it_rests(reason, case.transaction, _AGENT, case.as_of)


def _goes_ahead(case: TaskCase) -> bool:
    return is_set({**case.task["parameters"], **case.task["split_rule"]}, "noWaitParent")
