"""The examiner's second paper (test_examination.py): the same kinds of trouble in other words, and some rarer ones."""

from __future__ import annotations

from tests.logger.causes.examination import Case

MORE_CASES = (
    Case(
        "python_exception_with_many_lines",
        """
Traceback (most recent call last):
  File "/srv/job/select.py", line 5, in <module>
    check(tree)
  File "/srv/job/select.py", line 3, in check
    raise ValueError("bad branches:\\n  eta\\n  phi")
ValueError: bad branches:
  eta
  phi
""",
        "ValueError: bad branches",
        "payload",
        "user",
    ),
    Case(
        "import_of_compiled_module",
        """
Traceback (most recent call last):
  File "/srv/job/run.py", line 1, in <module>
    import ROOT
ImportError: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by libCore.so)
""",
        "ImportError: /lib64/libstdc++.so.6",
        "payload",
        "software",
    ),
    Case(
        "subprocess_of_python",
        """
cp: error writing '/srv/job/out/merged.root': No space left on device
Traceback (most recent call last):
  File "/srv/job/merge.py", line 12, in <module>
    subprocess.run(command, check=True)
subprocess.CalledProcessError: Command '['cp', 'a.root', 'out/merged.root']' returned non-zero exit status 1.
""",
        "cp: error writing '/srv/job/out/merged.root'",
        "",
        "disk",
    ),
    Case(
        "gdb_stack_of_a_framework",
        """
Thread 1 "python" received signal SIGSEGV, Segmentation fault.
0x00007fffe81a2b3c in Tracker::hits (this=0x0) at Tracker.cxx:88
""",
        'Thread 1 "python" received signal SIGSEGV',
        "payload",
        "user",
    ),
    Case(
        "faulthandler",
        """
Fatal Python error: Segmentation fault

Current thread 0x00007f6f4d2b8740 (most recent call first):
  File "/srv/job/train.py", line 77 in forward
""",
        "Fatal Python error: Segmentation fault",
        "payload",
        "user",
    ),
    Case(
        "nvcc_error",
        """
kernel.cu(41): error: identifier "blockDimX" is undefined
1 error detected in the compilation of "kernel.cu".
make: *** [Makefile:14: kernel.o] Error 255
""",
        "kernel.cu(41): error: identifier",
        "build",
        "user",
    ),
    Case(
        "linker_missing_library",
        """
/usr/bin/ld: cannot find -lfastjet: No such file or directory
collect2: error: ld returned 1 exit status
make: *** [Makefile:9: shower] Error 1
""",
        "/usr/bin/ld: cannot find -lfastjet",
        "build",
        "user",
    ),
    Case(
        "busybox_not_found",
        """
sh: lsb_release: not found
""",
        "sh: lsb_release: not found",
        "payload",
        "user",
    ),
    Case(
        "fish_unknown_command",
        """
fish: Unknown command: asetup
""",
        "fish: Unknown command: asetup",
        "payload",
        "user",
    ),
    Case(
        "systemd_oom",
        """
kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=job_77,task_memcg=/slurm/job_77,task=reco,pid=8123
""",
        "kernel: oom-kill:constraint=CONSTRAINT_MEMCG",
        "payload",
        "memory",
    ),
    Case(
        "condor_memory",
        """
012 (911.000.000) 11/25 11:40:02 Job was held.
\tError from slot1@wn2: Job has gone over cgroup memory limit of 4096 megabytes. Last measured usage: 4090 megabytes.
""",
        "Error from slot1@wn2: Job has gone over cgroup memory limit",
        "batch",
        "memory",
    ),
    Case(
        "condor_transfer",
        """
Error from slot1@wn2: STARTER at 10.1.2.3 failed to send file(s) to <10.1.0.1:9618>; SHADOW failed to write to file out.root
""",
        "Error from slot1@wn2: STARTER at 10.1.2.3 failed",
        "batch",
        "node",
    ),
    Case(
        "xrdcp_auth",
        """
[2026-11-25 10:00:00.112 +0000][Error  ][XRootDTransport  ] [se1:1094 #0.0] No protocols left to try
[ERROR] Server responded with an error: [3010] Unable to give access - user access restricted ; Permission denied
""",
        "[ERROR] Server responded with an error: [3010]",
        "",
        "auth",
    ),
    Case(
        "gfal_checksum",
        """
gfal-copy error: 5 (Input/output error) - SOURCE CHECKSUM MISMATCH user provided 0x1 and source 0x2 do not match
""",
        "gfal-copy error: 5",
        "",
        "data",
    ),
    Case(
        "gfal_sum",
        """
gfal-stat error: 2 (No such file or directory) - Result HTTP 404 : File not found after 1 attempts
""",
        "gfal-stat error: 2",
        "stage-in",
        "data",
    ),
    Case(
        "rucio_quota",
        """
rucio.common.exception.InsufficientAccountLimit: There is not enough quota left to fulfil the operation.
""",
        "rucio.common.exception.InsufficientAccountLimit",
        "stage-out",
        "storage",
    ),
    Case(
        "rucio_checksum_of_download",
        """
2026-11-25 10:11:12,000\tERROR\tCould not validate the checksum of AOD.1.root: expected f00dbabe, got deadbeef
""",
        "2026-11-25 10:11:12,000\tERROR\tCould not validate the checksum",
        "",
        "data",
    ),
    Case(
        "curl_http_500",
        """
curl: (22) The requested URL returned error: 503
""",
        "curl: (22) The requested URL returned error: 503",
        "",
        "network",
    ),
    Case(
        "container_userns",
        """
ERROR  : Failed to create user namespace: user namespace disabled
""",
        "ERROR  : Failed to create user namespace",
        "container",
        "node",
    ),
    Case(
        "apptainer_mount",
        """
FATAL:   container creation failed: mount /proc/self/fd/3 error: while mounting image: no loop devices available
""",
        "FATAL:   container creation failed",
        "container",
        "container",
    ),
    Case(
        "cvmfs_probe",
        """
Probing /cvmfs/sft.cern.ch... Failed!
CernVM-FS: failed to mount /cvmfs/sft.cern.ch
""",
        "CernVM-FS: failed to mount",
        "setup",
        "software",
    ),
    Case(
        "conda_missing_environment",
        """
EnvironmentNameNotFound: Could not find conda environment: hep-2026
You can list all discoverable environments with `conda info --envs`.
""",
        "EnvironmentNameNotFound: Could not find conda environment",
        "setup",
        "user",
    ),
    Case(
        "pip_build",
        """
  error: subprocess-exited-with-error

  × Building wheel for fastjet (pyproject.toml) did not run successfully.
ERROR: Failed building wheel for fastjet
ERROR: Could not build wheels for fastjet, which is required to install pyproject.toml-based projects
""",
        "ERROR: Failed building wheel for fastjet",
        "build",
        "user",
    ),
    Case(
        "uv_resolver",
        """
  × No solution found when resolving dependencies:
  ╰─▶ Because coffea==2025.1 depends on numpy>=1.22 and you require numpy==1.19.5, your requirements are unsatisfiable.
""",
        "× No solution found when resolving dependencies",
        "build",
        "user",
    ),
    Case(
        "java_class_missing",
        """
Error: Could not find or load main class org.example.Merge
Caused by: java.lang.ClassNotFoundException: org.example.Merge
""",
        "Caused by: java.lang.ClassNotFoundException",
        "payload",
        "user",
    ),
    Case(
        "intel_fortran",
        """
forrtl: severe (174): SIGSEGV, segmentation fault occurred
Image              PC                Routine            Line        Source
madevent           0000000000A1B2C3  Unknown               Unknown  Unknown
""",
        "forrtl: severe (174): SIGSEGV",
        "payload",
        "user",
    ),
    Case(
        "julia_package",
        """
ERROR: ArgumentError: Package UnROOT not found in current path.
- Run `import Pkg; Pkg.add("UnROOT")` to install the UnROOT package.
Stacktrace:
 [1] macro expansion
""",
        "ERROR: ArgumentError: Package UnROOT not found",
        "payload",
        "software",
    ),
    Case(
        "julia_method",
        """
ERROR: MethodError: no method matching fit(::Vector{Int64})
Stacktrace:
 [1] top-level scope
   @ /srv/job/fit.jl:4
""",
        "ERROR: MethodError: no method matching",
        "payload",
        "user",
    ),
    Case(
        "go_fatal",
        """
fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.main()
""",
        "fatal error: all goroutines are asleep",
        "payload",
        "user",
    ),
    Case(
        "rust_backtrace_of_main",
        """
thread 'main' (40112) panicked at src/main.rs:19:10:
index out of bounds: the len is 3 but the index is 7
""",
        "thread 'main' (40112) panicked at",
        "payload",
        "user",
    ),
    Case(
        "athena_missing_input",
        """
PoolSvc                                              ERROR Failed to open input file AOD.1.root
AthAlgSeq                                            FATAL  Standard exception from EventSelector: no such file
""",
        "AthAlgSeq",
        "payload",
        "user",
    ),
    Case(
        "proxy_of_grid_ce",
        """
Proxy certificate has expired, cannot delegate
""",
        "Proxy certificate has expired",
        "",
        "auth",
    ),
    Case(
        "token_of_storage",
        """
HTTP 401 Unauthorized: {"error": "invalid_token", "error_description": "token expired at 2026-11-25T09:00:00Z"}
""",
        "HTTP 401 Unauthorized",
        "",
        "auth",
    ),
    Case(
        "mysql_gone",
        """
Traceback (most recent call last):
  File "/srv/job/bookkeep.py", line 8, in <module>
    cursor.execute(SQL)
pymysql.err.OperationalError: (2013, 'Lost connection to MySQL server during query')
""",
        "pymysql.err.OperationalError: (2013",
        "",
        "database",
    ),
    Case(
        "sqlalchemy_database",
        """
Traceback (most recent call last):
  File "/srv/job/bookkeep.py", line 8, in <module>
    session.commit()
sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) server closed the connection unexpectedly
\tThis probably means the server terminated abnormally
""",
        "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError)",
        "",
        "database",
    ),
    Case(
        "permission_denied_python",
        """
Traceback (most recent call last):
  File "/srv/job/write.py", line 2, in <module>
    open("/cvmfs/x/y", "w")
PermissionError: [Errno 13] Permission denied: '/cvmfs/x/y'
""",
        "PermissionError: [Errno 13]",
        "payload",
        "user",
    ),
    Case(
        "ulimit_processes",
        """
OpenBLAS blas_thread_init: pthread_create failed for thread 12 of 64: Resource temporarily unavailable
OpenBLAS blas_thread_init: RLIMIT_NPROC 1024 current, 1024 max
""",
        "OpenBLAS blas_thread_init: pthread_create failed",
        "",
        "node",
    ),
    Case(
        "ulimit_cpu",
        """
/srv/job.sh: line 9: 1222 CPU time limit exceeded (core dumped) ./scan
""",
        "/srv/job.sh: line 9: 1222 CPU time limit exceeded",
        "payload",
        "time",
    ),
    Case(
        "file_size_limit",
        """
/srv/job.sh: line 9: 1222 File size limit exceeded(core dumped) ./scan > out.txt
""",
        "/srv/job.sh: line 9: 1222 File size limit exceeded",
        "payload",
        "user",
    ),
    Case(
        "mpi_lost_rank",
        """
--------------------------------------------------------------------------
mpirun noticed that process rank 5 with PID 0 on node wn17 exited on signal 9 (Killed).
--------------------------------------------------------------------------
""",
        "mpirun noticed that process rank 5",
        "payload",
        "user",
    ),
    Case(
        "cuda_driver",
        """
RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver.
""",
        "RuntimeError: The NVIDIA driver on your system is too old",
        "payload",
        "node",
    ),
    Case(
        "tensorflow_oom",
        """
Traceback (most recent call last):
  File "/srv/job/train.py", line 140, in step
    y = model(x)
tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor with shape[512,4096]
""",
        "tensorflow.python.framework.errors_impl.ResourceExhaustedError",
        "payload",
        "memory",
    ),
    Case(
        "matlab_license",
        """
License Manager Error -9. The user name does not match the user name in the license file.
""",
        "License Manager Error -9",
        "payload",
        "software",
    ),
    Case(
        "disk_quota_of_home",
        """
tar: hist.root: Cannot write: Disk quota exceeded
tar: Exiting with failure status due to previous errors
""",
        "tar: hist.root: Cannot write: Disk quota exceeded",
        "",
        "disk",
    ),
    Case(
        "missing_input_in_shell",
        """
head: cannot open 'inputs/list.txt' for reading: No such file or directory
""",
        "head: cannot open 'inputs/list.txt'",
        "payload",
        "user",
    ),
    Case(
        "htcondor_node_vanished",
        """
022 (911.000.000) 11/25 11:40:02 Job disconnected, attempting to reconnect
024 (911.000.000) 11/25 12:20:02 Job reconnection failed
    Job disconnected too long: JobLeaseDuration (2400 seconds) expired
""",
        "024 (911.000.000) 11/25 12:20:02 Job reconnection failed",
        "batch",
        "node",
    ),
    Case(
        "node_without_network",
        """
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='panda.example.org', port=443): Max retries exceeded with url: /x
""",
        "requests.exceptions.ConnectionError",
        "",
        "network",
    ),
)
