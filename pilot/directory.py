"""The directory of one job: what lies where, how big it is, when the payload last touched it, how it is removed.

The payload's own directory holds nothing but the job's files, so that a command sees there what it would see by hand.
"""

from __future__ import annotations

import math
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilot.description import JobDescription, JobFile
from pilot.errors import NO_LOCAL_SPACE, SETUP_FAILED, JobFailure
from pilot.movers.base import NO_SPACE
from pilot.probe import MEGABYTE

PREFIX = "PanDA_Pilot-"
_LONGEST_TEMPORARY_PATH = 60  # unix sockets live in temporary directories, and their paths end at 107 bytes


@dataclass(frozen=True)
class Usage:
    """What the payload has in its directories."""

    size_bytes: int = 0
    file_count: int = 0
    newest_change: float = 0.0

    @property
    def size_mb(self) -> int:
        """Size in MB, rounded up."""
        return -(-self.size_bytes // MEGABYTE)


@dataclass(frozen=True)
class JobDirectory:
    """Places in the directory of a job."""

    path: Path

    @classmethod
    def create(cls, work_directory: Path, job: JobDescription) -> JobDirectory:
        """Make a fresh directory. Raises JobFailure."""
        try:
            work_directory.mkdir(parents=True, exist_ok=True)
            name = f"{PREFIX}{job.panda_id}-{job.attempt_nr}-"
            directory = cls(Path(tempfile.mkdtemp(prefix=name, dir=work_directory)))
            directory.work.mkdir()
            directory.temporary.mkdir()
            directory.lock.touch()
            directory.pilot_log.touch()
            for output in job.outputs:
                (directory.work / output.local_name).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise setup_failure(f"no directory for the job in {work_directory}", error) from error
        return directory

    @property
    def work(self) -> Path:
        """Where the payload runs."""
        return self.path / "work"

    @property
    def temporary(self) -> Path:
        """The payload's directory for temporary files."""
        return self.path / "tmp"

    @property
    def stdout(self) -> Path:
        """What the payload writes to its standard output."""
        return self.path / "payload.stdout"

    @property
    def stderr(self) -> Path:
        """What the payload writes to its standard error."""
        return self.path / "payload.stderr"

    @property
    def pilot_log(self) -> Path:
        """What the pilot says about this job."""
        return self.path / "pilot.log"

    @property
    def script(self) -> Path:
        """The shell text of a runShell job."""
        return self.path / "job.sh"

    @property
    def lock(self) -> Path:
        """Held by the pilot as long as it lives."""
        return self.path / "lock"

    @property
    def log_archive(self) -> Path:
        """The archive of logs, before it is stored."""
        return self.path / "log.tgz"

    def environment(self) -> dict[str, str]:
        """Variables that tell the payload where it is."""
        short = len(os.fsencode(self.temporary)) <= _LONGEST_TEMPORARY_PATH
        return {"PWD": str(self.work), **({"TMPDIR": str(self.temporary)} if short else {})}

    def usage(self) -> Usage:
        """Walk over everything the payload may have written. Files that vanish meanwhile count as gone."""
        size_bytes, file_count, newest = 0, 0, 0.0
        for entry in self._entries():
            with suppress(OSError):
                status = entry.lstat()
                size_bytes += (
                    0 if stat.S_ISDIR(status.st_mode) else status.st_blocks * 512
                )  # what a sparse file really takes
                file_count += 1
                newest = max(newest, status.st_mtime, status.st_ctime)
        return Usage(size_bytes, file_count, newest)

    def _entries(self) -> Iterator[Path]:
        yield from (self.stdout, self.stderr)
        for top in (self.work, self.temporary):
            for parent, directories, files in os.walk(top):
                yield Path(parent)
                yield from (Path(parent, name) for name in files)
                yield from (Path(parent, name) for name in directories if Path(parent, name).is_symlink())

    def remove_inputs(self, inputs: Iterable[JobFile], outputs: Iterable[JobFile]) -> None:
        """Remove the inputs, but none that is an output too: a command may change a file in place."""
        kept = {self.work / output.local_name for output in outputs}
        for file in inputs:
            path = self.work / file.local_name
            if path not in kept:
                with suppress(OSError):
                    path.unlink()

    def remove(self) -> None:
        """Remove everything, also from directories the payload has closed to writing."""
        shutil.rmtree(self.path, onerror=_open_and_try_again)


def setup_failure(what: str, error: OSError) -> JobFailure:
    """The failure of a step before the payload, as the operating system explains it."""
    code = NO_LOCAL_SPACE if error.errno in NO_SPACE else SETUP_FAILED
    return JobFailure(code, f"{what}: {error.strerror or error}")


class UsageGauge:
    """The usage of a job's directory for several readers, so that a large tree is not walked over by each of them."""

    def __init__(self, directory: JobDirectory) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._usage = Usage()
        self._read_at = -math.inf

    def read(self, max_age_s: float) -> Usage:
        """A usage that is at most so old."""
        with self._lock:
            if time.monotonic() - self._read_at > max_age_s:
                self._usage = self._directory.usage()
                self._read_at = time.monotonic()
            return self._usage


def _open_and_try_again(remove: Callable[[str], Any], path: str, _error: Any) -> None:
    with suppress(OSError):
        Path(path).parent.chmod(0o700)
        if not Path(path).is_symlink() and Path(path).is_dir():
            Path(path).chmod(0o700)
            shutil.rmtree(path, ignore_errors=True)
        else:
            remove(path)
