"""Counts and times of requests over all processes that answer HTTP on this machine. Knows routes, no database.

Each process counts in memory and writes its numbers to a file of its own once a second; who is scraped adds up all files.
Numbers of processes that ended stay (`ended.json`), so a counter never goes down while the machine's files are there.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

log = logging.getLogger("panda.api")

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the buckets of durations, in seconds; what takes longer is in the last one."""

_ENDED = "ended.json"
_PERIOD_S = 1.0
_SEPARATOR = " "


class RequestNumbers:
    """The numbers of this process, and the sum over all."""

    def __init__(self, directory: Path) -> None:
        """`directory`: of all processes of one installation on this machine; it is made when something is written."""
        self._directory = directory
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # who is scraped writes, too, beside the thread
        self._counts: Counter[str] = Counter()
        self._times: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * (len(BUCKETS_S) + 2))
        self._watched: dict[str, Callable[[], float]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_failing = False
        self._file = directory / f"{os.getpid()}-{_started(os.getpid()):.2f}-{id(self):x}.json"

    def note(self, route: str, method: str, status: int, seconds: float | None) -> None:
        """A request was answered; without `seconds` only that it was (a stream takes as long as its reader likes)."""
        with self._lock:
            self._counts[_SEPARATOR.join((route, method, str(status)))] += 1
            if seconds is not None:
                times = self._times[route]
                times[bisect_left(BUCKETS_S, seconds)] += 1
                times[-1] += seconds

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """A number of this process beside the requests; those whose names end with _total outlive it."""
        self._watched[name] = read

    def start(self) -> None:
        """Begin to write; takes over the numbers of processes that ended."""
        self._attempt(self._fold_ended)
        self._thread = threading.Thread(target=self._run, name="request-numbers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write for the last time."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._attempt(self.write)

    def write(self) -> None:
        """Write this process's file, whole or not at all."""
        gauges = {name: read() for name, read in self._watched.items()}
        with self._writing:
            with self._lock:
                content = json.dumps({"counts": self._counts, "times": self._times, "gauges": gauges})
            self._directory.mkdir(parents=True, exist_ok=True)
            _replace(self._file, content)

    def total(self) -> dict[str, Any]:
        """`counts` by (route, method, status), `times` by route (buckets, then the sum of seconds), `gauges` by name."""
        self._attempt(self.write)
        with self._locked(fcntl.LOCK_SH):
            return _added([(_read(path), _is_alive(path)) for path in self._directory.glob("*.json")])

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            self._attempt(self.write)

    def _attempt(self, work: Callable[[], None]) -> None:
        """A full disk stops nobody: the numbers are still in memory, and written when there is room."""
        try:
            work()
            self._is_failing = False
        except Exception as error:
            if not self._is_failing:
                log.error(
                    "the numbers of requests cannot be written to %s, it is tried again: %s",
                    self._directory,
                    error,
                    exc_info=None if isinstance(error, OSError) else error,
                    extra={"component": "metrics", "kind": "service", "fingerprint": "metrics cannot be written"},
                )
            self._is_failing = True

    def _fold_ended(self) -> None:
        with self._locked(fcntl.LOCK_EX):
            ended = [path for path in self._directory.glob("*.json") if path.name != _ENDED and not _is_alive(path)]
            kept = _added([(_read(path), False) for path in [*ended, self._directory / _ENDED]])
            content = {
                "counts": {_SEPARATOR.join(key): count for key, count in kept["counts"].items()},
                "times": kept["times"],
                "gauges": kept["gauges"],
            }
            _replace(self._directory / _ENDED, json.dumps(content))
            for path in ended:
                path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Nobody takes files together while somebody adds them up."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "lock").open("a") as file:
            fcntl.flock(file, how)
            yield


def _added(files: list[tuple[dict[str, Any], bool]]) -> dict[str, Any]:
    """The numbers of several files. Of a process that ended, what it had open counts no more."""
    counts: Counter[tuple[str, ...]] = Counter()
    times: dict[str, list[float]] = {}
    gauges: Counter[str] = Counter()
    for content, is_alive in files:
        for key, count in content.get("counts", {}).items():
            counts[tuple(key.rsplit(_SEPARATOR, 2))] += count
        for route, values in content.get("times", {}).items():
            times[route] = [a + b for a, b in zip(times.get(route, [0.0] * len(values)), values, strict=True)]
        for name, value in content.get("gauges", {}).items():
            if is_alive or name.endswith("_total"):
                gauges[name] += value
    return {"counts": dict(counts), "times": times, "gauges": dict(gauges)}


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return found


def _replace(path: Path, content: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(path)


def _started(process_id: int) -> float:
    """When a process began, in seconds since 1970; 0 when there is none."""
    try:
        return psutil.Process(process_id).create_time()
    except psutil.Error:
        return 0.0


def _is_alive(path: Path) -> bool:
    """Whether the process that writes the file still runs: the same one, not another of its number."""
    number, _, rest = path.stem.partition("-")
    started = _started(int(number)) if number.isdigit() else 0.0
    return bool(started) and rest.startswith(f"{started:.2f}-")
