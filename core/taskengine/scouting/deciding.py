"""What becomes of a task when its scouts have run: on with all of it, or a person looks first. Pure: knows no table.

Each guard is a small function with a sentence for people; they stand in the order in which they are told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from core.taskengine.dialects.definition import Needs, TaskDefinition
from core.taskengine.scouting.measuring import Measurement
from core.workload_settings import ScoutSettings

Outcome = Literal["wait", "scouted", "exhausted", "broken"]


@dataclass(frozen=True)
class Verdict:
    """What to do, why, and whether a later retry shall send scouts again (`is_over` says that it shall not)."""

    outcome: Outcome
    reason: str = ""
    is_over: bool = False


@dataclass(frozen=True)
class ScoutCounts:
    """Scouts by what became of them; one that is tried again counts once, as under way."""

    under_way: int = 0
    finished: int = 0
    failed: int = 0
    """Their input has given up."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.under_way + self.finished + self.failed


def decide_by_success(counts: ScoutCounts, rate: float | None, settings: ScoutSettings, error: str = "") -> Verdict:
    """Whether enough scouts succeeded (domain.md 3.5).

    `rate`: the task's own scoutSuccessRate as a part of one; `error`: the most frequent one, for the sentence.
    """
    rate = settings.success_rate if rate is None else rate
    enough = max(1, math.ceil(counts.total * settings.decide_after), math.ceil(counts.total * rate))
    if counts.total and counts.finished >= enough:
        return Verdict("scouted", f"{counts.finished} of {counts.total} scouts succeeded", is_over=True)
    if counts.under_way or not counts.total:
        return Verdict("wait")
    because = f": {error}" if error else ""
    if not counts.finished:
        return Verdict("broken", f"none of the {counts.total} scouts succeeded{because}")
    if counts.finished < counts.total * rate:
        sentence = f"only {counts.finished} of {counts.total} scouts succeeded, {rate:.0%} are wanted{because}"
        return Verdict("exhausted", sentence)
    return Verdict("scouted", f"{counts.finished} of {counts.total} scouts succeeded", is_over=True)


@dataclass(frozen=True)
class Situation:
    """Everything a guard looks at."""

    measured: Measurement
    preset: Needs
    """As the task was submitted, whatever was learned since."""
    definition: TaskDefinition
    jobs_to_come: int
    settings: ScoutSettings


def guard(situation: Situation) -> str | None:
    """The sentence of the first guard that objects to going on, or None."""
    return next(filter(None, (objects(situation) for objects in GUARDS)), None)


def _leaks(situation: Situation) -> str | None:
    leak, limit = situation.measured.leak_kb_s, situation.settings.max_leak_kb_s
    if leak is None or leak <= limit:
        return None
    return f"its jobs leak {leak:.0f} kB of memory per second and core, more than {limit:.0f}: mend the program"


def _is_far_above_memory(situation: Situation) -> str | None:
    measured, preset = situation.measured.ram_mb_per_core, situation.preset
    per_core = (preset.ram_mb - preset.base_ram_mb) / preset.core_count
    factor = situation.settings.max_ram_factor
    if measured is None or per_core <= 0 or measured <= per_core * factor:
        return None
    return (
        f"its jobs need {measured} MB per core, more than {factor:g} times the {per_core:.0f} MB it was submitted with: "
        "have it retried if that is right"
    )


def _is_far_above_cpu(situation: Situation) -> str | None:
    measured, preset = situation.measured.cpu_time, situation.preset.hs06_s_per_event
    factor = situation.settings.max_cpu_factor
    if measured is None or not preset or measured <= preset * factor:
        return None
    return (
        f"an event takes {measured:.3g} HS06 s, more than {factor:g} times the {preset:.3g} it was submitted with: "
        "have it retried if that is right"
    )


def _uses_more_cores(situation: Situation) -> str | None:
    used, cores = situation.measured.cores_used, situation.definition.needs.core_count
    if used is None or used <= cores * situation.settings.max_core_overuse:
        return None
    return f"its jobs keep {used:.1f} cores busy and asked for {cores}: set coreCount, or limit their threads"


def _is_inefficient(situation: Situation) -> str | None:
    efficiency, least = situation.measured.cpu_efficiency, situation.definition.needs.min_cpu_efficiency
    if efficiency is None or efficiency >= least:
        return None
    return f"its jobs use {efficiency} % of their cores, less than minCpuEfficiency, {least} %"


def _makes_too_many_short_jobs(situation: Situation) -> str | None:
    """Where the task leaves the size of jobs open, the engine makes larger ones by itself."""
    measured, settings, split = situation.measured, situation.settings, situation.definition.split
    most_are_short = measured.short_jobs * 2 > measured.jobs
    if not (split.has_size and most_are_short) or situation.jobs_to_come <= settings.max_short_jobs:
        return None
    return (
        f"its jobs are shorter than {settings.short_job_s:.0f} s, and {situation.jobs_to_come} more would follow "
        f"(at most {settings.max_short_jobs} short ones): put more input into a job"
    )


GUARDS: tuple[Callable[[Situation], str | None], ...] = (
    _leaks,
    _is_far_above_memory,
    _is_far_above_cpu,
    _uses_more_cores,
    _is_inefficient,
    _makes_too_many_short_jobs,
)
