"""Turns what was measured into parameters of the task, in its own dialect and units. Knows keys; runs no statement."""

from __future__ import annotations

import math
from typing import Any

from core.database import Row
from core.taskbuffer.submission import JOB_LIMITS
from core.taskengine.dialects.definition import Needs
from core.taskengine.dialects.needs import ram_unit
from core.taskengine.dialects.panda import is_panda_dialect
from core.taskengine.dialects.reading import effective_parameters
from core.taskengine.scouting.measuring import Measurement

_MILLI_BELOW = 10
"""HS06 seconds per event below which thousandths are kept, so that rounding loses nothing."""


def learned(task: Row, needs: Needs, measured: Measurement) -> dict[str, Any]:
    """The parameters that change, with their new values; what the submitter fixed is never among them.

    Memory goes both ways; scratch besides inputs and outputs is never lowered (domain.md 3.5). Tasks of `panda run` state
    the memory of a whole job and nothing per event, so only that changes.
    """
    present = effective_parameters(task)
    if is_panda_dialect(task["parameters"]):
        wanted = {
            **_memory(present, needs, measured),
            **_cpu(present, needs, measured),
            **_disk(needs, measured),
            **_rates(measured),
        }
    else:
        whole = None if measured.ram_mb_per_core is None else measured.ram_mb_per_core * needs.core_count
        wanted = {} if whole is None else {"ramCount": _bounded(whole, "minRamCount")}
    return {name: value for name, value in wanted.items() if present.get(name) != value}


def _memory(present: dict[str, Any], needs: Needs, measured: Measurement) -> dict[str, Any]:
    if measured.ram_mb_per_core is None or "ramCount" in needs.fixed:
        return {}
    is_per_core = ram_unit(present).startswith("MBPerCore")
    count = measured.ram_mb_per_core * (1 if is_per_core else needs.core_count)
    return {"ramCount": _bounded(count, "minRamCount")}


def _cpu(present: dict[str, Any], needs: Needs, measured: Measurement) -> dict[str, Any]:
    if measured.cpu_time is None or "cpuTime" in needs.fixed:
        return {}
    is_milli = str(present.get("cpuTimeUnit") or "").startswith("m") or measured.cpu_time < _MILLI_BELOW
    if is_milli:
        return {"cpuTime": max(1, math.ceil(measured.cpu_time * 1000)), "cpuTimeUnit": "mHS06sPerEvent"}
    return {"cpuTime": math.ceil(measured.cpu_time), "cpuTimeUnit": "HS06sPerEvent"}


def _disk(needs: Needs, measured: Measurement) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if "outDiskCount" not in needs.fixed:
        if measured.out_kb_per_event is not None:
            wanted = {"outDiskCount": measured.out_kb_per_event, "outDiskUnit": "kBPerEvent"}
        elif measured.out_kb_per_input_mb is not None:
            wanted = {"outDiskCount": measured.out_kb_per_input_mb, "outDiskUnit": "kBPerMB"}
    if measured.work_disk_mb is not None and measured.work_disk_mb > needs.work_disk_mb:
        wanted |= {"workDiskCount": _bounded(measured.work_disk_mb, "maxDiskCount"), "workDiskUnit": "MB"}
    return wanted


def _rates(measured: Measurement) -> dict[str, Any]:
    rates = {"ioIntensity": measured.io_intensity_kb_s, "diskIO": measured.disk_io_kb_s}
    return {
        key: value
        for name, rate in rates.items()
        if rate is not None
        for key, value in ((name, rate), (f"{name}Unit", "kBPerS"))
    }


def _bounded(value: int, limit: str) -> int:
    lowest, highest = JOB_LIMITS[limit]
    return min(max(value, lowest), highest)
