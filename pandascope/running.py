"""From a shell command and files to a task: register the files, split them into jobs, submit. Procedure of `Client.run`."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandascope import calls
from pandascope.errors import ClientError, Usage
from pandascope.files import LocalFile, find_files, measure
from pandascope.steps import Procedure, Work

LOCAL_ENDPOINT = "LOCAL_DISK"
_SHARED_MOVERS = frozenset({"cp", "symlink"})
"""Movers that read a path of this machine, so that files can be registered where they lie."""

_PLACEHOLDER = re.compile(r"(?<!%)%(IN|OUT[0-9]*|JOB)\b")

Stage = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, how many there are."""


@dataclass(frozen=True)
class RunRequest:
    """A command to run over files as jobs; docs/api.md says what %IN, %OUT and %JOB become. None: not stated.

    `inputs` and `sandbox` are names, patterns or directories (files.py); every job gets `files_per_job` inputs and all
    of the sandbox. Without inputs, `n_jobs` jobs run.
    """

    command: str
    inputs: Sequence[str | Path] = ()
    outputs: Sequence[str] = ()
    files_per_job: int | None = None
    n_jobs: int | None = None
    sandbox: Sequence[str | Path] = ()
    site: str | None = None
    memory_mb: int | None = None
    cores: int | None = None
    walltime_s: int | None = None
    disk_mb: int | None = None
    attempts: int | None = None
    scouts: bool = False
    """Whether ten jobs go first and measure what the others need."""
    preprocess: str | None = None
    """The command of a first job, which writes parameters of the task to %OUT as JSON: its inputFiles, say, or nJobs."""
    name: str | None = None
    priority: int | None = None


@dataclass(frozen=True)
class Submitted:
    """What `run` sent off."""

    jedi_task_id: int
    task_name: str
    n_inputs: int
    input_bytes: int


def run(request: RunRequest, on_stage: Stage | None = None) -> Procedure[Submitted]:
    """Check everything on this machine, then register the files and submit the task.

    Raises Usage for a request that makes no sense or a file that cannot be used, before anything is sent.
    """
    _check(request)
    inputs = yield Work(lambda: find_files(request.inputs, "--in"))
    sandbox = yield Work(lambda: find_files(request.sandbox, "--sandbox"))
    _check_names(request, inputs, sandbox)
    name = request.name or f"run.{time.strftime('%Y%m%d%H%M%S', time.gmtime())}.{uuid.uuid4().hex[:6]}"
    datasets: dict[str, str] = {}
    inputs = yield from _register(inputs, "input", f"{name}_in", datasets, on_stage)
    sandbox = yield from _register(sandbox, "sandbox", f"{name}_sandbox", datasets, on_stage)
    jedi_task_id = yield calls.submit_task(task_parameters(request, name, datasets))
    return Submitted(jedi_task_id, name, len(inputs), sum(file.size_bytes for file in inputs))


def task_parameters(request: RunRequest, name: str, datasets: dict[str, str]) -> dict[str, Any]:
    """The task as PanDA's parameter dictionary; what is not stated is left out."""
    stated = {
        "taskName": name,
        "prodSourceLabel": "user",
        "processingType": "run",
        "transPath": "runShell",
        "jobParameters": request.command,
        "inputDataset": datasets.get("input"),
        "sandboxDataset": datasets.get("sandbox"),
        "nFilesPerJob": (request.files_per_job or 1) if request.inputs else None,
        "nJobs": None if request.inputs else request.n_jobs or 1,
        "preproSpec": {"command": request.preprocess} if request.preprocess else None,
        "outputs": list(request.outputs),
        "site": request.site,
        "ramCount": request.memory_mb,
        "coreCount": request.cores,
        "maxWalltime": request.walltime_s,
        "maxDiskCount": request.disk_mb,
        "maxAttempt": request.attempts,
        "maxFailure": request.attempts,
        "useScout": True if request.scouts else None,
        "taskPriority": request.priority,
    }
    return {key: value for key, value in stated.items() if value is not None}


def _register(
    files: list[LocalFile], kind: str, dataset: str, datasets: dict[str, str], on_stage: Stage | None
) -> Procedure[list[LocalFile]]:
    """Measure files and register them where they lie; notes the dataset's name under its kind. No files: no dataset."""
    if not files:
        return []
    endpoint = local_endpoint((yield calls.endpoints()))
    done = 0

    def count(_: LocalFile) -> None:
        nonlocal done
        done += 1
        if on_stage is not None:
            on_stage(f"reading {kind} files", done, len(files))

    measured: list[LocalFile] = yield Work(lambda: measure(files, count))
    datasets[kind] = f"{dataset}.{uuid.uuid4().hex[:8]}"
    yield calls.register_dataset(datasets[kind], kind, [registration(file, endpoint) for file in measured], None)
    return measured


def local_endpoint(endpoints: Sequence[dict[str, Any]]) -> str:
    """The endpoint whose files are paths of this machine. Raises ClientError when the server knows none that is usable."""
    usable = [
        row["name"]
        for row in endpoints
        if row.get("mover") in _SHARED_MOVERS and row.get("state") == "online" and row.get("kind", "disk") == "disk"
    ]
    if not usable:
        raise ClientError(
            "no storage endpoint of the server reads files of this machine",
            code="no_local_endpoint",
            remedy="an operator can make one: PUT /api/control/endpoint/LOCAL_DISK",
        )
    return LOCAL_ENDPOINT if LOCAL_ENDPOINT in usable else str(usable[0])


def registration(file: LocalFile, endpoint: str) -> dict[str, Any]:
    """A measured file as the catalogue takes it, with its copy at `endpoint`."""
    return {
        "lfn": file.lfn,
        "size_bytes": file.size_bytes,
        "checksum": file.checksum,
        "replicas": [{"endpoint": endpoint, "pfn": str(file.path)}],
    }


def _check(request: RunRequest) -> None:
    """Raise Usage for what makes no sense together."""
    if not request.command.strip():
        raise Usage("the command is empty", field="--exec", remedy="for example --exec 'wc -w %IN > %OUT'")
    for option, value in (
        ("--files-per-job", request.files_per_job),
        ("--jobs", request.n_jobs),
        ("--cores", request.cores),
        ("--attempts", request.attempts),
        ("--memory", request.memory_mb),
        ("--walltime", request.walltime_s),
        ("--disk", request.disk_mb),
    ):
        if value is not None and value < 1:
            raise Usage(f"{value} is not a positive number", field=option)
    if request.inputs and request.n_jobs is not None:
        raise Usage(
            "the number of jobs follows from the files", field="--jobs", remedy="use --files-per-job, or leave --in out"
        )
    if not request.inputs and request.files_per_job is not None:
        raise Usage("there are no input files", field="--files-per-job", remedy="name some with --in")
    words = _PLACEHOLDER.findall(request.command)
    if "IN" in words and not request.inputs:
        raise Usage("%IN stands for input files, but there are none", field="--exec", remedy="name some with --in")
    if request.preprocess is not None and "OUT" not in _PLACEHOLDER.findall(request.preprocess):
        raise Usage(
            "the first job is to write what it finds to %OUT", field="--preprocess", remedy="as in './find.py > %OUT'"
        )
    if any(word.startswith("OUT") for word in words) and not request.outputs:
        raise Usage("%OUT stands for an output, but there is none", field="--exec", remedy="name it with --out")


def _check_names(request: RunRequest, inputs: list[LocalFile], sandbox: list[LocalFile]) -> None:
    """Raise Usage when two files of a job would have one name."""
    taken = {os.path.normpath(file.lfn): "--in" for file in inputs}
    for option, names in (("--sandbox", [file.lfn for file in sandbox]), ("--out", list(request.outputs))):
        for name in names:
            plain = os.path.normpath(name)
            if not name or name.startswith("/") or ".." in name.split("/") or "\0" in name:
                raise Usage(f"{name!r} is not a name inside the job's directory", field=option)
            if plain in taken:
                raise Usage(f"{name!r} is also a file of {taken[plain]}", field=option, remedy="choose another name")
            taken[plain] = option
