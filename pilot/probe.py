"""What this node offers: cores, memory, disk, names. Respects the limits of the container or batch slot (cgroups)."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MEGABYTE = 1024 * 1024
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Node:
    """A worker node as the server is told about it."""

    host: str
    cores: int
    memory_mb: int
    cpu_model: str


def probe_node(cgroup: Path = _CGROUP) -> Node:
    """Look at the node this process runs on."""
    return Node(
        host=os.environ.get("PANDA_HOSTNAME") or socket.gethostname(),
        cores=_cores(cgroup),
        memory_mb=_memory_bytes(cgroup) // MEGABYTE,
        cpu_model=_cpu_model(),
    )


def free_disk_mb(directory: Path) -> int:
    """Space an unprivileged process may still use where `directory` is, in MB."""
    return shutil.disk_usage(directory).free // MEGABYTE


def _cores(cgroup: Path) -> int:
    """Cores this process may use: its CPU set, or the share of the control group if that is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = (
        _words(cgroup / "cpu.max", 2)
        or (
            *_words(cgroup / "cpu" / "cpu.cfs_quota_us", 1),
            *_words(cgroup / "cpu" / "cpu.cfs_period_us", 1),
        )
        or ("max", "1")
    )
    share = int(quota) // int(period) if quota.isdigit() else allowed
    return max(1, min(allowed, share))


def _memory_bytes(cgroup: Path) -> int:
    """Memory of the node, or of the control group if that is less."""
    limits = [psutil.virtual_memory().total]
    for path in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        limits.extend(int(word) for word in _words(path, 1) if word.isdigit())
    return min(limits)


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _words(path: Path, count: int) -> tuple[str, ...]:
    """The words of a one-line file of the kernel; none when it is not there or has another form."""
    with suppress(OSError):
        words = tuple(path.read_text().split())
        return words if len(words) == count else ()
    return ()
