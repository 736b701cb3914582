"""Stage-in and stage-out: which mover, how often, verified by size and adler32, failures as PanDA's codes.

Knows no protocol of any storage (movers do) and nothing of the payload.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pilot.description import JobFile
from pilot.errors import (
    INPUT_CHECKSUM_MISMATCH,
    MISSING_OUTPUT,
    NO_LOCAL_SPACE,
    NO_REMOTE_SPACE,
    NO_SUCH_FILE,
    OUTPUT_CHECKSUM_MISMATCH,
    STAGE_IN_FAILED,
    STAGE_IN_TIMEOUT,
    STAGE_OUT_FAILED,
    STAGE_OUT_TIMEOUT,
    UNKNOWN_MOVER,
    ErrorCode,
    JobFailure,
)
from pilot.movers import MOVERS, Mover, Transfer, TransferError
from pilot.movers.base import FileMissing, NoSpace, TransferTimeout, adler32_of
from pilot.options import PilotOptions
from pilot.probe import MEGABYTE, free_disk_mb


class ChecksumMismatch(TransferError):
    """The bytes that arrived are not those that were sent."""


class SizeMismatch(TransferError):
    """The file that arrived has another size."""


Codes = tuple[tuple[type[TransferError], ErrorCode], ...]
"""The code of each kind of failure; the first row that fits counts."""

STAGE_IN_CODES: Codes = (
    (FileMissing, NO_SUCH_FILE),
    (ChecksumMismatch, INPUT_CHECKSUM_MISMATCH),
    (TransferTimeout, STAGE_IN_TIMEOUT),
    (NoSpace, NO_LOCAL_SPACE),
    (TransferError, STAGE_IN_FAILED),
)
STAGE_OUT_CODES: Codes = (
    (ChecksumMismatch, OUTPUT_CHECKSUM_MISMATCH),
    (TransferTimeout, STAGE_OUT_TIMEOUT),
    (NoSpace, NO_REMOTE_SPACE),
    (TransferError, STAGE_OUT_FAILED),
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class StoredFile:
    """What the server is told about an output that was copied and verified."""

    lfn: str
    guid: str
    size_bytes: int
    adler32: str
    pfn: str

    def on_wire(self) -> dict[str, object]:
        """Its entry in job_output_report (pilot-wire.md 2.2)."""
        return {"guid": self.guid, "fsize": self.size_bytes, "adler32": self.adler32, "surl": self.pfn}


class Stager:
    """Moves the files of one job. `interrupt` raises when the job must end and is called all the time."""

    def __init__(
        self, options: PilotOptions, interrupt: Callable[[], None], log: logging.LoggerAdapter[logging.Logger]
    ) -> None:
        self._options = options
        self._interrupt = interrupt
        self._log = log

    def stage_in(self, files: Iterable[JobFile], directory: Path) -> None:
        """Bring inputs into the job's directory. Raises JobFailure with a stage-in code."""
        files = list(files)
        wanted_mb = sum(file.size_bytes or 0 for file in files if file.mover != "symlink") // MEGABYTE
        if wanted_mb > (free_mb := free_disk_mb(directory)):
            raise JobFailure(NO_LOCAL_SPACE, f"the inputs need {wanted_mb} MB, {free_mb} MB are free in {directory}")
        for file in files:
            destination = directory / file.local_name
            self._repeat(file, STAGE_IN_CODES, partial(self._get, file, destination))
        self._log.info("staged in %d files, %d MB", len(files), wanted_mb)

    def stage_out(self, file: JobFile, source: Path, limit_s: float | None = None) -> StoredFile:
        """Store one output or log. Raises JobFailure: missing output, or a stage-out code. `limit_s`: no longer."""
        if not source.is_file():
            raise JobFailure(MISSING_OUTPUT, file.local_name)
        stored = self._repeat(file, STAGE_OUT_CODES, partial(self._put, file, source, limit_s))
        self._log.info("stored %s: %d bytes, adler32 %s, as %s", file.lfn, stored.size_bytes, stored.adler32, file.pfn)
        return stored

    def _get(self, file: JobFile, destination: Path) -> None:
        transfer = Transfer.begin(self._interrupt, file.size_bytes or 0)
        destination.parent.mkdir(parents=True, exist_ok=True)
        _mover(file).get(file.pfn, destination, transfer)
        size_bytes = destination.stat().st_size
        if file.size_bytes is not None and size_bytes != file.size_bytes:
            raise SizeMismatch(f"{size_bytes} bytes instead of {file.size_bytes} ({file.pfn})")
        if file.adler32 and (found := adler32_of(destination, transfer)) != file.adler32:
            raise ChecksumMismatch(f"adler32 is {found} instead of {file.adler32} ({file.pfn})")

    def _put(self, file: JobFile, source: Path, limit_s: float | None) -> StoredFile:
        size_bytes = source.stat().st_size
        transfer = Transfer.begin(self._interrupt, size_bytes, limit_s)
        adler32 = adler32_of(source, transfer)
        mover = _mover(file)
        mover.put(source, file.pfn, transfer)
        if (found := mover.adler32(file.pfn, transfer)) != adler32:
            raise ChecksumMismatch(f"adler32 is {adler32}, but {file.pfn} reads as {found}")
        return StoredFile(file.lfn, file.guid, size_bytes, adler32, file.pfn)

    def _repeat(self, file: JobFile, codes: Codes, attempt: Callable[[], Result]) -> Result:
        """Make attempts until one works. Raises JobFailure with the code of the last failure."""
        for remaining in reversed(range(self._options.transfer_attempts)):
            self._interrupt()
            try:
                return attempt()
            except (TransferError, OSError) as error:
                failure = error if isinstance(error, TransferError) else _local_failure(error)
                self._log.warning("%s: %s%s", file.lfn, failure, "; trying again" if remaining else "")
                if remaining == 0 or not failure.worth_retrying:
                    raise JobFailure(_code(codes, failure), f"{file.lfn}: {failure}") from error
                time.sleep(self._options.transfer_pause_s)
        raise ValueError("transfer_attempts must be at least 1")


def _mover(file: JobFile) -> Mover:
    if file.mover not in MOVERS:
        raise JobFailure(UNKNOWN_MOVER, f"'{file.mover}' of endpoint {file.endpoint}; there are {', '.join(MOVERS)}")
    return MOVERS[file.mover]


def _local_failure(error: OSError) -> TransferError:
    """A failure on the node's own side of a transfer, e.g. reading back what was written."""
    return TransferError(f"{error.filename or 'the file'}: {error.strerror or error}")


def _code(codes: Codes, failure: TransferError) -> ErrorCode:
    return next(code for kind, code in codes if isinstance(failure, kind))
