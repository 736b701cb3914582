"""runGen and runcontainer: the sandbox, the inputs, the user's command, the outputs. `run` is their order."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path

from .containers import wanted_container
from .failing import CANNOT_CREATE, NO_INPUT, NOT_AVAILABLE, USAGE, Failure, remark, say
from .fetching import archive_at
from .options import Arguments
from .results import collect, output_names
from .running import WORK_DIRECTORY, run_script, write_script
from .unpacking import Unpacked, tidy, unpack
from .user_secrets import hide, show, shown
from .wording import command_text, expanded, is_pattern, mapping_in, names_in, with_real_names

_CORES = re.compile(r"%CORE_NUMBER(?!\w)")
"""prun's help to --nCore: how many cores the job has."""


def run(program: str, arguments: Arguments) -> int:
    """Do a whole job, or one of its three steps (--preprocess, the script, --postprocess). The command's exit code.

    Raises Failure for what goes wrong outside the command.
    """
    job = Path.cwd()
    outputs = output_names(arguments.text("-o"))
    run_directory = place_to_run(job, arguments.text("-r"))
    made_in = [run_directory, job]
    if arguments.has("--postprocess"):
        hide(job, run_directory)
        _report_missing(program, arguments, collect(_final(outputs, arguments), made_in, job), outputs)
        return 0
    check_software(arguments)
    container = wanted_container(arguments)
    if program == "runcontainer" and container is None:
        raise Failure(USAGE, "no image is given: neither --containerImage nor --containerName nor PANDA_CONTAINER_NAME")
    unpacked = sandbox(arguments, job)
    _make(run_directory)
    streams = _streams(arguments)
    linked = [] if arguments.has("--givenPFN") else _show_inputs(job, run_directory, streams, arguments)
    _write_lists(arguments.text("--writeInputToTxt"), run_directory, streams)
    write_script(
        job, run_directory, _command(arguments, streams, outputs), container.working_directory if container else ""
    )
    if arguments.has("--preprocess"):
        show(job, run_directory)
        return 0
    with shown(job, run_directory) as variables:
        code = run_script(job, container, arguments.has("--noX509"), variables)
    try:
        missing = collect(_final(outputs, arguments), made_in, job)
    except Failure as failure:
        if code == 0:
            raise
        say(str(failure))  # the command has failed before, and that is what counts
    if code == 0:
        _report_missing(program, arguments, missing, outputs)
        tidy(unpacked, linked, job / WORK_DIRECTORY)
    return code


def check_software(arguments: Arguments) -> None:
    """Raises Failure when the job asks for something this node does not have."""
    for name, reason in arguments.refused:
        raise Failure(NOT_AVAILABLE, f"{name} is asked for: {reason}, which this node does not have")
    if arguments.has("--dbrFile") and not arguments.has("--noExpandDBR"):
        raise Failure(
            NOT_AVAILABLE, "a database release is to be set up (--dbrFile), and only --notExpandDBR works here"
        )
    wanted = arguments.text("--rootVer")
    if wanted and (found := _root_version()) != wanted.replace("/", "."):
        raise Failure(NOT_AVAILABLE, f"ROOT {wanted} is asked for (--rootVer), this node has {found or 'none'}")


def _root_version() -> str:
    if not shutil.which("root-config"):
        return ""
    asked = subprocess.run(["root-config", "--version"], stdout=subprocess.PIPE, check=False)
    return asked.stdout.decode("utf-8", "replace").strip().replace("/", ".")


def place_to_run(job: Path, named: str) -> Path:
    """The directory of `-r`, below the unpacked sandbox. Raises Failure when it is not below it."""
    if Path(named).is_absolute() or ".." in Path(named).parts:
        raise Failure(USAGE, f"the run directory {named!r} (-r) is outside the job's directory")
    return job / WORK_DIRECTORY / (named or ".")


def sandbox(arguments: Arguments, job: Path, option: str = "") -> list[Unpacked]:
    """Unpack the archive of the user (`-a`), of a build job (`-l`) or of `option`; jobs may have none. Raises Failure.

    What was fetched for this is removed then: the server has it, and it would only swell the log archive.
    """
    name = arguments.text(option) or arguments.text("-a") or arguments.text("-l")
    if not name:
        return []
    came_with_inputs = (job / name).is_file()
    archive = archive_at(job, name, arguments.text("--sourceURL"), not arguments.has("--noTarballDownload"))
    unpacked = unpack(archive, job / WORK_DIRECTORY)
    if not came_with_inputs:
        archive.unlink()
    say(f"unpacked {len(unpacked)} files of {name}")
    return unpacked


def _make(run_directory: Path) -> None:
    try:
        run_directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(CANNOT_CREATE, f"the run directory {run_directory.name!r} (-r): {error.strerror}") from error


def _streams(arguments: Arguments) -> dict[str, list[str]]:
    """Name of the stream -> its files: those of `--inMap`, and IN those of `-i`."""
    streams = {}
    for name, files in mapping_in("--inMap", arguments.text("--inMap")).items():
        streams[name] = [str(file) for file in files] if isinstance(files, (list, tuple)) else names_in(str(files))
    if arguments.has("-i"):
        streams["IN"] = names_in(arguments.text("-i"))
    return streams


def _show_inputs(job: Path, run_directory: Path, streams: dict[str, list[str]], arguments: Arguments) -> list[Path]:
    """Make every input visible under its name where the command runs. Raises Failure when one is not there."""
    names = [name for files in streams.values() for name in files]
    names += names_in(arguments.text("--dbrFile")) if arguments.has("--dbrFile") else []
    links = []
    for name in dict.fromkeys(names):
        source, link = job / name, run_directory / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise Failure(USAGE, f"the input {name!r} is outside the job's directory")
        if not source.exists():
            raise Failure(NO_INPUT, f"the input file {name} {_lost(source)}")
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() or link.exists():
            say(f"the input {name} takes the place of a file of the sandbox")
            link.unlink()
        link.symlink_to(os.path.relpath(str(source), str(link.parent)))
        links.append(link)
    return links


def _lost(source: Path) -> str:
    """Why an input cannot be read; pilots that link to a mounted storage do not look whether anything is there."""
    if source.is_symlink():
        return f"is not at the storage any more: {source.resolve()} is not there"
    return "is not in the job's directory"


def _write_lists(wish: str, run_directory: Path, streams: dict[str, list[str]]) -> None:
    """`--writeInputToTxt STREAM:FILE,...`: the names of a stream's files, one a line. Raises Failure."""
    for part in filter(None, wish.split(",")):
        stream, _, name = part.partition(":")
        if not name or stream not in streams or Path(name).is_absolute() or ".." in Path(name).parts:
            raise Failure(USAGE, f"--writeInputToTxt {part}: there is no such stream or no such name for a file")
        text = "".join(f"{file}\n" for file in streams[stream])
        (run_directory / name).write_bytes(text.encode("utf-8", "surrogateescape"))


def _command(arguments: Arguments, streams: dict[str, list[str]], outputs: dict[str, str]) -> str:
    command = command_text(arguments.required("-p"))
    command = _CORES.sub(os.environ.get("ATHENA_CORE_NUMBER") or os.environ.get("ATHENA_PROC_NUMBER") or "1", command)
    if arguments.has("--execWithRealFileNames"):
        command = with_real_names(command, outputs)
    names = [name for name in _final(outputs, arguments) if not is_pattern(name)]
    return expanded(command, streams, names, int(os.environ.get("PANDAID") or 1 + secrets.randbelow(2**31)))


def _final(outputs: dict[str, str], arguments: Arguments) -> dict[str, str]:
    """The names the command is to write: its own or, with --execWithRealFileNames, the final ones."""
    if not arguments.has("--execWithRealFileNames"):
        return outputs
    return {name if is_pattern(name) else lfn: lfn for name, lfn in outputs.items()}


def _report_missing(program: str, arguments: Arguments, missing: list[str], outputs: dict[str, str]) -> None:
    optional = set(filter(None, arguments.text("--allowNoOutput").split(",")))
    wanted = [name for name in missing if outputs.get(name, name) not in optional]
    if wanted:
        remark(program, f"the command succeeded, but made no {', '.join(wanted)}")
