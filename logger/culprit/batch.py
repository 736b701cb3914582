"""What batch systems say of jobs that they ended or could not start."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logger.culprit.cleaning import Log
from logger.culprit.pattern import Found, Pattern, row

_MPI_HINTS = (
    *("mpirun ", "mpi_abort", "pmix error", "bad termination of one of your", "not enough slots available"),
    "fatal error in ",
)
_MPI = re.compile(
    r"mpirun (?:noticed|detected) that|MPI_ABORT was invoked|application called MPI_Abort|PMIX ERROR"
    r"|BAD TERMINATION OF ONE OF YOUR|not enough slots available|^(?:Abort\(\d+\).*: )?Fatal error in P?MPI_"
)
_ABORTED_BY_ITSELF = re.compile(r"MPI_ABORT was invoked|application called MPI_Abort")
_WHY = re.compile(r"\b(?:ERROR|FATAL)\b|\b(?:[Ee]rror|[Ff]atal|[Ff]atal error) ?:")
_BEFORE_ABORT = 4


def _mpi(log: Log) -> Iterator[Found]:
    """A program that called MPI_Abort has often said why, in the lines above."""
    for start in reversed(log.lines_with(_MPI_HINTS)):
        end = log.end_of_line(start)
        line = log.text[start:end]
        if not _MPI.search(line):
            continue
        if _ABORTED_BY_ITSELF.search(line) and (why := _why_aborted(log, start)):
            yield why
        yield Found(start, end)


def _why_aborted(log: Log, start: int) -> Found | None:
    at = start
    for above in reversed(log.lines_before(start, _BEFORE_ABORT)):
        at -= len(above) + 1
        if _WHY.search(above) and not _MPI.search(above):
            return Found(at, at + len(above))
    return None


PATTERNS = (
    row(
        "slurm_node",
        ("srun: error: ", "due to node failure"),
        r"srun: error: (?:Node failure|.*Unable to create step)|DUE TO NODE FAILURE",
        "batch",
        "node",
    ),
    row("slurm_preempted", ("due to preemption",), r"slurmstepd: error: \*\*\* .*DUE TO PREEMPTION", "batch", "batch"),
    row(
        "slurm_cancelled",
        ("slurmstepd: error: ***",),
        r"slurmstepd: error: \*\*\* (?:JOB|STEP) .*CANCELLED AT \S+ \*\*\*",
        "batch",
        "batch",
    ),
    row(
        "slurm", ("due to time limit",), r"slurmstepd: error: \*\*\* (?:JOB|STEP) .*DUE TO TIME LIMIT", "batch", "time"
    ),
    row(
        "condor",
        ("shadow", "starter exception", "failed to ", "job reconnection failed"),
        r"\bSHADOW_EXCEPTION\b|Failed to (?:start|execute) job|(?:Starter|Shadow) exception"
        r"|\b(?:STARTER|SHADOW) at \S+ failed to |\bJob reconnection failed",
        "batch",
        "node",
    ),
    row(
        "condor_time",
        ("job exceeded allowed",),
        r"[Jj]ob exceeded allowed (?:execute|job) duration",
        "batch",
        "time",
    ),
    row("pbs_node", ("pbs: job killed: node",), r"=>> PBS: job killed: node", "batch", "node"),
    row(
        "pbs_lsf",
        ("pbs: job killed", "term_runlimit", "job hard limit", "hard wallclock time"),
        r"=>> PBS: job killed: (?:walltime|cput)|\bTERM_RUNLIMIT\b|exceeded (?:job )?hard (?:limit \"h_(?:rt|cpu)\"|wallclock)",
        "batch",
        "time",
    ),
    row("arc_ce", ("job submission", "lrms error"), r"Job submission .*failed|LRMS error: \(\d+\)", "batch", "batch"),
    Pattern("mpi", _MPI_HINTS, _mpi, "payload", "user"),
)
