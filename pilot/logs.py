"""The logs of a job: the pilot's own log file, the tails that go with the final report, the archive that is stored."""

from __future__ import annotations

import io
import logging
import os
import tarfile
import time
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pilot.description import JobDescription, JobFile
from pilot.directory import JobDirectory

TAIL_BYTES = 65_536
MAX_FILE_BYTES = 100_000_000
MAX_ARCHIVE_BYTES = 500_000_000
JobLog = logging.LoggerAdapter[logging.Logger]


class _JobAdapter(JobLog):
    """Says with every record which job it is about, so that the store can link it."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def job_log(job: JobDescription, queue: str) -> JobLog:
    """The pilot's logger for one job."""
    about = {"panda_id": job.panda_id, "jedi_task_id": job.jedi_task_id, "computing_site": queue}
    return _JobAdapter(logging.getLogger("pilot.job"), about)


class _JobLogFile(logging.FileHandler):
    """A log file that must not stop the pilot when the disk is full; the store hears of it all the same."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Lose the line."""

    def close(self) -> None:
        """Close, whether the last lines can be written or not."""
        with suppress(OSError):
            super().close()


@contextmanager
def written_to(path: Path) -> Iterator[None]:
    """Write what the pilot says to a file as well, while the block runs."""
    handler = _JobLogFile(path, encoding="utf-8", errors="backslashreplace")
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger("pilot")
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def tail(path: Path, limit_bytes: int = TAIL_BYTES) -> str:
    """The last part of a log as text, from the beginning of a line when there is one; empty when there is no file.

    Whatever the bytes are, the text can be stored: wrong UTF-8 is replaced, NUL removed.
    """
    with suppress(OSError), path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - limit_bytes))
        content = file.read(limit_bytes)
        if size_bytes > limit_bytes:
            _, newline, rest = content.partition(b"\n")
            content = rest if newline and rest else content
        return content.decode("utf-8", errors="replace").replace("\0", "")
    return ""


def make_archive(directory: JobDirectory, job: JobDescription, queue: str, without: Iterable[JobFile]) -> list[str]:
    """Write the log archive; the names of what was left out, with the reason. Raises OSError.

    Holds the logs of pilot and payload and what the payload left in its directory, except the files of `without`
    (inputs, stored outputs). Of a log that is too large the end is kept; other files are left out.
    """
    top = f"tarball_PandaJob_{job.panda_id}_{queue}"
    skipped = {directory.work / file.local_name for file in without}
    left_out: list[str] = []
    total_bytes = 0
    with tarfile.open(directory.log_archive, "w:gz", compresslevel=1) as archive:
        for path in _files_below(directory.work):
            if path in skipped:
                continue
            name, size_bytes = path.relative_to(directory.work), _size(path)
            if size_bytes > MAX_FILE_BYTES or total_bytes + size_bytes > MAX_ARCHIVE_BYTES:
                left_out.append(f"{name}: {size_bytes} bytes are too many")
                continue
            total_bytes += size_bytes
            reason = _add(archive, path, f"{top}/work/{name}")
            left_out.extend([f"{name}: {reason}"] if reason else [])
        for path in (directory.script, directory.stdout, directory.stderr, directory.pilot_log):
            _add_end(archive, path, f"{top}/{path.name}")
    return left_out


def _files_below(directory: Path) -> Iterator[Path]:
    for parent, directories, names in os.walk(directory):
        links = [name for name in directories if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in sorted([*names, *links]))


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_size
    return 0


def _add(archive: tarfile.TarFile, path: Path, name: str) -> str:
    """Add a regular file or a link; why not, when it cannot be."""
    if path.is_symlink():
        archive.addfile(archive.gettarinfo(path, name))
        return ""
    if not path.is_file():
        return "is neither a file nor a link"
    try:
        file = path.open("rb")
    except OSError as error:
        return error.strerror or str(error)
    with file:
        archive.addfile(archive.gettarinfo(arcname=name, fileobj=file), file)
    return ""


def _add_end(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """Add the last part of a log. Its size is taken once: the pilot's own log grows while it is being archived."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        content_bytes = min(os.fstat(file.fileno()).st_size, MAX_FILE_BYTES)
        file.seek(-content_bytes, os.SEEK_END)
        member = tarfile.TarInfo(name)
        member.size, member.mtime = content_bytes, int(time.time())
        archive.addfile(member, io.BytesIO(file.read(content_bytes)))
