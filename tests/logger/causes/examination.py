"""The examiner's logs (test_examination.py): what stands before the end, which line says why, where and what it was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One log without the talk around it. `culprit`: how the line begins that a person would point at.

    `step` and `error_class` are empty where the line does not say them: then the job's phase and code do.
    """

    name: str
    log: str
    culprit: str
    step: str
    error_class: str
    is_at_end: bool = False
    """Whether nothing comes after it."""


CASES = (
    Case(
        "python_chained_with_library_frames",
        """
Traceback (most recent call last):
  File "/cvmfs/sft.cern.ch/lcg/views/LCG_107/lib/python3.11/site-packages/uproot/reading.py", line 2083, in __getitem__
    raise uproot.KeyInFileError(where, file_path=self._file.file_path)
uproot.exceptions.KeyInFileError: not found: 'nominal' in file AOD.pool.root.1

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/scratch/job/work/analysis.py", line 88, in <module>
    main()
  File "/scratch/job/work/analysis.py", line 71, in main
    events = load(path)
  File "/scratch/job/work/loader.py", line 14, in load
    raise InputProblem(f"no tree in {path}") from error
loader.InputProblem: no tree in AOD.pool.root.1
""",
        "loader.InputProblem: no tree",
        "payload",
        "user",
    ),
    Case(
        "python_keyerror_pandas",
        """
Traceback (most recent call last):
  File "/opt/conda/lib/python3.10/site-packages/pandas/core/indexes/base.py", line 3802, in get_loc
    return self._engine.get_loc(casted_key)
  File "pandas/_libs/index.pyx", line 138, in pandas._libs.index.IndexEngine.get_loc
KeyError: 'lead_pt'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "train.py", line 33, in <module>
    x = frame["lead_pt"]
KeyError: 'lead_pt'
+ rc=1
""",
        "KeyError: 'lead_pt'",
        "payload",
        "user",
    ),
    Case(
        "root_segfault",
        """
 *** Break *** segmentation violation

===========================================================
There was a crash.
This is the entire stack trace of all threads:
===========================================================
#0  0x00007f1c2ba6fc5a in wait4 () from /lib64/libc.so.6
#1  0x00007f1c2b9e1b9b in do_system () from /lib64/libc.so.6
#2  0x00007f1c2e2d6a25 in TUnixSystem::StackTrace() () from /cvmfs/sft.cern.ch/lcg/releases/ROOT/6.32/lib/libCore.so
===========================================================

The lines below might hint at the cause of the crash.
You may get help by asking at the ROOT forum https://root.cern/forum
===========================================================
#5  0x00007f1c1f0a3b44 in TrackFitter::fit(Track const&) () from ./libTracks.so
#6  0x000000000040215e in main ()
===========================================================
""",
        "#5  0x00007f1c1f0a3b44 in TrackFitter::fit",
        "payload",
        "user",
    ),
    Case(
        "bash_segfault",
        """
./run_job.sh: line 41: 21877 Segmentation fault      (core dumped) ./reco -n 500 -i input.root
payload ended with exit code 139
""",
        "./run_job.sh: line 41",
        "payload",
        "user",
    ),
    Case(
        "gcc_template_error",
        """
In file included from src/fit.cxx:3:
include/model.h: In instantiation of 'double Model<T>::eval(T) const [with T = std::vector<double>]':
src/fit.cxx:57:22:   required from here
include/model.h:112:18: error: no match for 'operator*' (operand types are 'double' and 'std::vector<double>')
  112 |     return scale * value;
      |            ~~~~~~^~~~~~~
include/model.h:112:18: note:   mismatched types 'const std::complex<_Tp>' and 'double'
src/fit.cxx:60:5: error: expected ';' before 'return'
gmake[2]: *** [CMakeFiles/fit.dir/build.make:76: CMakeFiles/fit.dir/src/fit.cxx.o] Error 1
gmake[1]: *** [CMakeFiles/Makefile2:83: CMakeFiles/fit.dir/all] Error 2
gmake: *** [Makefile:91: all] Error 2
""",
        "include/model.h:112:18: error: no match",
        "build",
        "user",
    ),
    Case(
        "ld_undefined",
        """
/cvmfs/sft.cern.ch/lcg/releases/binutils/2.40/x86_64-el9/bin/ld: CMakeFiles/fit.dir/main.cxx.o: in function `main':
main.cxx:(.text.startup+0x1c3): undefined reference to `RooStats::Fitter::Fitter(int)'
collect2: error: ld returned 1 exit status
ninja: build stopped: subcommand failed.
""",
        "main.cxx:(.text.startup+0x1c3): undefined reference",
        "build",
        "user",
    ),
    Case(
        "cmake_find_package",
        """
-- The CXX compiler identification is GNU 13.1.0
CMake Error at CMakeLists.txt:12 (find_package):
  By not providing "FindFastJet.cmake" in CMAKE_MODULE_PATH this project has
  asked CMake to find a package configuration file provided by "FastJet", but
  CMake did not find one.

-- Configuring incomplete, errors occurred!
""",
        "CMake Error at CMakeLists.txt:12",
        "build",
        "user",
    ),
    Case(
        "zsh_command_not_found",
        """
runjob.zsh:7: command not found: lsetup
exit 127
""",
        "runjob.zsh:7: command not found: lsetup",
        "payload",
        "user",
    ),
    Case(
        "dash_not_found",
        """
/srv/job/work/job.sh: 12: athena.py: not found
return code 127
""",
        "/srv/job/work/job.sh: 12: athena.py: not found",
        "payload",
        "user",
    ),
    Case(
        "tcsh_not_found",
        """
setupATLAS: Command not found.
exit status was 1
""",
        "setupATLAS: Command not found.",
        "payload",
        "user",
    ),
    Case(
        "env_no_such_program",
        """
/usr/bin/env: 'python2': No such file or directory
child ended with 127
""",
        "/usr/bin/env: 'python2': No such file or directory",
        "payload",
        "user",
    ),
    Case(
        "dmesg_oom",
        """
[1204411.880213] python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[1204411.880499] memory: usage 4194304kB, limit 4194304kB, failcnt 8812
[1204411.881022] Memory cgroup out of memory: Killed process 40112 (python3) total-vm:9123004kB, anon-rss:4113220kB
/srv/job.sh: line 3: 40112 Killed                  python3 train.py
""",
        "[1204411.880213] python3 invoked oom-killer",
        "payload",
        "memory",
    ),
    Case(
        "slurm_oom",
        """
slurmstepd: error: Detected 3 oom_kill events in StepId=77120_4.batch. Some of the step tasks have been OOM Killed.
""",
        "slurmstepd: error: Detected 3 oom_kill events",
        "payload",
        "memory",
        is_at_end=True,
    ),
    Case(
        "slurm_time",
        """
slurmstepd: error: *** JOB 77121 ON wn0231 CANCELLED AT 2026-11-25T12:00:16 DUE TO TIME LIMIT ***
""",
        "slurmstepd: error: *** JOB 77121",
        "batch",
        "time",
        is_at_end=True,
    ),
    Case(
        "condor_hold_memory",
        """
012 (8812.000.000) 2026-11-25 11:40:02 Job was held.
\tError from slot1_3@wn017.example.org: Docker job has gone over memory limit of 2048 Mb
\tCode 34 Subcode 0
""",
        "Error from slot1_3@wn017.example.org: Docker job has gone over memory limit",
        "batch",
        "memory",
    ),
    Case(
        "disk_full_python",
        """
Traceback (most recent call last):
  File "/srv/job/merge.py", line 51, in write
    out.write(chunk)
OSError: [Errno 28] No space left on device
""",
        "OSError: [Errno 28] No space left",
        "",
        "disk",
    ),
    Case(
        "disk_full_root",
        """
SysError in <TFile::WriteBuffer>: error writing to file hist.root (-1) (No space left on device)
Error in <TFile::WriteBuffer>: error writing all requested bytes to file hist.root, wrote 12288 of 65536
""",
        "SysError in <TFile::WriteBuffer>: error writing to file hist.root (-1)",
        "",
        "disk",
    ),
    Case(
        "xrdcp_no_such_file",
        """
[0B/0B][100%][==================================================][0B/s]
Run: [ERROR] Server responded with an error: [3011] Unable to open file /eos/AOD.1.root; No such file or directory (source)
""",
        "Run: [ERROR] Server responded with an error: [3011]",
        "stage-in",
        "data",
    ),
    Case(
        "xrootd_operation_expired_tfile",
        """
Error in <TNetXNGFile::Open>: [ERROR] Operation expired
cannot read root://se2.example.org//store/AOD.7.root, giving up
""",
        "Error in <TNetXNGFile::Open>: [ERROR] Operation expired",
        "",
        "storage",
    ),
    Case(
        "gfal_timeout",
        """
Copying 1 file
gfal-copy error: 70 (Communication error on send) - TRANSFER  ERROR: Copy failed (3rd pull). HTTP 507
""",
        "gfal-copy error: 70",
        "",
        "storage",
    ),
    Case(
        "rucio_no_replica",
        """
2026-11-25 09:12:44,120\tERROR\tNo file to download
Traceback (most recent call last):
  File "/usr/lib/python3.9/site-packages/rucio/client/downloadclient.py", line 312, in download_dids
    raise NoFilesDownloaded()
rucio.common.exception.NoFilesDownloaded: None of the requested files have been downloaded.
""",
        "rucio.common.exception.NoFilesDownloaded",
        "stage-in",
        "data",
    ),
    Case(
        "davix_forbidden",
        """
(Davix::HttpRequest) Error: HTTP 403 : Permission refused
""",
        "(Davix::HttpRequest) Error: HTTP 403",
        "",
        "auth",
    ),
    Case(
        "curl_ssl_expired",
        """
  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current
curl: (60) SSL certificate problem: certificate has expired
More details here: https://curl.se/docs/sslcerts.html
""",
        "curl: (60) SSL certificate problem",
        "",
        "auth",
    ),
    Case(
        "fts_overwrite",
        """
Transfer of AOD.31.root failed
DESTINATION OVERWRITE srm-ifce err: Communication error on send, err: [SE][srmRm][] CGSI-gSOAP could not connect
""",
        "DESTINATION OVERWRITE srm-ifce err",
        "",
        "storage",
    ),
    Case(
        "singularity_image",
        """
INFO:    Converting SIF file to temporary sandbox...
FATAL:   while extracting /srv/atlas.sif: root filesystem extraction failed: extract command failed: exit status 1
""",
        "FATAL:   while extracting",
        "container",
        "container",
    ),
    Case(
        "apptainer_exec",
        """
FATAL:   "/srv/run.sh": permission denied
""",
        'FATAL:   "/srv/run.sh": permission denied',
        "container",
        "container",
    ),
    Case(
        "cvmfs_endpoint",
        """
ls: cannot access '/cvmfs/atlas.cern.ch': Transport endpoint is not connected
/srv/job.sh: line 4: /cvmfs/atlas.cern.ch/repo/ATLASLocalRootBase/user/atlasLocalSetup.sh: Transport endpoint is not connected
""",
        "ls: cannot access '/cvmfs/atlas.cern.ch'",
        "setup",
        "software",
    ),
    Case(
        "conda_resolver",
        """
Solving environment: ...working... failed

LibMambaUnsatisfiableError: Encountered problems while solving:
  - package pytorch-2.1.0-cuda112 requires cudatoolkit 11.2.*, but none of the providers can be installed
""",
        "LibMambaUnsatisfiableError: Encountered problems",
        "setup",
        "user",
    ),
    Case(
        "pip_conflict",
        """
INFO: pip is looking at multiple versions of coffea to determine which version is compatible with other requirements.
ERROR: Cannot install coffea==2025.1 and numpy==1.19.5 because these package versions have conflicting dependencies.

The conflict is caused by:
    coffea 2025.1 depends on numpy>=1.22
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution/
""",
        "ERROR: Cannot install coffea==2025.1",
        "build",
        "user",
    ),
    Case(
        "java_stack",
        """
Exception in thread "main" org.apache.spark.SparkException: Job aborted due to stage failure
\tat org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:2672)
Caused by: java.io.FileNotFoundException: /data/events.parquet (No such file or directory)
\tat java.io.FileInputStream.open0(Native Method)
\t... 12 more
""",
        "Caused by: java.io.FileNotFoundException",
        "payload",
        "user",
    ),
    Case(
        "fortran_eof",
        """
At line 218 of file pythia_steer.f (unit = 15, file = 'cards.dat')
Fortran runtime error: End of file

Error termination. Backtrace:
#0  0x7f5a1d0 in ???
""",
        "Fortran runtime error: End of file",
        "payload",
        "user",
    ),
    Case(
        "julia_bounds",
        """
ERROR: LoadError: BoundsError: attempt to access 10-element Vector{Float64} at index [11]
Stacktrace:
 [1] getindex
   @ ./essentials.jl:13 [inlined]
in expression starting at /srv/job/fit.jl:9
""",
        "ERROR: LoadError: BoundsError",
        "payload",
        "user",
    ),
    Case(
        "go_nil",
        """
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x4a2f1c]

goroutine 1 [running]:
main.(*Merger).Run(0x0)
\t/srv/merge.go:77 +0x1c
exit status 2
""",
        "panic: runtime error: invalid memory address",
        "payload",
        "user",
    ),
    Case(
        "rust_unwrap",
        """
thread 'tokio-runtime-worker' panicked at src/reader.rs:112:29:
called `Result::unwrap()` on an `Err` value: ParseIntError { kind: InvalidDigit }
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
""",
        "thread 'tokio-runtime-worker' panicked at",
        "payload",
        "user",
    ),
    Case(
        "athena_signal",
        """
AthenaEventLoopMgr                                  INFO   ===>>>  start processing event #1143001, run #358031 on slot 3 <<<===
Core::CoreDumpSvc                                  FATAL Caught fatal signal(11) . Printing details to stdout.
FATAL: Caught signal 11(Segmentation fault). Details:
 errno = 0, code = 1 (address not mapped to object)
""",
        "FATAL: Caught signal 11(Segmentation fault)",
        "payload",
        "user",
    ),
    Case(
        "geant4_exception",
        """
-------- EEEE ------- G4Exception-START -------- EEEE -------
*** G4Exception : GeomNav1002
      issued by : G4Navigator::ComputeStep()
Track stuck or not moving.
*** Fatal Exception *** core dump ***
-------- EEEE -------- G4Exception-END --------- EEEE -------
""",
        "*** G4Exception : GeomNav1002",
        "payload",
        "user",
    ),
    Case(
        "python_ssl_expired",
        """
Traceback (most recent call last):
  File "/usr/lib/python3.11/urllib/request.py", line 1348, in do_open
    h.request(req.get_method(), req.selector, req.data, headers)
ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/job/fetch.py", line 9, in <module>
    urlopen(URL)
urllib.error.URLError: <urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired (_ssl.c:1006)>
""",
        "urllib.error.URLError: <urlopen error [SSL",
        "",
        "auth",
    ),
    Case(
        "voms_proxy_expired",
        """
Error: the proxy of /DC=ch/DC=cern/CN=Robot 1 at /tmp/x509up_u1001 has expired 312 s ago
""",
        "Error: the proxy of /DC=ch",
        "",
        "auth",
    ),
    Case(
        "oracle_timeout",
        """
CORAL/RelationalPlugins/oracle  Error Cannot establish the connection: ORA-12170: TNS:Connect timeout occurred
IOVDbSvc                                            ERROR Could not open connection to COOLOFL_DCS/CONDBR2
""",
        "CORAL/RelationalPlugins/oracle  Error",
        "",
        "database",
    ),
    Case(
        "wrong_checksum",
        """
ERROR: file EVNT.12.pool.root.1: adler32 checksum differs: expected 0f3a11bc, got 77d01e02
removing the local copy
""",
        "ERROR: file EVNT.12.pool.root.1: adler32 checksum",
        "",
        "data",
    ),
    Case(
        "permission_denied_bash",
        """
/bin/bash: ./run_analysis.sh: Permission denied
""",
        "/bin/bash: ./run_analysis.sh: Permission denied",
        "payload",
        "user",
    ),
    Case(
        "killed_alone",
        """
Killed
""",
        "Killed",
        "payload",
        "memory",
    ),
    Case(
        "bus_error",
        """
./wrapper.sh: line 9: 3011 Bus error               (core dumped) ./simulate cards.json
""",
        "./wrapper.sh: line 9: 3011 Bus error",
        "payload",
        "user",
    ),
    Case(
        "ulimit_files",
        """
Traceback (most recent call last):
  File "/srv/job/skim.py", line 20, in <module>
    handles = [open(name) for name in names]
OSError: [Errno 24] Too many open files: 'part_1021.txt'
""",
        "OSError: [Errno 24] Too many open files",
        "payload",
        "user",
    ),
    Case(
        "mpi_abort",
        """
--------------------------------------------------------------------------
MPI_ABORT was invoked on rank 3 in communicator MPI_COMM_WORLD
with errorcode 17.
--------------------------------------------------------------------------
""",
        "MPI_ABORT was invoked on rank 3",
        "payload",
        "user",
    ),
    Case(
        "cuda_oom_jax",
        """
W bfc_allocator.cc:497] Allocator (GPU_0_bfc) ran out of memory trying to allocate 12.00GiB
Traceback (most recent call last):
  File "/srv/job/train.py", line 140, in step
    grads = grad_fn(params, batch)
jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12884901888 bytes.
""",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED",
        "payload",
        "memory",
    ),
    Case(
        "license_server",
        """
FLEXnet Licensing error:-15,570. System Error: 115 "Operation now in progress"
License checkout failed. Cannot connect to license server system. license.example.org:27000
""",
        "FLEXnet Licensing error:-15,570",
        "payload",
        "software",
    ),
    Case(
        "postgres_statement_timeout",
        """
Traceback (most recent call last):
  File "/srv/job/conditions.py", line 61, in fetch
    cursor.execute(QUERY)
psycopg2.errors.QueryCanceled: canceling statement due to statement timeout
""",
        "psycopg2.errors.QueryCanceled",
        "",
        "database",
    ),
    Case(
        "condor_walltime",
        """
012 (8813.000.000) 2026-11-25 11:40:02 Job was held.
\tThe job exceeded allowed execute duration of 2+00:00:00
\tCode 47 Subcode 0
""",
        "The job exceeded allowed execute duration",
        "batch",
        "time",
    ),
    Case(
        "missing_shared_library",
        """
./reco: error while loading shared libraries: libCore.so.6.30: cannot open shared object file: No such file or directory
""",
        "./reco: error while loading shared libraries",
        "payload",
        "software",
    ),
    Case(
        "cpp_exception",
        """
terminate called after throwing an instance of 'std::out_of_range'
  what():  vector::_M_range_check: __n (which is 12) >= this->size() (which is 12)
/srv/job.sh: line 12: 771 Aborted                 (core dumped) ./ntuple
""",
        "what():  vector::_M_range_check",
        "payload",
        "user",
    ),
    Case(
        "cmsrun_exception",
        """
----- Begin Fatal Exception 25-Nov-2026 10:44:12 UTC-----------------------
An exception of category 'ProductNotFound' occurred while
   [0] Processing  Event run: 362760 lumi: 12 event: 18882 stream: 0
   [1] Running path 'p'
Exception Message:
Principal::getByToken: Found zero products matching all criteria
----- End Fatal Exception -------------------------------------------------
""",
        "An exception of category 'ProductNotFound' occurred",
        "payload",
        "user",
    ),
)
