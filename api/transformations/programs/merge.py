"""runMerge: makes one file of several of a kind, as the kind asks for or by the user's own program.

What to merge are words of the command line, `in1,in2:out`, one for each output (client-wire.md 4.5, `${TRN_X:X}`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

from .containers import wanted_container
from .failing import CANNOT_CREATE, NO_INPUT, NOT_AVAILABLE, USAGE, Failure, say
from .options import Arguments
from .results import collect
from .run import check_software, place_to_run, sandbox
from .running import WORK_DIRECTORY, run_script, write_script
from .unpacking import tidy
from .wording import command_text, expanded

_ARCHIVES = (".tgz", ".tar.gz", ".tar")
_ROOT = (".root",)
_LOG = ".log.tgz"


class Merge(NamedTuple):
    """One output and the files it is made of."""

    inputs: list[str]
    output: str


def merge(program: str, arguments: Arguments) -> int:
    """Make every output. The exit code of the user's program, or of hadd, when one of them failed; nothing follows then.

    Raises Failure for what goes wrong outside of it.
    """
    job = Path.cwd()
    merges = [_read(word, job) for word in arguments.words]
    if not merges:
        raise Failure(USAGE, "there is nothing to merge: a word `in1,in2:out` is missing")
    check_software(arguments)
    run_directory = place_to_run(job, arguments.text("-r"))
    script = command_text(arguments.text("-j"))
    unpacked = sandbox(arguments, job) if script else []
    for one in merges:
        code = _merge_one(one, arguments, script, job, run_directory)
        if code != 0:
            return code
        say(f"merged {len(one.inputs)} files into {one.output}")
    tidy(unpacked, [], job / WORK_DIRECTORY)
    return 0


def _read(word: str, job: Path) -> Merge:
    names, colon, output = word.partition(":")
    inputs = [name for name in names.split(",") if name]
    if not colon or not inputs or not output:
        raise Failure(USAGE, f"{word[:200]!r} does not say what to merge into what (in1,in2:out)")
    for name in (*inputs, output):
        if Path(name).name != name or name in (".", ".."):
            raise Failure(USAGE, f"{name!r} is outside the job's directory")
    for name in inputs:
        if not (job / name).exists():
            raise Failure(NO_INPUT, f"the input file {name} is not in the job's directory")
    return Merge(inputs, output)


def _merge_one(one: Merge, arguments: Arguments, script: str, job: Path, run_directory: Path) -> int:
    if one.output.endswith(_LOG):
        _pack(one, job)
    elif len(one.inputs) == 1 and not arguments.has("--mergeSingleFile"):
        _write(one, job)
    elif script:
        return _by_script(one, arguments, script, job, run_directory)
    elif one.output.endswith(_ROOT):
        return _by_hadd(one, job)
    elif one.output.endswith(_ARCHIVES):
        _pack(one, job)
    else:
        _write(one, job)
    return 0


def _write(one: Merge, job: Path) -> None:
    """One after the other: right for text, and for what is compressed by gzip."""
    part = job / (one.output + ".part")
    try:
        with part.open("wb") as target:
            for name in one.inputs:
                with (job / name).open("rb") as source:
                    shutil.copyfileobj(source, target, 2**20)
        part.replace(job / one.output)
    except OSError as error:
        raise Failure(CANNOT_CREATE, f"{one.output} could not be written: {error.strerror or error}") from error


def _pack(one: Merge, job: Path) -> None:
    """An archive that holds the archives: members of the same name in two of them cannot spoil each other."""
    part = job / (one.output + ".part")
    try:
        with tarfile.open(part, "w" if one.output.endswith(".tar") else "w:gz", dereference=True) as archive:
            for name in one.inputs:
                archive.add(str(job / name), name)
        part.replace(job / one.output)
    except OSError as error:
        raise Failure(CANNOT_CREATE, f"{one.output} could not be written: {error.strerror or error}") from error


def _by_hadd(one: Merge, job: Path) -> int:
    hadd = shutil.which("hadd")
    if hadd is None:
        raise Failure(NOT_AVAILABLE, "ROOT files are merged by hadd, which this node does not have")
    code = subprocess.call([hadd, "-f", one.output, *one.inputs], cwd=str(job))
    return 128 - code if code < 0 else code


def _by_script(one: Merge, arguments: Arguments, script: str, job: Path, run_directory: Path) -> int:
    """The user's program, in the sandbox, with %IN and %OUT. Raises Failure when it made nothing."""
    run_directory.mkdir(parents=True, exist_ok=True)
    links = []
    for name in one.inputs:
        link = run_directory / name
        if not link.exists():
            link.symlink_to(os.path.relpath(str(job / name), str(link.parent)))
            links.append(link)
    command = expanded(script, {"IN": one.inputs}, [one.output], 0)
    container = wanted_container(arguments)
    write_script(job, run_directory, command, container.working_directory if container else "")
    code = run_script(job, container, arguments.has("--noX509"), {})
    for link in links:
        link.unlink()
    if code == 0 and collect({one.output: one.output}, [run_directory, job], job):
        raise Failure(CANNOT_CREATE, f"the program that merges succeeded, but made no {one.output}")
    return code
