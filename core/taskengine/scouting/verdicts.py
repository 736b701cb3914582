"""Carries out the verdict on the scouts of a task: its needs change, it goes on, or it waits for a person.

Runs under the lock of the task and touches no job: jobs that wait already keep what they ask for.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from core.clock import utc_now
from core.database import Row, Transaction
from core.states import TaskStatus
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.reading import definition_of, effective_parameters, read_definition
from core.taskengine.scouting.deciding import Situation, Verdict, decide_by_success, guard
from core.taskengine.scouting.evidence import count_scouts, finished_jobs, frequent_error
from core.taskengine.scouting.learning import learned
from core.taskengine.scouting.measuring import JobFacts, Measurement, measure
from core.taskengine.status import change_status
from core.text import clean
from core.workload_settings import ScoutSettings

WHO = "scouts"

# primary key; ramCount of the row is what people see of it, and what commands changed before
_LEARN = """
UPDATE tasks SET
    split_rule = split_rule || %(changes)s::jsonb, measured = measured || %(measured)s::jsonb,
    ram_count = coalesce((%(changes)s::jsonb ->> 'ramCount')::bigint, ram_count),
    cpu_time = coalesce((%(changes)s::jsonb ->> 'cpuTime')::bigint, cpu_time),
    cpu_time_unit = coalesce(%(changes)s::jsonb ->> 'cpuTimeUnit', cpu_time_unit),
    modification_time = clock_timestamp()
WHERE jedi_task_id = %(id)s
"""
_DIALOG = "UPDATE tasks SET error_dialog = %(text)s, generate_at = NULL WHERE jedi_task_id = %(id)s"


def judge_scouts(transaction: Transaction, task: Row, settings: ScoutSettings) -> Verdict:
    """Decide on a task in `scouting` whose row is locked, and carry it out; `wait` changes nothing."""
    task_id, definition = task["jedi_task_id"], definition_of(task)
    counts = count_scouts(transaction, task_id)
    verdict = decide_by_success(counts, definition.scout_success_rate, settings)
    if verdict.outcome in ("broken", "exhausted"):
        error = frequent_error(transaction, task_id)
        verdict = decide_by_success(counts, definition.scout_success_rate, settings, error)
    if verdict.outcome == "wait":
        return verdict
    jobs = finished_jobs(transaction, task_id)
    measured = measure(jobs, definition.needs, settings)
    if verdict.outcome == "scouted":
        verdict = _guarded(task, definition, measured, jobs, settings) or verdict
    changes = learned(task, definition.needs, measured) if verdict.outcome != "broken" else {}
    _keep(transaction, task, "scouts", changes, measured, {**asdict(verdict), **asdict(counts)})
    _move(transaction, task_id, verdict)
    return verdict


def skip_scouts(transaction: Transaction, task_id: int, who: str) -> None:
    """Note that a person wants no further scouts of a task; its status is the caller's business."""
    verdict = Verdict("scouted", f"avalanche asked for by {who}", is_over=True)
    measured = {"scouts": {**asdict(verdict), "time": utc_now().isoformat()}}
    transaction.execute(_LEARN, {"id": task_id, "changes": {}, "measured": measured})


def measure_again(transaction: Transaction, task: Row, settings: ScoutSettings) -> dict[str, Any]:
    """Measure a running task once more from its latest finished jobs; returns the parameters that changed."""
    definition = definition_of(task)
    jobs = finished_jobs(transaction, task["jedi_task_id"])
    measured = measure(jobs, definition.needs, settings)
    changes = learned(task, definition.needs, measured)
    _keep(transaction, task, "again", changes, measured, {})
    return changes


def _guarded(
    task: Row, definition: TaskDefinition, measured: Measurement, jobs: list[JobFacts], settings: ScoutSettings
) -> Verdict | None:
    submitted = read_definition(
        task["parameters"], task_id=task["jedi_task_id"], user_name=task["user_name"], is_production=True
    )
    files_per_job = sum(job.n_files for job in jobs) / len(jobs) if jobs else 1.0
    situation = Situation(
        measured=measured,
        preset=submitted.needs,
        definition=definition,
        jobs_to_come=max(0, int(task["n_files"] / files_per_job) - len(jobs)),
        settings=settings,
    )
    objection = guard(situation)
    # whoever retries the task has read the sentence: its needs are known, and no further scouts are sent
    return None if objection is None else Verdict("exhausted", objection, is_over=True)


def _keep(
    transaction: Transaction,
    task: Row,
    name: str,
    changes: dict[str, Any],
    measured: Measurement,
    verdict: dict[str, Any],
) -> None:
    present = effective_parameters(task)
    entry = {
        **verdict,
        "time": utc_now().isoformat(),
        "values": {key: value for key, value in asdict(measured).items() if value is not None},
        "changed": {key: {"old": present.get(key), "new": value} for key, value in changes.items()},
    }
    transaction.execute(_LEARN, {"id": task["jedi_task_id"], "changes": changes, "measured": {name: entry}})


def _move(transaction: Transaction, task_id: int, verdict: Verdict) -> None:
    steps: tuple[TaskStatus, ...] = (TaskStatus.SCOUTED, TaskStatus.RUNNING)
    if verdict.outcome != "scouted":
        is_broken = verdict.outcome == "broken"
        steps = (TaskStatus.TOBROKEN, TaskStatus.BROKEN) if is_broken else (TaskStatus.EXHAUSTED,)
        transaction.execute(_DIALOG, {"id": task_id, "text": clean(verdict.reason, 510)})
    for status in steps:
        change_status(transaction, task_id, status, who=WHO, reason=verdict.reason)
