"""What batch systems say of jobs that they ended or could not start."""

from __future__ import annotations

from logger.culprit.pattern import row

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
        ("pbs: job killed", "term_runlimit"),
        r"=>> PBS: job killed: (?:walltime|cput)|\bTERM_RUNLIMIT\b",
        "batch",
        "time",
    ),
    row("arc_ce", ("job submission", "lrms error"), r"Job submission .*failed|LRMS error: \(\d+\)", "batch", "batch"),
    row(
        "mpi",
        ("mpirun ", "mpi_abort", "pmix error"),
        r"mpirun (?:noticed|detected) that|MPI_ABORT was invoked|PMIX ERROR",
        "payload",
        "user",
    ),
)
