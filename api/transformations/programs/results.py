"""Brings the outputs of a command to the names the pilot looks for. Knows nothing of who stores them."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .failing import CANNOT_CREATE, USAGE, Failure, say
from .wording import mapping_in

JOB_REPORT = "jobReport.json"
"""What a payload may leave for the pilot to send along as the job's metadata (pilot-wire.md 6)."""
USER_METADATA = "userJobMetadata.json"
"""What the user's own program may say of its work; `pbook get_user_job_metadata` collects it (domain.md 12)."""
MOST_METADATA_BYTES = 2**20


def output_names(text: str) -> dict[str, str]:
    """Name for the command -> name for the pilot, as in `-o`. Raises Failure."""
    outputs = {name: str(lfn) for name, lfn in mapping_in("-o", text).items()}
    for name in (*(name for name in outputs if not name.startswith("regex|")), *outputs.values()):
        if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
            raise Failure(USAGE, f"the output {name!r} is outside the job's directory")
    return outputs


def collect(outputs: Mapping[str, str], made_in: Sequence[Path], job_directory: Path) -> list[str]:
    """Move or pack every output; the names of those that are not there. Raises Failure when the disk does not let us.

    `made_in`: the directories a command may have written to, the first that has the file counts. A name with `*` is a
    pattern, and all that match are packed into one tar; `regex|...` leaves the files their names.
    """
    missing = []
    for name, lfn in outputs.items():
        destination = job_directory / lfn
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            found = any(_take(name, directory, destination) for directory in made_in)
        except OSError as error:
            raise Failure(CANNOT_CREATE, f"the output {lfn} could not be written: {error.strerror or error}") from error
        if not found:
            missing.append(name)
    report = made_in[0] / JOB_REPORT
    if report.is_file() and not (job_directory / JOB_REPORT).exists():
        _move(report, job_directory / JOB_REPORT)
    _add_user_metadata(made_in[0] / USER_METADATA, job_directory / JOB_REPORT)
    return missing


def _add_user_metadata(given: Path, report: Path) -> None:
    """Put what the user's program said of itself into the job's report. What is no JSON is left out: it spoils no job."""
    if not given.is_file():
        return
    try:
        if given.stat().st_size > MOST_METADATA_BYTES:
            raise ValueError(f"more than {MOST_METADATA_BYTES} bytes")
        metadata = json.loads(given.read_bytes().decode("utf-8"))
        content = json.loads(report.read_bytes().decode("utf-8")) if report.is_file() else {}
        if not isinstance(content, dict):
            raise ValueError(f"{JOB_REPORT} is no object")
        report.write_text(json.dumps({**content, "user_job_metadata": metadata}) + "\n", encoding="utf-8")
    except (OSError, ValueError, RecursionError) as error:
        say(f"{USER_METADATA} is left out: {error}")


def _take(name: str, directory: Path, destination: Path) -> bool:
    if name.startswith("regex|"):
        matching = re.compile(name[len("regex|") :])
        files = [path for path in directory.iterdir() if path.is_file() and matching.fullmatch(path.name)]
        for path in files:
            _move(path, destination.parent / path.name)
        return bool(files)
    if "*" in name:
        return _pack(
            [path for path in sorted(directory.glob(name)) if not path.name.startswith(".")], directory, destination
        )
    path = directory / name
    if path.is_dir() and destination.name.endswith((".tgz", ".tar.gz")):
        return _pack([path], directory, destination)
    if path.is_file():
        _move(path, destination)
        return True
    return destination.is_file() and directory == destination.parent  # the command knew the final name


def _pack(paths: list[Path], directory: Path, destination: Path) -> bool:
    if not paths:
        return False
    part = destination.with_name(destination.name + ".part")
    with tarfile.open(part, "w:gz") as archive:
        for path in paths:
            archive.add(str(path), str(path.relative_to(directory)))
    part.replace(destination)
    say(f"packed {len(paths)} files into {destination.name}")
    return True


def _move(path: Path, destination: Path) -> None:
    """A link, e.g. to an input changed in place, becomes the file it leads to."""
    if destination.exists() and path.samefile(destination):
        return
    if path.is_symlink():
        shutil.copy2(path, destination)
    else:
        path.replace(destination)
