"""What one job of a task asks of a worker, in PanDA's keys and units (client-wire.md 4.4). Knows no table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.taskbuffer.submission import JOB_LIMITS
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import Needs

_RAM_UNITS = ("", "MB", "MBFixed", "MBPerCore", "MBPerCoreFixed")
_DISK_UNITS = ("", "kB", "kBFixed", "MB", "MBFixed")
_CPU_UNITS = ("", "HS06sPerEvent", "HS06sPerEventFixed", "mHS06sPerEvent", "mHS06sPerEventFixed")
_LONGEST_HOURS = JOB_LIMITS["maxWalltime"][1] // 3600


def read_needs(parameters: Mapping[str, Any]) -> Needs:
    """Cores, memory, scratch and time of a job. maxWalltime is in hours on this wire, memory per core unless said."""
    cores = fields.number(parameters, "coreCount", JOB_LIMITS["coreCount"], default=1) or 1
    most = fields.positive(parameters, "maxCoreCount", JOB_LIMITS["coreCount"][1])
    if most and cores > most:
        raise InvalidInput(f"{cores} is more than maxCoreCount {most}", field="coreCount", remedy="lower it")
    ram_mb = fields.number(parameters, "ramCount", JOB_LIMITS["minRamCount"], default=0) or 0
    if _unit(parameters, "ramCountUnit", _RAM_UNITS).startswith("MBPerCore"):
        ram_mb *= cores
    if ram_mb > JOB_LIMITS["minRamCount"][1]:
        raise InvalidInput(f"{ram_mb} MB in all is too much", field="ramCount", remedy="lower it")
    disk = fields.number(parameters, "outDiskCount", (0, 10**12), default=0) or 0
    disk_unit = _unit(parameters, "outDiskUnit", _DISK_UNITS)
    disk_kb = disk * 1000 if disk_unit.startswith("MB") else disk
    is_fixed = disk_unit.endswith("Fixed")
    hours = fields.number(parameters, "maxWalltime", (0, _LONGEST_HOURS), default=0) or 0
    _unit(parameters, "cpuTimeUnit", _CPU_UNITS)
    return Needs(
        core_count=cores,
        ram_mb=ram_mb,
        disk_mb=-(-disk_kb // 1000) if is_fixed else 0,
        disk_kb_per_event=0 if is_fixed else disk_kb,
        counts_input_on_disk=bool(disk),
        walltime_s=changed_walltime(parameters) or hours * 3600,
        looping_limit_s=JOB_LIMITS["loopingLimit"][1] if fields.flag(parameters, "noLoopingCheck") else 0,
        cpu_time=fields.number(parameters, "cpuTime", (0, 10**12), default=0) or 0,
    )


def changed_walltime(parameters: Mapping[str, Any]) -> int:
    """Seconds that were set since the submission (attribute wallTime, server-api.md 1.2); 0 when none were."""
    return fields.number(parameters, "wallTime", JOB_LIMITS["maxWalltime"], default=0) or 0


def _unit(parameters: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = fields.text(parameters, name, limit=40)
    if value not in known:
        raise InvalidInput(f"unknown unit {value!r}", field=name, remedy="one of " + ", ".join(known[1:]))
    return value
