"""What one job of a task asks of a worker, in PanDA's keys and units (client-wire.md 4.4, domain.md 3.2). Knows no table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.taskbuffer.submission import JOB_LIMITS
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import Needs

_RAM_UNITS = ("", "MB", "MBFixed", "MBPerCore", "MBPerCoreFixed")
_DISK_UNITS = (
    *("", "kB", "kBFixed", "MB", "MBFixed"),
    *("kBPerEvent", "kBPerEventFixed", "MBPerEvent", "MBPerEventFixed"),
    *("kBPerMB", "kBPerMBFixed", "MBPerMB", "MBPerMBFixed"),
)
_WORK_UNITS = ("", "kB", "MB")
_CPU_UNITS = ("", "HS06sPerEvent", "HS06sPerEventFixed", "mHS06sPerEvent", "mHS06sPerEventFixed")
_TIME_UNITS = ("", "s")
_RATE_UNITS = ("", "kBPerS", "MBPerS")
_LONGEST_HOURS = JOB_LIMITS["maxWalltime"][1] // 3600
_MOST = 10**12


def read_needs(parameters: Mapping[str, Any]) -> Needs:
    """Cores, memory, scratch and time of a job. maxWalltime is in hours on this wire, memory per core unless said.

    Raises InvalidInput naming the key that is out of bounds, of an unknown unit, or contradicts another.
    """
    cores = fields.number(parameters, "coreCount", JOB_LIMITS["coreCount"], default=1) or 1
    most = fields.positive(parameters, "maxCoreCount", JOB_LIMITS["coreCount"][1])
    if most and cores > most:
        raise InvalidInput(f"{cores} is more than maxCoreCount {most}", field="coreCount", remedy="lower it")
    hours = fields.number(parameters, "maxWalltime", (0, _LONGEST_HOURS), default=0, unit="hours") or 0
    return Needs(
        core_count=cores,
        walltime_s=changed_walltime(parameters) or hours * 3600,
        looping_limit_s=JOB_LIMITS["loopingLimit"][1] if fields.flag(parameters, "noLoopingCheck") else 0,
        io_intensity_kb_s=_rate(parameters, "ioIntensity"),
        disk_io_kb_s=_rate(parameters, "diskIO"),
        fixed=_fixed(parameters),
        **_memory(parameters, cores),
        **_disk(parameters),
        **_time(parameters, hours),
    )


def changed_walltime(parameters: Mapping[str, Any]) -> int:
    """Seconds that were set since the submission (attribute wallTime, server-api.md 1.2); 0 when none were."""
    return fields.number(parameters, "wallTime", JOB_LIMITS["maxWalltime"], default=0) or 0


def ram_unit(parameters: Mapping[str, Any]) -> str:
    """The unit of ramCount: `ramUnit` for production and iDDS, `ramCountUnit` for prun. Raises InvalidInput if they differ."""
    of_production, of_prun = (_unit(parameters, name, _RAM_UNITS) for name in ("ramUnit", "ramCountUnit"))
    if of_production and of_prun and of_production != of_prun:
        raise InvalidInput(f"{of_prun} is asked for too", field="ramUnit", remedy="leave out it or ramCountUnit")
    return of_production or of_prun


def ram_count(parameters: Mapping[str, Any]) -> int:
    """MB in the unit of `ram_unit`; what is left of dividing by the cores is one more."""
    return fields.number(parameters, "ramCount", JOB_LIMITS["minRamCount"], default=0, rounds_up=True) or 0


def _memory(parameters: Mapping[str, Any], cores: int) -> dict[str, Any]:
    limits = JOB_LIMITS["minRamCount"]
    ram_mb = ram_count(parameters)
    base_mb = fields.number(parameters, "baseRamCount", limits, default=0, rounds_up=True) or 0
    if ram_unit(parameters).startswith("MBPerCore"):
        ram_mb *= cores
    if ram_mb + base_mb > limits[1]:
        raise InvalidInput(f"{ram_mb + base_mb} MB in all is too much", field="ramCount", remedy="lower it")
    return {"ram_mb": ram_mb + base_mb, "base_ram_mb": base_mb}


def _disk(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs grow with the events where the unit says so, else with the MB of input, as prun says of outDiskCount."""
    count = fields.number(parameters, "outDiskCount", (0, _MOST), default=0) or 0
    unit = _unit(parameters, "outDiskUnit", _DISK_UNITS)
    count_kb = count * 1000 if unit.startswith("MB") else count
    work = fields.number(parameters, "workDiskCount", (0, _MOST), default=0) or 0
    work_mb = -(-work // 1000) if _unit(parameters, "workDiskUnit", _WORK_UNITS) == "kB" else work
    if work_mb > JOB_LIMITS["maxDiskCount"][1]:
        raise InvalidInput(f"{work_mb} MB is too much", field="workDiskCount", remedy="lower it")
    grows_with_events = not unit or "PerEvent" in unit
    return {
        "disk_kb_per_event": count_kb if grows_with_events else 0,
        "disk_kb_per_input_mb": 0 if grows_with_events else count_kb,
        "work_disk_mb": work_mb,
        "counts_input_on_disk": bool(count or work),
    }


def _time(parameters: Mapping[str, Any], hours: int) -> dict[str, Any]:
    count = fields.number(parameters, "cpuTime", (0, _MOST), default=0) or 0
    unit = _unit(parameters, "cpuTimeUnit", _CPU_UNITS)
    efficiency = fields.number(parameters, "cpuEfficiency", (0, 100), default=90)
    lowest = fields.number(parameters, "minCpuEfficiency", (0, 100), default=0) or 0
    base_s = fields.number(parameters, "baseWalltime", JOB_LIMITS["maxWalltime"], default=0) or 0
    _unit(parameters, "baseWalltimeUnit", _TIME_UNITS)
    if hours and base_s > hours * 3600:
        raise InvalidInput(
            f"{base_s} s is longer than maxWalltime, {hours} h", field="baseWalltime", remedy="lower it, or raise that"
        )
    if efficiency and lowest > efficiency:
        raise InvalidInput(
            f"{lowest} % is more than cpuEfficiency, {efficiency} %", field="minCpuEfficiency", remedy="lower it"
        )
    return {
        "cpu_time": count,
        "hs06_s_per_event": count / 1000 if unit.startswith("m") else float(count),
        "cpu_efficiency": efficiency,
        "min_cpu_efficiency": lowest,
        "base_walltime_s": base_s,
    }


def _rate(parameters: Mapping[str, Any], name: str) -> int:
    """A rate in kB/s."""
    count = fields.number(parameters, name, (0, 10**9), default=0) or 0
    return count * 1000 if _unit(parameters, f"{name}Unit", _RATE_UNITS) == "MBPerS" else count


def _fixed(parameters: Mapping[str, Any]) -> frozenset[str]:
    units = {
        "ramCount": ram_unit(parameters),
        "cpuTime": str(parameters.get("cpuTimeUnit") or ""),
        "outDiskCount": str(parameters.get("outDiskUnit") or ""),
    }
    return frozenset(name for name, unit in units.items() if unit.endswith("Fixed"))


def _unit(parameters: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = fields.text(parameters, name, limit=40)
    if value not in known:
        raise InvalidInput(f"unknown unit {value!r}", field=name, remedy="one of " + ", ".join(known[1:]))
    return value
