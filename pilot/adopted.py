"""Collects dead orphans that this process has adopted (guard.adopt_orphans), leaving its own children to their owners."""

from __future__ import annotations

import os
from collections.abc import Set
from contextlib import suppress

import psutil


def reap_orphans(own_children: Set[int]) -> None:
    """Reap every dead child that is not one of `own_children`."""
    for child in psutil.Process().children():
        with suppress(psutil.Error, ChildProcessError):
            if child.pid not in own_children and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
