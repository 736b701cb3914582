"""What a pilot is told when it starts. One typed, documented place; the defaults are those of domain.md 7."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GRACE_OF_SIGNALS_S = 20.0
"""A pilot told to stop by a signal has ended after about this time, with its final report sent."""


@dataclass(frozen=True)
class PilotOptions:
    """Everything that can be chosen about a pilot. Times in seconds; a limit of 0 means that there is none."""

    queue: str
    """The PanDA queue it works for (computingSite)."""
    work_directory: Path
    """Jobs run in directories of their own below it."""
    label: str = "user"
    """Which jobs it asks for (prodSourceLabel)."""
    worker_id: str = ""
    """The name its factory knows it by."""
    wait_s: float = 60.0
    """Pause after the answer that there is no job."""
    requests: int = 2
    """Requests in a row without a job before it ends."""
    failures: int = 5
    """Requests in a row that failed before it ends."""
    max_jobs: int = 1
    """Jobs it runs at most, one after the other; 0: as many as there are."""
    lifetime_s: float = 324_000.0
    """It asks for no more jobs after this time, and stops a payload that still runs then."""
    heartbeat_s: float = 300.0
    """Between two reports of a job to the server."""
    looping_limit_s: float = 7200.0
    """A payload that touches no file for so long is killed, unless its job sets a limit of its own."""
    scratch_min_mb: int = 1000
    """A payload is killed when less space is left in the work directory; twice as much is wanted at the start."""
    check_period_s: float = 60.0
    """No check of a running payload is made less often, whatever its own period."""
    kill_grace_s: float = 10.0
    """Between asking a payload to end (SIGTERM) and killing it."""
    silence_limit_s: float = 10_800.0
    """A job is given up when no report reached the server for so long: the server has given it up too."""
    report_limit_s: float = 10_800.0
    """How long a final report is tried again."""
    transfer_attempts: int = 2
    """How often a file is tried before its transfer has failed."""
    transfer_pause_s: float = 2.0
    """Between two attempts at a transfer."""
    keep_work_directory: bool = False
    """Leave the directories of jobs where they are."""
