"""Statements about the input of a task: not read yet, being listed, made by a parent, on tape, missing."""

from __future__ import annotations

from core.states import FINAL_TASK_STATUSES, GENERATING_TASK_STATUSES, TaskStatus
from core.taskengine.parents import PARENTS_THAT_STOP
from core.why.reason import Reason, Responsible
from core.why.resting import unless_it_rests
from core.why.tape import staging_words
from core.why.task_case import MOST_FILES, TaskCase
from core.wording import are, counted, moment, named

_WITHOUT_TAPE = "retry it with disable_staging_mode to leave out what is still on tape: POST /api/v1/task/retry"
_RETRIED_IN = (TaskStatus.RUNNING, TaskStatus.SCOUTING, TaskStatus.PENDING)
"""Where a retry is taken while a task is under way."""
_HELD_BY_PEOPLE = (TaskStatus.PAUSED, TaskStatus.EXHAUSTED)
_BEING_READ = (TaskStatus.REGISTERED, TaskStatus.TOINCEXEC, TaskStatus.REREFINE, TaskStatus.TORETRY)


class IsNotParsed:
    """Accepted, and its definition not read yet."""

    id = "not_parsed"
    sentence = "its definition is read, or read again, next"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look at the status."""
        if case.status not in _BEING_READ:
            return None
        reason = Reason(
            self.id,
            Responsible.SYSTEM,
            clause="its definition has not been read yet",
            sentence=f"It was submitted at {moment(case.task['creation_time'], case.as_of)} and is {case.status}: its "
            "definition is read next.",
            next_step="an agent (feeder) reads it within seconds, then lists its input",
        )
        return unless_it_rests(reason, case.transaction, "feeder", case.as_of)


class WaitsForParent:
    """Another task makes its input."""

    id = "waits_for_parent"
    sentence = "its parent task has not made its input yet"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look for the marker of a parent that works, and whether anything came from it."""
        parent = case.parent
        if not case.is_following or parent is None or case.n_active or case.status in FINAL_TASK_STATUSES:
            return None
        parent_id, status = parent["jedi_task_id"], parent["status"]
        done = f"{parent['n_files_finished']:,} of {counted(parent['n_files'], 'file')} done"
        root = case.waiting_ancestors[-1]
        root_id, is_held = root["jedi_task_id"], root["status"] in _HELD_BY_PEOPLE
        between = f" That waits in turn, at the end of the chain for task {root_id}, which is {root['status']}."
        is_over, fails = status in FINAL_TASK_STATUSES, status in PARENTS_THAT_STOP
        goes_on = "it goes on when the parent has ended; when the parent fails it fails too"
        reason = Reason(
            self.id,
            Responsible.USER if is_held or fails else Responsible.SYSTEM,
            clause=f"its parent, task {parent_id}, is {status}",
            sentence=f"It waits for its parent, task {parent_id}, which is {status} ({done})."
            + (between if root is not parent else ""),
            next_step="an agent (releaser) ends it within seconds, as its parent ended badly"
            if fails
            else "an agent (releaser) reads within seconds what its parent made"
            if is_over
            else goes_on,
            advice=(f"see why that one does not run: panda why {root_id}",),
            numbers={
                **{"parent": parent_id, "parent_status": status, "parent_files": parent["n_files"]},
                **{"parent_files_finished": parent["n_files_finished"]},
                **{"root": root_id, "root_status": root["status"]},
            },
        )
        return unless_it_rests(reason, case.transaction, "releaser", case.as_of)


class WaitsForInput:
    """It waits for datasets, or follows one that is open, and has no job now."""

    id = "waits_for_input"
    sentence = "its input is not there yet, or still grows"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look for the marker that a parent would have too."""
        if not case.is_following or case.task["parent_tid"] is not None or case.n_active:
            return None
        if case.status not in (*GENERATING_TASK_STATUSES, TaskStatus.PENDING):
            return None
        done = f"{case.task['n_files_finished']:,} of {counted(case.task['n_files'], 'file')} done"
        if case.count_files("ready"):
            return None
        waits_for = case.task["error_dialog"] or f"waiting for further files: its dataset is open ({done})"
        reason = Reason(
            self.id,
            Responsible.DATA,
            clause=waits_for,
            sentence=f"It has no work now: {waits_for}.",
            next_step="an agent (input_follower) looks every few seconds and makes jobs of what has come",
            advice=(
                "register the dataset, or add files to it: POST /api/control/datasets and /datasets/files",
                "close it when no more come, and the task ends: POST /api/control/datasets/status",
            ),
            numbers={"files": case.task["n_files"], "files_finished": case.task["n_files_finished"]},
        )
        return unless_it_rests(reason, case.transaction, "input_follower", case.as_of)


class WaitsForTape:
    """Its input is being staged: all of it, or what no job was made of yet."""

    id = "waits_for_tape"
    sentence = "its input is being brought from tape"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look at the status, or for files that are held while no job is active; then at who brings them."""
        held = 0 if case.status == TaskStatus.STAGING else case.count_files("staging")
        if case.status != TaskStatus.STAGING and (not held or case.n_active or case.status in FINAL_TASK_STATUSES):
            return None
        if case.status in _HELD_BY_PEOPLE:
            return None
        requests = case.staging_requests
        files = sum(row["n_files"] for row in requests)
        staged = sum(row["n_staged"] for row in requests)
        failed = sum(row["n_failed"] for row in requests)
        told = [staging_words(row, case.as_of) for row in requests]
        trouble = [row["trouble"] for row in requests if row["trouble"]]
        first = requests[0]["request_id"] if requests else 0
        reason = Reason(
            self.id,
            Responsible.OPERATORS if trouble else Responsible.DATA,
            clause=f"its input is being brought from tape{f': {trouble[0]}' if trouble else ''}",
            sentence=f"Its input is being brought from tape: {staged:,} of {counted(files, 'file')} have arrived"
            + (f", {failed:,} could not be brought" if failed else "")
            + ("; " if told else "")
            + "; ".join(told)
            + ".",
            next_step="an agent (data_carousel) brings the files; jobs are made of the first ones as soon as they are on disk",
            advice=(
                "see `panda staging` for all that is brought, and what is slow",
                f"operators: another tape, another disk, or at once: POST /api/v1/data_carousel/... (request {first})",
                *(("resume it to go on at once with what has arrived",) if case.status == TaskStatus.STAGING else ()),
                *((_WITHOUT_TAPE,) if case.status in _RETRIED_IN else ()),
            ),
            numbers={
                "files": files,
                "staged": staged,
                "failed": failed,
                "requests": [row["request_id"] for row in requests],
            },
        )
        return unless_it_rests(reason, case.transaction, "data_carousel", case.as_of)


class InputIsBeingListed:
    """The feeder reads its datasets page by page."""

    id = "being_listed"
    sentence = "its input is being listed"

    def reason(self, case: TaskCase) -> Reason | None:
        """Compare what was fed with what the catalogue holds, of a task that is not beyond it."""
        if case.status != TaskStatus.DEFINED:
            return None
        fed = sum(int(row["n_files"]) for row in case.inputs)
        there = case.catalogue_count([row["name"] for row in case.inputs]) if case.inputs else 0
        reason = Reason(
            self.id,
            Responsible.SYSTEM,
            clause="its input is being listed",
            sentence=f"Its input is being listed: {fed:,} of {counted(max(fed, there), 'file')} so far.",
            next_step="jobs are made when everything is listed",
            numbers={"listed": fed, "files": max(fed, there)},
        )
        return unless_it_rests(reason, case.transaction, "feeder", case.as_of)


class InputIsMissing:
    """Files that the catalogue or the submitter named are nowhere."""

    id = "input_missing"
    sentence = "input is missing"

    def reason(self, case: TaskCase) -> Reason | None:
        """Count files that are missing."""
        if case.status in FINAL_TASK_STATUSES:
            return None
        missing = case.count_files("missing")
        if not missing:
            return None
        names, more = case.names_of_files("missing"), "+" if missing >= MOST_FILES else ""
        clause = f"{are(missing, 'input file')} missing: {named(names, missing)}"
        return Reason(
            self.id,
            Responsible.DATA,
            clause=clause,
            sentence=f"{missing:,}{more} of its {counted(case.task['n_files'], 'input file')} "
            f"{'is' if missing == 1 else 'are'} missing: {named(names, missing)}.",
            next_step="jobs are made of the rest; missing files are looked up again when the input is reloaded",
            advice=("register the files, then reload the input: POST /api/v1/task/reload_input",),
            numbers={"missing": missing, "files": case.task["n_files"]},
        )
