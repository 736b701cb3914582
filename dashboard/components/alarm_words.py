"""Alarm rules in words: their names, what they look at, and each parameter with its unit. Knows no page and no rule's logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import wording

_EVALUATORS = {
    "job": "failures of jobs",
    "record": "records of components",
    "agents_late": "loops of the server that are late",
    "clock_skew": "clocks that are wrong",
    "database_slow": "a slow database",
    "disk_full": "a disk that is nearly full",
    "expiry": "certificates and tokens that expire",
    "long_wait": "jobs that wait too long",
    "silent_queue": "queues without pilots",
    "task_stalled": "tasks that stand still",
    "throughput_low": "fewer jobs than last week",
    "transfer_stuck": "transfers that are stuck",
    "wait_percentile": "waits longer than usual",
}

_LABELS = {
    "for_s": "beyond its limit for",
    "clear_part": "ends below this part of the limit",
    "limit_part": "less than this part of last week's",
    "times_usual": "times the usual",
    "moving_times": "times as long where jobs flow",
    "min_jobs": "jobs at least",
    "min_finished": "finished jobs at least",
    "min_waiting": "waiting jobs at least",
    "min_records": "records at least",
    "min_residue_jobs": "jobs lost for good at least",
    "min_lost_core_h": "work lost for good at least",
    "residue_part_of_ended": "part of the ended jobs at least",
    "quiet_s": "lapses when quiet for",
    "window_s": "counted within",
    "floor_s": "waits at least",
    "z": "standard deviations",
    "days": "compared with the last days",
    "level": "level at least",
    "classes": "kinds of error",
    "labels": "prodSourceLabels",
    "codes": "error codes",
    "token_hours": "for tokens hours left, fewer than",
    "limit_days": "days left, fewer than",
    "critical_days": "critical when fewer days than",
    "limit_mb": "space left, less than",
    "critical_mb": "critical when less than",
    "defined_s": "defined for",
    "waiting_s": "waiting for",
    "assigned_s": "assigned for",
    "activated_s": "activated for",
}
"""Parameters whose own name says too little; of all others the name is made to words."""

_SENTENCES = {
    "for_s": "for {} without a break",
    "limit_s": "longer than {}",
    "limit_part": "less than {} of last week's",
    "clear_part": "ends below {} of the limit",
    "times_usual": "more than {} times the usual",
    "moving_times": "{} times as long where jobs flow",
    "min_jobs": "at least {} jobs",
    "min_finished": "at least {} finished jobs",
    "min_waiting": "at least {} waiting jobs",
    "min_records": "at least {} records",
    "min_residue_jobs": "at least {} jobs lost for good",
    "min_lost_core_h": "at least {} core-hours lost for good",
    "residue_part_of_ended": "at least {} of the jobs that ended",
    "burst_jobs": "at least {} jobs at one place",
    "burst_rate": "at least {} of the jobs there fail",
    "window_s": "counted within {}",
    "floor_s": "waits of at least {}",
    "z": "{} standard deviations off",
    "level": "of level {} or worse",
    "classes": "errors of kind {}",
    "queues": "at queues {}",
    "components": "of components {}",
    "codes": "error codes {}",
    "limit_days": "fewer than {} days left",
    "critical_days": "critical below {} days",
    "token_hours": "tokens: fewer than {} hours left",
    "limit_mb": "less than {} left",
    "critical_mb": "critical below {}",
}
"""How a parameter is said in a list, with its value in its place."""

_HELP = {
    "for_s": "How long a value must be beyond its limit, without a break, before it is an incident.",
    "limit_s": "What is longer than this is an incident.",
    "queues": "Which queues; empty: all.",
    "components": "Which components (pilot, trans, job_dispatcher, ...); empty: all.",
    "codes": "Which error codes; empty: all.",
    "classes": "Which kinds of error; empty: all.",
    "defined_s": "How long a job may be defined.",
    "waiting_s": "How long a job may wait.",
    "assigned_s": "How long a job may be assigned.",
    "activated_s": "How long a job may be activated.",
    "floor_s": "Shorter waits are no trouble, however unusual.",
    "days": "How far back what is usual is looked for.",
    "limit_days": "A certificate with fewer days is an incident.",
    "critical_days": "The trouble is critical when only so many days are left.",
    "limit_mb": "A disk with less space is an incident.",
}
"""What a parameter means, where the server says nothing."""

_UNITS = (("_s", "seconds"), ("_mb", "MB"), ("_days", "days"), ("_hours", "hours"), ("_h", "hours"))
_PARTS = frozenset({"burst_rate", "residue_part_of_ended", "limit_part", "clear_part"})
_OF_UNIT = {
    "s": "time",
    "MB": "megabytes",
    "days": "days",
    "of last week's": "part of last week's",
    "": "number of events",
}


def rule_words(name: str) -> str:
    """The name of a rule for people: 'failure burst' of failure_burst."""
    return name.replace("_", " ")


def evaluator_words(name: str) -> str:
    """What rules of an evaluator look at, in some words."""
    return _EVALUATORS.get(name) or name.replace("_", " ")


def measured_in(unit: str) -> str:
    """What an evaluator measures in."""
    return _OF_UNIT.get(unit, unit)


def measured(found: float, unit: str) -> str:
    """What an evaluator measured, with its unit: '12 min', '950 MB', '40 %'."""
    if unit == "s":
        return wording.duration(found)
    if unit == "of last week's":
        return wording.per_cent(found)
    return f"{found:,.4g} {unit}".strip().replace(",", "\u202f")


def label(name: str) -> str:
    """The name of a parameter for people, without its unit."""
    if name in _LABELS:
        return _LABELS[name]
    for ending, _ in _UNITS:
        if name.endswith(ending):
            return name.removesuffix(ending).replace("_", " ")
    return name.replace("_", " ")


def unit(name: str) -> str:
    """The unit that its number is given in; empty when it is a count or a text."""
    if name in _PARTS:
        return "a part, 0 to 1"
    if name == "min_lost_core_h":
        return "core-hours"
    return next((words for ending, words in _UNITS if name.endswith(ending)), "")


def value(name: str, given: Any) -> str:
    """A value with its unit: '30 min', '20 %', '1000 MB', 'data or storage, not user'."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if is_number and name in _PARTS:
        return wording.per_cent(float(given))
    if is_number and name.endswith("_s"):
        return wording.duration(given)
    if is_number:
        words = unit(name) if name.endswith("_mb") else ""
        return f"{given:,.12g}".replace(",", "\u202f") + (f" {words}" if words else "")
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, list):
        return ", ".join(str(each) for each in given)
    return "" if given is None else str(given)


def sentence(name: str, given: Any) -> str:
    """'at least 10 jobs at one place', 'lapses when quiet for 30 min', 'errors of kind data or storage'."""
    said = value(name, given)
    if isinstance(given, str) and set(given) & set("!|"):
        said = _choice(given)
    words = _SENTENCES.get(name, f"{label(name)} {{}}").replace("{}", said)
    if given == 1 and name.startswith("min_"):
        words = words.replace(" jobs", " job").replace(" records", " record")
    return words


def _choice(pattern: str) -> str:
    """The choice that a pattern of the filters makes, in words: 'data or storage', 'other than data and storage'."""
    names = pattern.lstrip("!").split("|")
    if pattern.startswith("!"):
        return f"other than {' and '.join(names)}"
    return " or ".join(names)


def meaning(one: Mapping[str, Any]) -> str:
    """What a parameter means, in the server's words or ours."""
    said = str(one.get("meaning") or _HELP.get(str(one["name"]), ""))
    return said.replace("`", "").replace(" (logger/job_incidents.py)", "")


def given(parameters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The parameters that say something: what is empty filters nothing."""
    return [(name, one) for name, one in parameters.items() if one not in ("", [], None)]


def names_in_order(evaluator: Mapping[str, Any], parameters: Mapping[str, Any]) -> Sequence[str]:
    """The parameters in the order of the evaluator, further ones last."""
    known = [str(one["name"]) for one in evaluator.get("parameters") or []]
    return [*(name for name in known if name in parameters), *(name for name in parameters if name not in known)]
