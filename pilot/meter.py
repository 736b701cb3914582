"""Measures a running payload: CPU time and memory of its whole process tree. Knows no limits."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Consumption:
    """What the payload uses and has used; memory in kB. PSS shares out pages that several processes have in common."""

    cpu_time_s: float = 0.0
    rss_kb: int = 0
    pss_kb: int = 0
    max_rss_kb: int = 0
    max_pss_kb: int = 0
    process_count: int = 0


class Meter:
    """Keeps the maxima. May be asked by several threads."""

    def __init__(self, root: int | None = None) -> None:
        """`root`: the process whose descendants are measured; none before the payload starts."""
        self._root = root
        self._lock = threading.Lock()
        self._last = Consumption()

    @property
    def last(self) -> Consumption:
        """The last measurement, without making one."""
        return self._last

    def watch(self, root: int) -> None:
        """Measure the descendants of this process from now on."""
        self._root = root

    def measure(self) -> Consumption:
        """Look at every process of the tree now."""
        with self._lock:
            cpu_time_s, rss_kb, pss_kb, count = 0.0, 0, 0, 0
            for process in self._processes():
                with suppress(psutil.Error), process.oneshot():
                    times = process.cpu_times()
                    cpu_time_s += times.user + times.system
                    cpu_time_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                    if process.pid != self._root:
                        resident_kb = process.memory_info().rss // 1024
                        rss_kb += resident_kb
                        pss_kb += _pss_kb(process.pid, resident_kb)
                        count += 1
            return self._keep(Consumption(cpu_time_s, rss_kb, pss_kb, process_count=count))

    def finish(self, cpu_time_s: float, max_rss_kb: int) -> Consumption:
        """Take the operating system's own account of the tree, made when it ended."""
        with self._lock:
            self._root = None
            ended = Consumption(cpu_time_s, rss_kb=max_rss_kb, pss_kb=0)
            return self._keep(ended)

    def _keep(self, now: Consumption) -> Consumption:
        self._last = replace(
            now,
            cpu_time_s=max(now.cpu_time_s, self._last.cpu_time_s),
            max_rss_kb=max(now.rss_kb, self._last.max_rss_kb),
            max_pss_kb=max(now.pss_kb, self._last.max_pss_kb),
        )
        return self._last

    def _processes(self) -> list[psutil.Process]:
        if self._root is None:
            return []
        with suppress(psutil.Error):
            guard = psutil.Process(self._root)
            return [guard, *guard.children(recursive=True)]
        return []


def _pss_kb(process_id: int, resident_kb: int) -> int:
    """Proportional set size from the kernel's own sum; the resident size where it cannot be had."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return resident_kb
