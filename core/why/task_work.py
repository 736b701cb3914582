"""Statements about tasks whose jobs are made and run: full lane, scouts, jobs that wait, failures so far."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from core.errors import PandaError
from core.models.errors import primary_error
from core.states import FINAL_JOB_STATUSES, FINAL_TASK_STATUSES, GENERATING_TASK_STATUSES, TaskStatus
from core.taskengine.lanes import full_lane, lane_of
from core.why.job_statements import WAITING
from core.why.reason import Reason, Responsible, true_reasons
from core.why.resting import unless_it_rests
from core.why.task_case import MOST_FILES, MOST_JOBS, TaskCase
from core.wording import are, counted, duration_words


class LaneIsFull:
    """Its share has enough queued; the generator holds back."""

    id = "lane_full"
    sentence = "its share has enough queued of its resource type, so no further jobs are made"

    def reason(self, case: TaskCase) -> Reason | None:
        """Ask what the generator asks, of a task with input left."""
        if case.status not in GENERATING_TASK_STATUSES or not case.count_files("ready"):
            return None
        generation = case.settings.generation
        try:
            key = lane_of(case.task)
        except PandaError:
            return None  # no jobs are made of parameters that cannot be read, however full the lane is
        full = full_lane(case.transaction, key, generation)
        if full is None or not full.holds(case.task):
            return None
        lane, resource_type = full.lane, full.lane.resource_type
        unstarted = lane.queued + lane.waiting
        share = f"share {lane.gshare}" if lane.gshare else "work without a share"
        return Reason(
            self.id,
            Responsible.SYSTEM,
            clause=f"{share} has enough {resource_type} jobs queued",
            sentence=f"{share[:1].upper()}{share[1:]} has {counted(unstarted, f'{resource_type} job')} queued and "
            f"{lane.running:,} running; no further jobs are made beyond {full.limit:,} queued and "
            f"{generation.queued_to_running:g} queued for each that runs, unless their priority is above "
            f"{full.most_urgent}.",
            next_step=f"looked at again every {duration_words(generation.throttled_retry_s)}",
            next_time=case.task["generate_at"],
            advice=("wait, or ask the operators about the share",),
            numbers={
                **{"gshare": lane.gshare, "resource_type": resource_type, "queued": unstarted, "running": lane.running},
                **{"limit": full.limit, "queued_to_running": generation.queued_to_running},
                **{"most_urgent": full.most_urgent, "priority": case.task["current_priority"]},
            },
        )


class IsScouting:
    """A few jobs go first."""

    id = "scouting"
    sentence = "its first jobs measure what the others need"

    def reason(self, case: TaskCase) -> Reason | None:
        """Count scouts, those that ended, and how many more must finish."""
        if case.status != TaskStatus.SCOUTING:
            return None
        total = sum(case.scouts.values())
        ended = sum(count for status, count in case.scouts.items() if status in FINAL_JOB_STATUSES)
        finished, failed = case.scouts.get("finished", 0), case.scouts.get("failed", 0)
        needed = max(1, math.ceil(case.settings.scouts.decide_after * total)) if total else case.settings.scouts.jobs
        missing = max(0, needed - finished)
        waiting = case.waiting_job
        advice = ["skip the scouts: POST /api/v1/task/avalanche"]
        if waiting is not None and not case.n_on_node:
            advice.insert(0, f"see why its scouts do not run: panda why {waiting.panda_id}")
        reason = Reason(
            self.id,
            Responsible.SYSTEM if not failed else Responsible.USER,
            clause=f"{counted(missing, 'scout')} must still finish",
            sentence=f"It scouts: {ended} of {counted(total, 'scout')} ended ({finished} finished, {failed} failed); "
            f"{missing} more must finish before the other jobs are made.",
            next_step="with enough scouts finished the others are made, with what was measured; when too many fail the "
            "task is exhausted or broken",
            advice=tuple(advice),
            numbers={
                **{"scouts": total, "ended": ended, "finished": finished, "failed": failed},
                **{"needed": needed, "missing": missing},
            },
        )
        return unless_it_rests(reason, case.transaction, "scouts", case.as_of)


class JobsRun:
    """Something of it is with pilots."""

    id = "running"
    sentence = "jobs of it run"

    def reason(self, case: TaskCase) -> Reason | None:
        """Count the jobs that pilots have."""
        if not case.n_on_node or case.status in FINAL_TASK_STATUSES:
            return None
        task, on_node = case.task, case.n_on_node
        more = "+" if case.n_active > MOST_JOBS else ""
        done = f"{task['n_files_finished']:,} of {counted(task['n_files'], 'file')} done"
        return Reason(
            self.id,
            Responsible.SYSTEM,
            clause="",
            sentence=f"It runs: {on_node:,}{more} of {counted(case.n_active, 'job')} under way are with pilots; {done}.",
            next_step="the others follow as pilots come free",
            numbers={"on_node": on_node, "jobs_under_way": case.n_active, "files_finished": task["n_files_finished"]},
        )


class JobsWait:
    """What the first job waits for in the state in which most of them wait."""

    id = "jobs_wait"
    sentence = "its jobs wait, for what the first of them waits for"

    def reason(self, case: TaskCase) -> Reason | None:
        """Ask the statements about jobs."""
        job = case.waiting_job
        if job is None or case.status in FINAL_TASK_STATUSES:
            return None
        found = next(true_reasons(WAITING, job), None)
        if found is None:
            return None
        count = int(case.live_jobs[job.status]["count"])
        more = "+" if case.n_active > MOST_JOBS else ""
        of_all = (
            f"{count:,}{more} of {counted(case.n_active, 'job')} under way {'is' if count == 1 else 'are'} {job.status}"
        )
        return replace(
            found,
            clause=f"{of_all}: {found.clause}" if found.clause else of_all,
            sentence=f"{of_all[:1].upper()}{of_all[1:]}. Job {job.panda_id}, the first of them: {found.sentence}",
            numbers={**found.numbers, "panda_id": job.panda_id, "job_status": job.status, "jobs": count},
        )


class JobsAreBeingMade:
    """There is input and nothing holds the generator back."""

    id = "being_made"
    sentence = "jobs are being made of its input"

    def reason(self, case: TaskCase) -> Reason | None:
        """Count the input that is ready."""
        if case.status not in GENERATING_TASK_STATUSES:
            return None
        ready = case.count_files("ready")
        if not ready or case.task["generate_at"] is None:
            return None
        more = "+" if ready >= MOST_FILES else ""
        reason = Reason(
            self.id,
            Responsible.SYSTEM,
            clause="jobs are being made of its input",
            sentence=f"Jobs are being made: {ready:,}{more} of {counted(case.task['n_files'], 'input file')} wait for a job.",
            next_step="an agent (generator) makes the next bunch",
            next_time=case.task["generate_at"],
            numbers={"ready": ready, "files": case.task["n_files"]},
        )
        return unless_it_rests(reason, case.transaction, "generator", case.as_of)


class NothingIsLeft:
    """No input for further jobs and no jobs: its end is worked out."""

    id = "nothing_left"
    sentence = "no input is left for jobs and no job is left, so it ends next"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look for jobs and for input."""
        if case.status not in GENERATING_TASK_STATUSES or case.live_jobs or case.count_files("ready"):
            return None
        task = case.task
        reason = Reason(
            self.id,
            Responsible.SYSTEM,
            clause="nothing is left to do",
            sentence=f"Of its {counted(task['n_files'], 'file')} none waits for a job and none is in one: "
            f"{task['n_files_finished']:,} done, {task['n_files_failed']:,} failed.",
            next_step="its end is worked out (agent task_watchdog)",
            numbers={"files": task["n_files"], "files_failed": task["n_files_failed"]},
        )
        return unless_it_rests(reason, case.transaction, "task_watchdog", case.as_of)


class JobsFailed:
    """Failures so far, their most common error, and what rules did about them."""

    id = "failed_attempts"
    sentence = "jobs of it failed"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look at its last five hundred ended jobs."""
        if not case.task["n_failed"] or not case.failed_jobs:
            return None
        errors = Counter(_error_words(row) for row in case.failed_jobs)
        common, times = errors.most_common(1)[0]
        rule = ""
        if case.deeds:
            deed = case.deeds[0]
            effect = f" ({deed['effect']})" if deed["effect"] else ""
            rule = f"; rule applied last: {deed['action']}{effect}"
        last = case.failed_jobs[0]["panda_id"]
        task = case.task
        return Reason(
            self.id,
            Responsible.USER if common.startswith(("exe", "trans")) else Responsible.SITE,
            clause=f"{are(task['n_failed'], 'job')} failed, mostly with {common}".replace(" are failed", " failed"),
            sentence=f"{counted(task['n_failed'], 'job')} of it failed{_how_many(case, times)} with {common}. "
            + (
                f"{counted(task['n_files_failed'], 'file')} given up."
                if task["n_files_failed"]
                else "Nothing is given up."
            ),
            next_step=f"what failed is tried again while its attempts last{rule}",
            advice=(f"read the log of one: panda logs {last}",),
            numbers={
                **{"failed": task["n_failed"], "files_failed": task["n_files_failed"], "error": common},
                **{
                    "error_count": times,
                    "looked_at": len(case.failed_jobs),
                    "rules": [d["action"] for d in case.deeds],
                },
            },
        )


def _how_many(case: TaskCase, times: int) -> str:
    """How many of the failed jobs had the same error; more than were looked at may have failed."""
    failed, looked_at = case.task["n_failed"], len(case.failed_jobs)
    if looked_at < failed:
        return f"; of the last {looked_at}, {times}"
    return f", {times} of them" if times < looked_at else ", all of them" if times > 1 else ""


def _error_words(row: dict[str, object]) -> str:
    error = primary_error(row)
    return f"{error.component}:{error.code} {error.name}".strip() if error else "no reported error"
