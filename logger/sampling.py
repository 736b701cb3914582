"""Which of many failed jobs are looked at in full: a flood of one trouble is known after some hundred of its logs.

Knows a job's error and what was learned of jobs like it; knows no log, no SQL and no incident.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from core.database import Row
from core.models.errors import primary_error

ALL_OF = 200
"""So many jobs of a group are read in full."""
TENTH_UNTIL = ALL_OF + 2000
"""Up to here one job in ten is read, then one in fifty."""
_STEP_EARLY, _STEP_LATE = 10, 50
_MOST_GROUPS = 10_000
_FORGOTTEN_S = 600.0
_DIGITS = str.maketrans("", "", "0123456789")
_DIAG_CHARACTERS = 200


@dataclass
class _Group:
    """Jobs that look alike from outside. `fingerprint`: of those that were read, all the same."""

    touched: float
    seen: int = 0
    read: int = 0
    fingerprint: str = ""


class FailureSampler:
    """Says of each failed job whether its logs are read, and what a job that is not read is taken for.

    Jobs are alike that failed with the same code and the same diagnosis, digits aside, in the same transformation of the
    same task at the same queue. The first 200 of them are read; while all give one fingerprint, one in ten of the next
    2000 and one in fifty after that. One that differs makes its group start anew. Not safe for several threads: there is
    one builder at a time.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic`: seconds; a group that nobody joins for ten minutes is forgotten."""
        self._monotonic = monotonic
        self._groups: OrderedDict[Hashable, _Group] = OrderedDict()

    def wants(self, job: Row) -> bool:
        """Whether the logs of this failed job are to be read. Counts the job: ask once for each."""
        group = self._group(job)
        group.seen += 1
        if group.seen <= ALL_OF:
            return True
        step = _STEP_EARLY if group.seen <= TENTH_UNTIL else _STEP_LATE
        return group.seen % step == 0

    def learned(self, job: Row, fingerprint: str) -> None:
        """What a job that was read turned out to be."""
        group = self._group(job)
        if group.fingerprint and group.fingerprint != fingerprint:
            group.seen = group.read = 0
        group.fingerprint = fingerprint
        group.read += 1

    def assumed(self, job: Row) -> str:
        """The fingerprint of its group, for a job that was not read; empty when nothing is known: then it has to be."""
        return self._group(job).fingerprint

    def _group(self, job: Row) -> _Group:
        now = self._monotonic()
        key = _alike(job)
        group = self._groups.pop(key, None)
        if group is None or now - group.touched > _FORGOTTEN_S:
            group = _Group(now)
        group.touched = now
        self._groups[key] = group
        if len(self._groups) > _MOST_GROUPS:
            self._groups.popitem(last=False)
        return group


def _alike(job: Row) -> Hashable:
    error = primary_error(job)
    component, code, diag = (error.component, abs(error.code), error.diag) if error else ("", 0, "")
    return (
        *(component, code, diag.translate(_DIGITS)[:_DIAG_CHARACTERS]),
        *(job["transformation"], job["jedi_task_id"], job["computing_site"]),
    )
