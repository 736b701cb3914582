"""Cuts the input of a task into pieces, one per job (domain.md 3.4). Knows neither tables nor names of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InvalidInput
from core.taskengine.dialects.definition import MAX_FILES_PER_JOB, InputStream, SplitRule
from core.wording import counted


@dataclass(frozen=True)
class InputFile:
    """A file, a range of events of one, or a number, as it stands in `task_files`."""

    file_id: int
    lfn: str
    dataset: str = ""
    scope: str = ""
    guid: str = ""
    size_bytes: int | None = None
    checksum: str = ""
    catalogue_file_id: int | None = None
    position: int = 0
    n_events: int = 0
    start_event: int | None = None
    """Set when it is a part of a file: the first event of the part, from 0."""
    first_event: int = 0
    """Events of the task before it."""
    attempt_nr: int = 0
    last_panda_id: int | None = None
    """The job that had it last."""
    ram_mb: int = 0
    """Memory per core its next job needs at least, because one ran out of it; 0 = as the task says."""
    boundary_id: str = ""
    """What it must not be mixed across, where the task cares."""

    @property
    def is_part(self) -> bool:
        """Whether other jobs get other events of the same file."""
        return self.start_event is not None


@dataclass(frozen=True)
class Room:
    """What one job may have where the task sets no size of its jobs; None = as much as there is."""

    most_bytes: int | None = None
    most_events: int | None = None

    def has_no(self, events: int, size: int) -> bool:
        """Whether so much is too much for one job."""
        is_too_large = self.most_bytes is not None and size > self.most_bytes
        return is_too_large or (self.most_events is not None and events > self.most_events)


UNLIMITED = Room()


def cut(files: Sequence[InputFile], rule: SplitRule, room: Room = UNLIMITED) -> list[list[InputFile]]:
    """Pieces in the order of the files; every file is in exactly one. A file that is too large for `room` stands alone."""
    pieces: list[list[InputFile]] = []
    events = size = 0
    for file in files:
        events, size = events + file.n_events, size + (file.size_bytes or 0)
        if not pieces or _is_full(pieces[-1], file, rule, events, size, room):
            pieces.append([])
            events, size = file.n_events, file.size_bytes or 0
        pieces[-1].append(file)
    return pieces


def _is_full(piece: list[InputFile], file: InputFile, rule: SplitRule, events: int, size: int, room: Room) -> bool:
    """Whether `file` must begin a new piece; `events` and `size` are of the piece with it."""
    if file.dataset != piece[-1].dataset and not rule.crosses_datasets:
        return True
    if file.dataset != piece[0].dataset and any(file.lfn == other.lfn for other in piece):
        return True  # two files of one name would be one in the job's directory
    if rule.keeps_boundaries and file.boundary_id != piece[-1].boundary_id:
        return True
    if rule.keeps_boundaries_whole:
        return _is_too_many(piece, file)
    if rule.events_per_job:
        return (
            events > rule.events_per_job
            or file.is_part
            or piece[-1].is_part
            or len(piece) >= max(rule.max_files_per_job, 1)
        )
    if rule.max_events_per_job and events > rule.max_events_per_job:
        return True
    if rule.files_per_job:
        return len(piece) >= rule.files_per_job
    if rule.bytes_per_job:
        is_large = size > rule.bytes_per_job or _makes_too_much(rule, events, size)
    elif rule.target_events:
        is_large = events > rule.target_events
    else:
        is_large = room.has_no(events, size)
    if is_large:
        return True
    return len(piece) >= rule.max_files_per_job


def _makes_too_much(rule: SplitRule, events: int, size: int) -> bool:
    return rule.max_output_bytes is not None and rule.output_bytes(events, size) > rule.max_output_bytes


def _is_too_many(piece: list[InputFile], file: InputFile) -> bool:
    """Never: a boundary stays whole. Raises InvalidInput for one that no job can have."""
    if len(piece) < MAX_FILES_PER_JOB:
        return False
    raise InvalidInput(
        f"boundary {file.boundary_id[:100]!r} of {file.dataset[:100]!r} has more than {MAX_FILES_PER_JOB} files",
        field="groupBoundaryID",
        remedy="1 lets a boundary be cut into several jobs",
    )


def events_wanted(stream: InputStream, piece: Sequence[InputFile]) -> int:
    """Events of a second stream that go with these files of the master. Raises InvalidInput where theirs are not known."""
    events = sum(file.n_events for file in piece)
    if not events:
        raise InvalidInput(
            "the number of events of the first input is not known",
            field=stream.field.removesuffix(".dataset") + ".eventRatio",
            remedy="give nEventsPerFile, or register the dataset with n_events of every file",
        )
    # a third of three is one, however it is written in binary
    return math.ceil(round(events * (stream.event_ratio or 0), 6))


class Companions:
    """Deals the files of a second stream out to jobs: those used least first, so that none is used twice early."""

    def __init__(
        self, stream: InputStream, files: Sequence[InputFile], *, may_repeat: bool, total: int | None = None
    ) -> None:
        """`files`: as many as are needed at most; `total`: how many the stream has."""
        self._stream = stream
        self._files = sorted(files, key=lambda file: (file.attempt_nr, file.position))
        self._next = 0
        self._fresh = sum(file.attempt_nr == 0 for file in files)
        self._may_repeat = may_repeat or stream.is_reusable
        self._total = len(files) if total is None else total
        self.used: dict[int, int] = {}
        """How often each file was given out, by file id."""

    def take(self, piece: Sequence[InputFile]) -> list[InputFile]:
        """The files for a job with these files of the master. Raises InvalidInput when there are not enough."""
        stream = self._stream
        if stream.is_whole:
            taken = list(self._files)
        elif stream.event_ratio and not stream.files_per_job:
            taken = self._deal_events(events_wanted(stream, piece))
        else:
            taken = self._deal(self._wanted(len(piece)))
        for file in taken:
            self.used[file.file_id] = self.used.get(file.file_id, 0) + 1
        return taken

    def _wanted(self, master_files: int) -> int:
        """A number that was stated must be met; one that follows from the master may end where the files end."""
        if self._stream.files_per_job:
            return self._stream.files_per_job
        wanted = (self._stream.ratio or 1) * master_files
        return min(wanted, max(1, len(self._files))) if self._may_repeat else wanted

    def _deal_events(self, wanted: int) -> list[InputFile]:
        """Whole files until there are so many events; where files may be used again, all of them at most."""
        taken: list[InputFile] = []
        left = wanted
        while left > 0:
            is_used_up = not self._may_repeat and self._next >= self._fresh
            if is_used_up or len(taken) >= min(len(self._files), MAX_FILES_PER_JOB):
                if taken and self._may_repeat:
                    break
                raise InvalidInput(
                    f"{counted(self._total, 'file')} of ${{{self._stream.name}}} will not do: a job takes {wanted} events",
                    field=self._stream.field,
                    remedy="add files, ask for fewer events, or let them be used again (reusable)",
                )
            file = self._files[self._next % len(self._files)]
            taken.append(file)
            left -= file.n_events
            self._next += 1
        return taken

    def _deal(self, wanted: int) -> list[InputFile]:
        total = len(self._files)
        if wanted > total or (not self._may_repeat and self._next + wanted > self._fresh):
            raise InvalidInput(
                f"{counted(self._total, 'file')} of ${{{self._stream.name}}} will not do: a job takes {wanted}",
                field=self._stream.field,
                remedy="add files, ask for fewer, or let them be used again (reusable)",
            )
        taken = [self._files[(self._next + index) % total] for index in range(wanted)]
        self._next += wanted
        return taken
