"""What the scouts of a task measured, as people read it: names, values with units, what changed. Knows no table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_STAGES = {"scouts": "scouts", "again": "first jobs"}

_VALUES: tuple[tuple[str, str, str], ...] = (
    ("jobs", "jobs measured", ""),
    ("ram_mb_per_core", "memory per core", "MB"),
    ("cpu_time", "CPU time of an event", "HS06 s"),
    ("walltime_s", "time of a job", "s"),
    ("out_kb_per_event", "output of an event", "kB"),
    ("out_kb_per_input_mb", "output of a MB of input", "kB"),
    ("work_disk_mb", "work directory", "MB"),
    ("io_intensity_kb_s", "input and output", "kB/s"),
    ("disk_io_kb_s", "traffic on the node's disk", "kB/s"),
    ("cpu_efficiency", "use of the cores", "%"),
    ("cores_used", "cores kept busy", ""),
    ("leak_kb_s", "memory leak per core", "kB/s"),
)
"""Measure (core.taskengine.scouting), its name for people, its unit."""


def measured_in_words(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry per measuring: stage, time, outcome, reason, values [{name, value, unit}], changed [{parameter, old, new}].

    Values are rounded to three digits; parameters whose value is a unit are left out of what changed.
    """
    return [_entry(stage, measured[key]) for key, stage in _STAGES.items() if isinstance(measured.get(key), Mapping)]


def _entry(stage: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    values = entry.get("values") or {}
    changed = entry.get("changed") or {}
    return {
        "stage": stage,
        "time": entry.get("time"),
        "outcome": entry.get("outcome", ""),
        "reason": entry.get("reason", ""),
        "values": [
            {"name": name, "value": _rounded(values[key]), "unit": unit}
            for key, name, unit in _VALUES
            if values.get(key)
        ],
        "changed": [
            {"parameter": name, "old": change.get("old"), "new": change.get("new")}
            for name, change in sorted(changed.items())
            if not name.endswith("Unit")
        ],
    }


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.3g}")
