"""Makes one job out of one piece of input: names of files, argument string, needs. Knows no table.

Serial numbers are given by the caller; two jobs of a task never share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.database import Row
from core.errors import InvalidInput
from core.states import JobStatus
from core.taskbuffer.submission import JOB_LIMITS, NewFile, NewJob
from core.taskengine.dialects.definition import Filling, TaskDefinition
from core.taskengine.making.splitting import InputFile


@dataclass(frozen=True)
class Library:
    """What a build job makes: there already (`file`), or to come."""

    lfn: str
    dataset: str
    scope: str
    file: Row | None = None


@dataclass(frozen=True)
class Piece:
    """The input of one job and its numbers."""

    serial: int
    master: list[InputFile]
    companions: Mapping[str, list[InputFile]] = field(default_factory=dict)
    """Files of the other streams."""


def make_job(task: Row, definition: TaskDefinition, piece: Piece, library: Library | None) -> NewJob:
    """The job of a piece. Raises InvalidInput naming the field that cannot be filled."""
    filling = _filling(task, definition, piece, library)
    outputs = [(stream, *stream.names(filling)) for stream in definition.outputs]
    files = _inputs(definition, piece, library)
    files += [
        NewFile(stream.kind, lfn, local, dataset=stream.dataset, scope=stream.scope) for stream, lfn, local in outputs
    ]
    _check_names(definition, files, [(stream.field, local) for stream, _, local in outputs])
    local_names = [local for stream, _, local in outputs if stream.kind == "output"]
    attempt_nr = max((file.attempt_nr for file in piece.master), default=0) + 1
    first = next(iter(definition.outputs), None)
    return NewJob(
        transformation=definition.transformation,
        job_parameters=definition.command.fill(_with_outputs(filling, local_names)),
        job_name=f"{definition.base_name}.{piece.serial:06d}",
        job_index=piece.serial,
        parent_id=next((file.last_panda_id for file in piece.master if file.last_panda_id), None),
        attempt_nr=attempt_nr,
        max_attempt=max(definition.max_attempt, attempt_nr),
        destination_dataset=first.dataset if first is not None and first.kind == "output" else "",
        files=files,
        initial_status=JobStatus.PENDING if library is not None and library.file is None else JobStatus.DEFINED,
        **common(task, definition),
        **_needs(definition, piece),
    )


def common(task: Row, definition: TaskDefinition) -> dict[str, Any]:
    """What all jobs of a task share, build jobs included."""
    return {
        "jedi_task_id": task["jedi_task_id"],
        "computing_site": definition.site,
        "prod_source_label": definition.label,
        "processing_type": definition.processing_type,
        "working_group": definition.working_group,
        "country_group": definition.country_group,
        "vo": definition.vo or task["vo"],
        "prod_user_name": task["user_name"],
        "current_priority": task["current_priority"],
        "container_name": definition.container_name,
        "special_handling": definition.special_handling,
        "gshare": task["gshare"],
    }


def _filling(task: Row, definition: TaskDefinition, piece: Piece, library: Library | None) -> Filling:
    master = definition.master
    names = {stream: [file.lfn for file in files] for stream, files in piece.companions.items()}
    names[master.name] = [file.lfn for file in piece.master]
    first = piece.master[0] if piece.master else InputFile(0, "")
    return Filling(
        task_id=task["jedi_task_id"],
        serial=piece.serial,
        inputs=names,
        source_url=definition.source_url,
        library=library.lfn if library is not None else "",
        sequence_number=_sequence_number(definition, piece),
        skip_events=first.start_event or 0,
        max_events=sum(file.n_events for file in piece.master),
        first_event=first.first_event,
        middle_name=_middle_name(definition, first),
    )


def _with_outputs(filling: Filling, outputs: list[str]) -> Filling:
    return replace(filling, outputs=outputs)


def _sequence_number(definition: TaskDefinition, piece: Piece) -> int | None:
    """The number of the piece when the task runs over numbers; beside real input, one that no other job gets."""
    stream = next((stream for stream in definition.inputs if stream.name == "SEQNUMBER"), None)
    if stream is None:
        return None
    if stream is definition.master and piece.master:
        return piece.master[0].position
    return stream.offset + piece.serial - 1


def _middle_name(definition: TaskDefinition, first: InputFile) -> str:
    """`.b` for the second field of `a.b.c`; fields that are not there are left out."""
    source = first.lfn if definition.middle_of_file else first.dataset.rstrip("/")
    parts = source.split(".")
    return "".join(f".{parts[number - 1]}" for number in definition.middle_fields if number <= len(parts))


def _inputs(definition: TaskDefinition, piece: Piece, library: Library | None) -> list[NewFile]:
    streams = {stream.name: stream for stream in definition.inputs}
    rows = [(definition.master.name, file) for file in piece.master]
    rows += [(name, file) for name, files in piece.companions.items() for file in files]
    files = [
        NewFile(
            "sandbox" if streams[name].kind == "sandbox" else "input",
            *(file.lfn, file.lfn, file.dataset.rstrip("/"), file.scope),
            *(file.catalogue_file_id, file.guid, file.size_bytes, file.checksum),
        )
        for name, file in rows
        if file.catalogue_file_id is not None
    ]
    if library is not None:
        made = library.file or {}
        facts = (made.get("file_id"), made.get("guid", ""), made.get("size_bytes"), made.get("checksum", ""))
        files.append(NewFile("input", library.lfn, library.lfn, library.dataset, library.scope, *facts))
    return files


def _check_names(definition: TaskDefinition, files: list[NewFile], outputs: list[tuple[str, str]]) -> None:
    """Every file of a job has a name of its own."""
    seen: set[str] = set()
    for file in files:
        if file.local_name in seen:
            where = next(
                (place for place, name in reversed(outputs) if name == file.local_name), definition.master.field
            )
            raise InvalidInput(f"{file.local_name!r} twice in one job", field=where, remedy="give each its own name")
        seen.add(file.local_name)


def _needs(definition: TaskDefinition, piece: Piece) -> dict[str, Any]:
    needs = definition.needs
    files = [*piece.master, *(file for group in piece.companions.values() for file in group)]
    data = [file for file in files if file.catalogue_file_id is not None]
    events = sum(file.n_events for file in piece.master)
    disk_mb = needs.disk_for(events, sum(file.size_bytes or 0 for file in data))
    return {
        "core_count": needs.core_count,
        "min_ram_mb": max([needs.ram_mb, *(file.ram_mb * needs.core_count for file in piece.master)]),
        "max_disk_mb": min(disk_mb, JOB_LIMITS["maxDiskCount"][1]),
        "max_walltime_s": min(needs.walltime_for(events), JOB_LIMITS["maxWalltime"][1]),
        "looping_limit_s": needs.looping_limit_s,
        "n_input_data_files": len(data),
    }
