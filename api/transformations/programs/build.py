"""buildGen: unpacks the user's sources, runs the build command there, packs the result for the jobs that follow."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from .containers import wanted_container
from .failing import CANNOT_CREATE, USAGE, Failure, say
from .options import Arguments
from .run import check_software, place_to_run, sandbox
from .running import WORK_DIRECTORY, run_script, write_script
from .wording import command_text


def build(program: str, arguments: Arguments) -> int:
    """Make the archive of `-o` from that of `-i`. The build command's exit code; when it failed nothing is packed.

    Raises Failure for what goes wrong outside the command.
    """
    job = Path.cwd()
    library = arguments.required("-o")
    if Path(library).name != library:
        raise Failure(USAGE, f"{library!r} (-o) is not the name of an archive")
    check_software(arguments)
    arguments.required("-i")
    run_directory = place_to_run(job, arguments.text("-r"))
    sandbox(arguments, job, "-i")
    run_directory.mkdir(parents=True, exist_ok=True)
    command = command_text(arguments.text("--bexec"))
    if command.strip() and not arguments.has("--noCompile"):
        container = wanted_container(arguments)
        write_script(job, run_directory, command, container.working_directory if container else "")
        code = run_script(job, container, arguments.has("--noX509"), {})
        if code != 0:
            return code
    _pack(job / WORK_DIRECTORY, job / library)
    shutil.rmtree(str(job / WORK_DIRECTORY), ignore_errors=True)
    say(f"packed {library}")
    return 0


def _pack(directory: Path, library: Path) -> None:
    """Everything in the directory, whole or not at all. Raises Failure."""
    part = library.with_name(library.name + ".part")
    try:
        with tarfile.open(part, "w:gz", compresslevel=6) as archive:
            for path in sorted(directory.iterdir()):
                archive.add(str(path), path.name)
        part.replace(library)
    except OSError as error:
        raise Failure(CANNOT_CREATE, f"{library.name} could not be written: {error.strerror or error}") from error
