"""Unpacks an archive below a directory and nowhere else. Trusts nothing in it: anybody may have made it.

Links are made when everything else is in place, so nothing can be written through one; they may then point anywhere.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .failing import BAD_DATA, CANNOT_CREATE, Failure


class Unpacked(NamedTuple):
    """A file as it came out of an archive: its place, and what tells whether it was changed since."""

    path: Path
    size: int
    mtime: float


def unpack(archive: Path, directory: Path) -> list[Unpacked]:
    """Unpack a gzip-compressed tar into a directory that is made for it. Raises Failure."""
    directory.mkdir(exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as opened:
            files = _Extraction(opened, directory).run()
            while opened.fileobj is not None and opened.fileobj.read(1 << 20):  # the checksum is at the very end
                pass
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise Failure(BAD_DATA, f"{archive.name} is damaged: {error}") from error
    except OSError as error:  # a wrong checksum, too, but that one has no number
        code = CANNOT_CREATE if error.errno else BAD_DATA
        raise Failure(code, f"{archive.name} could not be unpacked: {error.strerror or error}") from error
    return [Unpacked(path, path.stat().st_size, path.stat().st_mtime) for path in files if path.is_file()]


class _Extraction:
    def __init__(self, archive: tarfile.TarFile, directory: Path) -> None:
        self._archive = archive
        self._directory = directory
        self._files: dict[Path, None] = {}
        self._links: dict[Path, str] = {}

    def run(self) -> list[Path]:
        """Everything in the order of the archive (a name that comes twice: the last counts), then the links."""
        for member in self._archive:
            self._extract(member, self._place(member.name))
        for path, target in self._links.items():
            self._link(path, target)
        return list(self._files)

    def _place(self, name: str) -> Path:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\0" in name:
            raise Failure(
                BAD_DATA, f"the archive holds {name!r}, which is outside its directory; nothing of it is used"
            )
        return self._directory.joinpath(*pure.parts)

    def _extract(self, member: tarfile.TarInfo, path: Path) -> None:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(member.mode & 0o777 | 0o700)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            path.unlink()
        self._links.pop(path, None)
        if member.issym():
            self._links[path] = member.linkname
        elif member.islnk():
            self._copy(self._place(member.linkname), path)
        elif member.isfile():
            self._write(member, path)
        else:
            raise Failure(BAD_DATA, f"the archive holds {member.name!r}, which is a device or a pipe")

    def _write(self, member: tarfile.TarInfo, path: Path) -> None:
        content = self._archive.extractfile(member)
        if content is None:
            raise Failure(BAD_DATA, f"the archive holds no content for {member.name!r}")
        with content, path.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        path.chmod(member.mode & 0o777 | 0o600)
        os.utime(path, (member.mtime, member.mtime))
        self._files[path] = None

    def _copy(self, original: Path, path: Path) -> None:
        """A hard link becomes a copy, so that a payload changing one file does not change two."""
        if original in self._links:
            self._links[path] = self._links[original]
        elif original.is_file():
            shutil.copy2(original, path)
            self._files[path] = None
        else:
            raise Failure(BAD_DATA, f"the archive links {path.name!r} to a file that is not in it")

    def _link(self, path: Path, target: str) -> None:
        if path.is_dir():
            raise Failure(BAD_DATA, f"the archive wants to write through its link {path.name!r} to {target!r}")
        path.symlink_to(target)


def tidy(unpacked: list[Unpacked], links: list[Path], directory: Path) -> None:
    """Remove what came out of an archive and was not changed, links to inputs, and the directories that are empty then."""
    for link in links:
        if link.is_symlink():
            link.unlink()
    for file in unpacked:
        try:
            status = file.path.lstat()
            if (status.st_size, status.st_mtime) == (file.size, file.mtime):
                file.path.unlink()
        except OSError:  # gone, or closed to us: the payload may have done either
            continue
    for parent, _, _ in os.walk(str(directory), topdown=False):
        try:
            Path(parent).rmdir()
        except OSError:
            continue
