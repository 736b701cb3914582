"""What there was too little of: memory, disk, files, processes, processor time, a graphics card."""

from __future__ import annotations

from logger.culprit import locales
from logger.culprit.pattern import row

_NOT_A_TRANSFER = r"^(?!.*(?:\bgfal-(?!.*local system call)|\[ERROR\]|\[FATAL\]|\bxrdcp\b|[Dd]avix|/cvmfs/)).*"
"""A transfer tool that says such words speaks of a storage, not of the node's disk."""

_NO_PROBING = r"^(?!.*(?:cuInit|no CUDA-capable device|driver version is insufficient)).*"
"""Some packages look for a graphics card wherever they are, and say aloud that there is none."""

PATTERNS = (
    row(
        "gpu_memory",
        ("cuda", "hip out of memory", "oom when allocating tensor"),
        r"(?:CUDA|HIP) (?:error: )?out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|OOM when allocating tensor",
        "payload",
        "memory",
    ),
    row(
        "gpu_broken",
        ("ecc error", "cuda_error_ecc", "fallen off the bus", "nvrm: xid"),
        r"uncorrectable (?:NVLink|ECC) error|CUDA_ERROR_ECC_UNCORRECTABLE|GPU has fallen off the bus|NVRM: Xid",
        "payload",
        "node",
    ),
    row(
        "cuda",
        ("cuda", "nccl error"),
        rf"{_NO_PROBING}(?:NCCL error|CUDA error|CUDA_ERROR_|cudaError)",
        "payload",
        "user",
    ),
    row(
        "oom_slurm",
        ("slurmstepd: error: ", "srun: error: "),
        r"slurmstepd: error: (?:Detected \d+ oom[-_]kill event|.*exceeded memory limit)"
        r"|srun: error: .*(?:Out Of Memory|oom[-_]kill)",
        "payload",
        "memory",
        "first",
    ),
    row(
        "oom_condor",
        ("request_memory", "job has gone over"),
        r"memory usage exceeded request_memory|[Jj]ob has gone over (?:cgroup )?memory limit",
        "batch",
        "memory",
        "first",
    ),
    row(
        "oom_pbs_lsf",
        ("job killed: mem", "term_memlimit"),
        r"PBS: job killed: mem \d+kb exceeded limit|TERM_MEMLIMIT: job killed",
        "batch",
        "memory",
        "first",
    ),
    row(
        "oom_kubernetes",
        ("oomkilled", "exit code 137"),
        r"\bOOMKilled\b|exit code 137.*OOM",
        "container",
        "memory",
        "first",
    ),
    row(
        "out_of_memory",
        (
            *("memory", "oom", "bad_alloc", "killed process", "killed as a result", "killed by signal: "),
            *locales.hints(*locales.NO_MEMORY),
        ),
        r"[Oo]ut of (?:shared )?memory(?! (?:handling|killer|score))"
        r"|killed as a result of limit of |\boom[-_]kill(?:er|ed)?\b(?! score)|OOM[ -][Kk]illed|Killed process \d+"
        r"|std::bad_alloc|\bOutOfMemoryError\b|exceeded \d+% memory budget\. Restarting|Cannot allocate memory"
        r"|[Ee]xceeded (?:job )?memory limit"
        r"|[Mm]emory cgroup .*(?:exceeded|limit reached|killed)|worker .*is killed by signal: (?:Killed|Bus error)"
        rf"|JavaScript heap out of memory|{locales.any_of(*locales.NO_MEMORY)}",
        "payload",
        "memory",
        "first",
    ),
    row(
        "disk_quota",
        ("quota", "edquot", *locales.hints(*locales.QUOTA)),
        rf"{_NOT_A_TRANSFER}(?:Disk quota exceeded|[Ee]xceeded (?:its |the |your )?(?:disk )?quota|\bEDQUOT\b"
        rf"|{locales.any_of(*locales.QUOTA)})",
        error_class="disk",
        pick="first",
    ),
    row(
        "disk_full",
        ("no space left", "quota exceeded", "low on resource: ephemeral", *locales.hints(*locales.DISK_FULL)),
        rf"{_NOT_A_TRANSFER}(?:No space left on device|quota exceeded|low on resource: ephemeral-storage"
        rf"|{locales.any_of(*locales.DISK_FULL)})",
        error_class="disk",
        pick="first",
    ),
    row(
        "disk_io",
        (
            *("input/output error", "read-only file system", "file handle", "structure needs cleaning"),
            *("endpoint shutdown", "host is down", "no such device", "remote i/o error"),
            *locales.hints(*locales.DISK_IO),
        ),
        rf"{_NOT_A_TRANSFER}(?:Input/output error|Read-only file system|Stale (?:NFS )?file handle|Structure needs cleaning"
        r"|Cannot send after transport endpoint shutdown|: (?:Host is down|No such device(?: or address)?|Remote I/O error)$"
        rf"|{locales.any_of(*locales.DISK_IO)})",
        error_class="node",
        pick="first",
    ),
    row(
        "file_size",
        ("file size limit exceeded", "sigxfsz"),
        r"File size limit exceeded|(?i:killed|received|caught|got)\b.*\bSIGXFSZ\b",
        "payload",
        "user",
        "first",
    ),
    row("too_many_files", ("too many open files",), r"Too many open files", "payload", "user", "first"),
    row(
        "fork_failed",
        ("resource temporarily unavailable", "can't start new thread", "cannot fork"),
        r"(?:fork: (?:retry: )?|Thread creation failed: |pthread_create failed.*: |what\(\):  )Resource temporarily unavailable"
        r"|can't start new thread|Cannot fork",
        error_class="node",
        pick="first",
    ),
    row(
        "cpu_time",
        ("time limit exceeded", "sigxcpu", "timeout: sending signal"),
        r"^timeout: sending signal |CPU time limit exceeded|(?i:killed|received|caught|got)\b.*\bSIGXCPU\b"
        r"|Cputime limit exceeded",
        "payload",
        "time",
    ),
)

LATE = (
    row(
        "gpu_missing",
        (
            *("no cuda-capable device", "nvidia-smi has failed", "driver version is insufficient"),
            "nvidia driver on your system",
        ),
        r"^(?!.*cuInit).*(?:no CUDA-capable device|NVIDIA-SMI has failed|driver version is insufficient"
        r"|NVIDIA driver on your system is too old|Found no NVIDIA driver on your system)",
        "payload",
        "node",
    ),
    row("curl_write", ("curl: (23)",), r"^curl: \(23\) ", error_class="disk"),
)
"""What is said on many nodes by programs that then do without: a cause only when nothing surer is found."""
