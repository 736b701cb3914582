"""Files of this machine as input of a task: which ones a user means, how jobs call them, what their checksums are.

Knows file names and shells' habits; knows no server. A wrong name is an error here, before anything is submitted.
"""

# Names are kept as text here: pathlib drops the spelling (./x) that the payload has to print.
# ruff: noqa: PTH100, PTH111, PTH117, PTH118, PTH120, PTH207

from __future__ import annotations

import glob
import locale
import os
import stat
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from pandascope.errors import Usage

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class LocalFile:
    """A file: where it is, the name jobs see it by, and (once measured) its size and checksum."""

    path: Path
    lfn: str
    size_bytes: int = 0
    checksum: str = ""


def find_files(patterns: Sequence[str | Path], option: str) -> list[LocalFile]:
    """The files that names, patterns and directories mean, in the order a shell would give them to a command.

    In text `*`, `?`, `[...]` and `**` work as in a shell, where a pattern that does not match itself may also be the name
    of a file (`x[1].txt`); a Path is always one name. A directory means the files below it. Files whose name begins with
    a dot only come when named, as in a shell.
    `option` is the option the names came with, for the errors. Raises Usage.
    """
    written = [name for pattern in patterns for name in _expand(pattern, option)]
    _check_each(written, option)
    return [LocalFile(Path(_absolute(name)), lfn) for name, lfn in zip(written, logical_names(written), strict=True)]


def logical_names(written: Sequence[str]) -> list[str]:
    """How jobs call files: as the user wrote it for files below the current directory, else relative to their parent.

    So `wc -l data/a.txt` prints the same name in a job as by hand. Raises Usage if two would have the same name.
    """
    outside = [name for name in written if not _is_below_here(name)]
    parent = _common_parent(outside)
    names = [_tidy(name) if _is_below_here(name) else os.path.relpath(_absolute(name), parent) for name in written]
    if len({os.path.normpath(name) for name in names}) < len(names):
        parent = _common_parent(written)
        names = [os.path.relpath(_absolute(name), parent) for name in written]
    return names


def measure(files: Sequence[LocalFile], on_file: Callable[[LocalFile], None] | None = None) -> list[LocalFile]:
    """The same files with sizes and adler32 checksums, read in threads. Raises Usage for one that cannot be read."""
    measured = []
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) * 2)) as pool:
        for file in pool.map(_measure_one, files):
            measured.append(file)
            if on_file is not None:
                on_file(file)
    return measured


def adler32(path: Path) -> tuple[int, str]:
    """Size in bytes and checksum (`ad:0123abcd`) of a file."""
    size_bytes, value = 0, 1
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            value = zlib.adler32(chunk, value)
    return size_bytes, f"ad:{value:08x}"


def _measure_one(file: LocalFile) -> LocalFile:
    try:
        size_bytes, checksum = adler32(file.path)
    except OSError as error:
        raise Usage(f"{file.path} cannot be read: {error.strerror}", code="unreadable_input") from error
    return replace(file, size_bytes=size_bytes, checksum=checksum)


def _expand(given: str | Path, option: str) -> list[str]:
    """The names one word means, sorted as the user's locale sorts them."""
    pattern = os.fspath(given)
    if isinstance(given, str) and not os.path.lexists(pattern):
        pattern = os.path.expanduser(pattern)
    if isinstance(given, str) and glob.has_magic(pattern):
        found = [name for name in dict.fromkeys(_matches(pattern, option)) if not Path(name).is_dir()]
        if pattern in found or not os.path.lexists(pattern):
            return _sorted(found) if found else _nothing(f"no file matches {pattern!r}", option)
    if not os.path.lexists(pattern):
        return _nothing(f"there is no file {pattern!r}", option)
    return _sorted(_files_below(pattern, option)) if Path(pattern).is_dir() else [pattern]


def _nothing(detail: str, option: str) -> NoReturn:
    raise Usage(detail, field=option, code="no_such_file", remedy="check the spelling")


def _matches(pattern: str, option: str) -> Iterator[str]:
    """Names that match; `**` is any depth of directories, not through links (glob would walk in circles)."""
    parts = pattern.split("/")
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    depth = parts.index("**")
    before, after = "/".join(parts[:depth]), "/".join(parts[depth + 1 :]) or "*"
    start = before if before or not pattern.startswith("/") else "/"
    for top in filter(os.path.isdir, glob.iglob(start)) if start else [""]:
        for directory, _ in _walk(top, option):
            yield from _matches(os.path.join(glob.escape(directory), after), option)


def _files_below(directory: str, option: str) -> list[str]:
    names = [os.path.join(where, name) for where, files in _walk(directory, option) for name in files]
    if not names:
        _nothing(f"there is no file below {directory!r}", option)
    return names


def _walk(top: str, option: str) -> Iterator[tuple[str, list[str]]]:
    """Directories below `top` (itself first) and the names of their files, without hidden ones."""

    def unreadable(error: OSError) -> None:
        raise Usage(f"{error.filename} cannot be read: {error.strerror}", field=option, code="unreadable_input")

    for where, directories, files in os.walk(top or ".", onerror=unreadable):
        directories[:] = [name for name in directories if not name.startswith(".")]
        shown = where if top else os.path.relpath(where, ".").removeprefix(".")
        yield shown, [name for name in files if not name.startswith(".")]


def _sorted(names: Sequence[str]) -> list[str]:
    return sorted(names, key=lambda name: (locale.strxfrm(name), name))


def _check_each(written: Sequence[str], option: str) -> None:
    """Raise Usage for the first name that cannot be an input."""
    times = Counter(_absolute(name) for name in written)
    for name in written:
        if not _is_text(_absolute(name)):
            raise Usage(
                f"the name of {os.fsencode(name)!r} is not UTF-8", field=option, code="bad_name", remedy="rename it"
            )
        try:
            mode = Path(name).stat().st_mode
        except OSError as error:
            raise Usage(f"{name!r}: {error.strerror}", field=option, code="no_such_file") from error
        if not stat.S_ISREG(mode):
            raise Usage(f"{name!r} is not a regular file", field=option, code="not_a_file", remedy="leave it out")
        if not os.access(name, os.R_OK):
            raise Usage(f"{name!r} is not readable for you", field=option, code="unreadable_input")
        if times[_absolute(name)] > 1:
            raise Usage(f"{name!r} is given twice", field=option, code="duplicate_input", remedy="give each file once")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_below_here(name: str) -> bool:
    return not os.path.isabs(name) and ".." not in name.split("/")


def _absolute(name: str) -> str:
    """The path from the root; `..` after a link to a directory goes where the system says, not where the text says."""
    if ".." in name.split("/"):
        directory, base = os.path.split(name)
        return os.path.join(os.path.realpath(directory), base)
    return os.path.abspath(name)


def _tidy(name: str) -> str:
    """Without doubled slashes: a name inside a job directory has no empty part."""
    return "/".join(part for part in name.split("/") if part)


def _common_parent(names: Sequence[str]) -> str:
    return os.path.commonpath([os.path.dirname(_absolute(name)) for name in names]) if names else ""
