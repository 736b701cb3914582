"""What jobs of a task really needed, as values for those to come (domain.md 3.5). Pure: facts in, values out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.core_power import DEFAULT_CORE_POWER
from core.taskengine.dialects.definition import Needs
from core.workload_settings import ScoutSettings

_CPU_MARGIN = 1.5
_CPU_PERCENTILE = 95
_RAM_PERCENTILE = 75
_DISK_PERCENTILE = 75
_EVENTS_PER_CORE = 10
_LONG_JOB_S = 6 * 3600
_LEAST_EVENTS = 10
_LEAST_WALL_S = 60
"""Shares of time are not taken from jobs that were hardly longer than their start."""


@dataclass(frozen=True)
class JobFacts:
    """What is known of one finished job; 0 = not reported."""

    panda_id: int
    wall_s: float = 0.0
    cpu_s: float = 0.0
    cores: int = 1
    core_power: float = DEFAULT_CORE_POWER
    """HS06 of a core of its queue."""
    max_pss_kb: int = 0
    n_events: int = 0
    n_files: int = 1
    """Files of the master input."""
    input_bytes: int = 0
    output_bytes: int = 0
    work_dir_mb: int = 0
    disk_io_kb: int = 0
    """Read and written by the payload on the node."""
    leak_kb_s: float = 0.0
    """Growth of the memory of the whole job."""


@dataclass(frozen=True)
class Measurement:
    """Values for the jobs to come; None = these jobs do not tell."""

    cpu_time: float | None = None
    """HS06 seconds per event."""
    ram_mb_per_core: int | None = None
    """Margin included, the constant part left out."""
    out_kb_per_event: int | None = None
    out_kb_per_input_mb: int | None = None
    work_disk_mb: int | None = None
    io_intensity_kb_s: int | None = None
    disk_io_kb_s: int | None = None
    walltime_s: int | None = None
    """Of a whole job as large as these; told to people, no limit: pilots take limits at their word."""
    cpu_efficiency: int | None = None
    """Percent."""
    cores_used: float | None = None
    leak_kb_s: float | None = None
    """Per core."""
    short_jobs: int = 0
    jobs: int = 0


def measure(jobs: Sequence[JobFacts], needs: Needs, settings: ScoutSettings) -> Measurement:
    """The values of domain.md 3.5 from finished jobs. `needs`: base memory, base time and efficiency of the task."""
    timed = [job for job in jobs if job.wall_s >= 1]
    long_enough = [job for job in timed if job.wall_s >= _LEAST_WALL_S and job.cpu_s > 0]
    return Measurement(
        cpu_time=_cpu_time(timed, needs),
        ram_mb_per_core=_ram(jobs, needs, settings),
        out_kb_per_event=_out_per_event(jobs),
        out_kb_per_input_mb=_out_per_input_mb(jobs),
        work_disk_mb=max((job.work_dir_mb for job in jobs if job.work_dir_mb), default=None),
        io_intensity_kb_s=_io_intensity(timed),
        disk_io_kb_s=_disk_io(timed, settings),
        walltime_s=_up(percentile([job.wall_s * _CPU_MARGIN for job in timed], _CPU_PERCENTILE)),
        cpu_efficiency=_down(percentile([100 * job.cpu_s / (job.wall_s * job.cores) for job in long_enough], 50)),
        cores_used=percentile([job.cpu_s / job.wall_s for job in long_enough], 50),
        leak_kb_s=percentile([job.leak_kb_s / job.cores for job in jobs if job.leak_kb_s], _RAM_PERCENTILE),
        short_jobs=sum(job.wall_s < settings.short_job_s for job in timed),
        jobs=len(jobs),
    )


def percentile(values: Iterable[float], rank: float) -> float | None:
    """The smallest of the values that `rank` percent of them do not exceed; None without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * rank / 100) - 1)] if ordered else None


def _cpu_time(jobs: Sequence[JobFacts], needs: Needs) -> float | None:
    """Jobs with few events say more of their start than of an event, unless they ran long."""
    telling = [
        job
        for job in jobs
        if job.n_events and (job.n_events >= _EVENTS_PER_CORE * job.cores or job.wall_s >= _LONG_JOB_S)
    ]
    efficiency = needs.cpu_efficiency / 100
    if not efficiency:
        return None
    return percentile(
        [
            max(0.0, job.wall_s - needs.base_walltime_s)
            * job.core_power
            * job.cores
            * efficiency
            * _CPU_MARGIN
            / job.n_events
            for job in telling
        ],
        _CPU_PERCENTILE,
    )


def _ram(jobs: Sequence[JobFacts], needs: Needs, settings: ScoutSettings) -> int | None:
    margin = 1 + settings.memory_margin
    per_core = [
        max((job.max_pss_kb / 1024 - needs.base_ram_mb) / job.cores * margin, settings.min_ram_mb)
        for job in jobs
        if job.max_pss_kb
    ]
    return _up(percentile(per_core, _RAM_PERCENTILE))


def _out_per_event(jobs: Sequence[JobFacts]) -> int | None:
    telling = [job.output_bytes / 1000 / job.n_events for job in jobs if job.n_events >= _LEAST_EVENTS]
    return _up(percentile(telling, _DISK_PERCENTILE))


def _out_per_input_mb(jobs: Sequence[JobFacts]) -> int | None:
    telling = [job.output_bytes / 1000 / (job.input_bytes / 10**6) for job in jobs if job.input_bytes >= 10**6]
    return _up(percentile(telling, _DISK_PERCENTILE))


def _io_intensity(jobs: Sequence[JobFacts]) -> int | None:
    rates = [(job.input_bytes + job.output_bytes) / 1000 / job.wall_s for job in jobs]
    return _up(max(rates, default=None))


def _disk_io(jobs: Sequence[JobFacts], settings: ScoutSettings) -> int | None:
    rates = [min(job.disk_io_kb / job.wall_s, settings.max_disk_io_kb_s) for job in jobs if job.disk_io_kb]
    return _up(max(rates, default=None))


def _up(value: float | None) -> int | None:
    """Rounded up, but not for the sake of what floating point adds."""
    return None if value is None else math.ceil(round(value, 6))


def _down(value: float | None) -> int | None:
    return None if value is None else int(value)
