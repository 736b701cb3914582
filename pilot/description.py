"""A job as the server describes it, turned from PanDA's flat dictionary into typed fields.

Knows the names on the wire (docs/api.md, pilot-wire.md 3); knows nothing of how a job is run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pilot.errors import BAD_FILE_NAME, SETUP_FAILED, JobFailure


@dataclass(frozen=True)
class JobFile:
    """One file of a job. For inputs `pfn` is a replica to read, for outputs and the log the path to write."""

    lfn: str
    local_name: str
    kind: str
    pfn: str
    mover: str = "cp"
    endpoint: str = ""
    guid: str = ""
    size_bytes: int | None = None
    checksum: str = ""

    @property
    def is_input(self) -> bool:
        """Is it there before the payload starts?"""
        return self.kind in ("input", "sandbox")

    @property
    def adler32(self) -> str:
        """The checksum without its `ad:`; empty when none, or one of another kind, is known."""
        kind, _, value = self.checksum.rpartition(":")
        return value.lower().zfill(8) if value and kind in ("", "ad") else ""


@dataclass(frozen=True)
class JobDescription:
    """What to run, on which files, within which limits (0: none)."""

    panda_id: int
    jedi_task_id: int
    attempt_nr: int
    transformation: str
    parameters: str
    core_count: int = 1
    max_walltime_s: int = 0
    max_disk_mb: int = 0
    min_ram_mb: int = 0
    looping_limit_s: int = 0
    container_name: str = ""
    optional_outputs: frozenset[str] = frozenset()
    """LFNs of outputs that need not be made (allowNoOutput)."""
    files: tuple[JobFile, ...] = ()
    secrets: str = field(default="", repr=False)
    """JSON text of the user's secrets, when the task asks for them; must not be logged."""

    @property
    def inputs(self) -> list[JobFile]:
        """Input and sandbox files."""
        return [file for file in self.files if file.is_input]

    @property
    def outputs(self) -> list[JobFile]:
        """Files the payload must make; what a build job makes is a `lib`."""
        return [file for file in self.files if file.kind in ("output", "lib")]

    @property
    def log(self) -> JobFile | None:
        """Where the log archive goes."""
        return next((file for file in self.files if file.kind == "log"), None)

    @classmethod
    def from_wire(cls, job: Mapping[str, Any]) -> JobDescription:
        """Read an element of `jobs` of acquire_jobs; numbers may be text, `NULL` is nothing.

        Raises JobFailure for a description that cannot be run, ValueError when not even the PandaID is there.
        """
        panda_id = whole_number(job.get("PandaID"))
        if panda_id <= 0:
            raise ValueError(f"the server sent a job without a PandaID: {sorted(map(str, job))[:20]}")
        return cls(
            panda_id=panda_id,
            jedi_task_id=whole_number(job.get("taskID")),
            attempt_nr=whole_number(job.get("attemptNr")),
            transformation=text(job.get("transformation")),
            parameters=text(job.get("jobPars")),
            core_count=max(1, whole_number(job.get("coreCount"))),
            max_walltime_s=whole_number(job.get("maxWalltime")),
            max_disk_mb=whole_number(job.get("maxDiskCount")),
            min_ram_mb=whole_number(job.get("minRamCount")),
            looping_limit_s=whole_number(job.get("loopingLimit")),
            container_name=text(job.get("container_name")),
            optional_outputs=_names(job.get("allowNoOutput")),
            files=tuple(_file(entry) for entry in job.get("panda_files") or ()),
            secrets=text(job.get("secrets")),
        )

    def check(self) -> None:
        """Raise JobFailure when the description cannot be run: no program, or a file outside the job's directory."""
        if not self.transformation:
            raise JobFailure(SETUP_FAILED, "the job names no transformation")
        names = Counter(PurePosixPath(file.local_name) for file in self.inputs)
        if twice := [str(name) for name, count in names.items() if count > 1]:
            raise JobFailure(SETUP_FAILED, f"several inputs have the same name here: {', '.join(twice[:5])}")
        for file in self.files:
            if not _stays_inside(file.local_name):
                raise JobFailure(BAD_FILE_NAME, f"{file.local_name!r} is not a path inside the job's directory")
            if not file.pfn:
                raise JobFailure(SETUP_FAILED, f"no place is known for the {file.kind} file {file.lfn!r}")


def whole_number(value: Any) -> int:
    """A number on the wire: an int, a float, or text of one; nothing and nonsense are 0."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def text(value: Any) -> str:
    """A text on the wire; PanDA writes nothing as null or `NULL`."""
    return "" if value is None or value == "NULL" else str(value)


def _names(value: Any) -> frozenset[str]:
    """A list of names on the wire, or names between commas."""
    names = text(value).split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(name for name in map(text, names) if name)


def _file(entry: Mapping[str, Any]) -> JobFile:
    """An element of `panda_files`. There `NULL` is a name like any other; nothing is null."""
    given = {name: str(value) for name, value in entry.items() if value is not None}
    return JobFile(
        lfn=given.get("lfn", ""),
        local_name=given.get("local_name") or given.get("lfn", ""),
        kind=given.get("type", ""),
        pfn=given.get("pfn", ""),
        mover=given.get("mover") or "cp",
        endpoint=given.get("endpoint", ""),
        guid=given.get("guid", ""),
        size_bytes=whole_number(given["size_bytes"]) if "size_bytes" in given else None,
        checksum=given.get("checksum", ""),
    )


def _stays_inside(local_name: str) -> bool:
    path = PurePosixPath(local_name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in local_name
