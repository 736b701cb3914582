"""Requests and queues in few words: everything that is not said is unknown, which excludes nobody."""

from __future__ import annotations

from typing import Any

from core.brokerage.candidates import Candidate, Request
from core.brokerage.requests import read_wishes
from core.brokerage.stated import read_stated

CRIC = [
    {"arch": ["x86_64"], "instr": ["avx2"], "type": "cpu", "vendor": ["intel", "excl"]},
    {"type": "gpu", "vendor": ["nvidia"], "model": ["kt100", "a100"]},
]
"""Hardware of a queue as CRIC publishes it."""


def ask(label: str = "user", **needs: Any) -> Request:
    """A job of one core that states nothing."""
    known = {
        **{"core_count": 1, "min_ram_mb": 0, "max_disk_mb": 0, "max_walltime_s": 0, "has_input": False},
        **{"complete_at": frozenset(), "user_name": "alice"},
    }
    return Request(prod_source_label=label, **{**known, **needs})


def queue(name: str = "ANY", parameters: Any = None, **facts: Any) -> Candidate:
    """An online queue with a storage and no limits; `parameters` as an operator writes them."""
    known = {
        **{"status": "online", "storage_endpoint": "DISK"},
        **dict.fromkeys(("max_ram_mb", "max_disk_mb", "max_core_count", "max_walltime_s"), 0),
    }
    return Candidate(name, **{**known, **facts}, stated=read_stated(parameters or {}))


def task(label: str = "user", **parameters: Any) -> Request:
    """A job of a task of these parameters."""
    return read_wishes(parameters).added_to(ask(label))
