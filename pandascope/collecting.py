"""Fetch the outputs of a task: copy, verify size and checksum, merge. Procedure of `Client.collect`."""

from __future__ import annotations

import os
import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pandascope import calls
from pandascope.errors import ClientError
from pandascope.steps import Procedure, Work

_CHUNK_BYTES = 1 << 20

Progress = Callable[[int, int], None]
"""Called with how many files are done and how many there are."""


@dataclass(frozen=True)
class Collected:
    """What `collect` brought: files in order of the jobs, merged files, names whose merge would have had gaps."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    merged: list[Path] = field(default_factory=list)
    not_merged: list[str] = field(default_factory=list)
    total_bytes: int = 0

    def as_document(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            "folder": str(self.folder),
            "files": [str(path) for path in self.files],
            "merged": [str(path) for path in self.merged],
            "not_merged": self.not_merged,
            "total_bytes": self.total_bytes,
        }


def collect(jedi_task_id: int, folder: Path, merge: bool, on_file: Progress | None) -> Procedure[Collected]:
    """Copy every output of a task into `folder`.

    A task of one job gives `counts.txt`, one of several `counts.000001.txt`, ...; with `merge` these are also joined, in
    the order of the jobs, to `counts.txt`. Raises ClientError for a copy that differs from what the job stored.
    """
    task = (yield calls.task(jedi_task_id))["task"]
    outputs = [row for row in (yield calls.outputs(jedi_task_id)) if row["type"] == "output"]
    # a piece that was tried again, and a job that only prepared the others, made no part of its own
    n_jobs = int(task.get("n_pieces") or task["n_jobs"] or 0)
    folder = Path(os.fspath(folder))
    collected: Collected = yield Work(lambda: _fetch_all(outputs, n_jobs, folder, merge, on_file))
    return collected


def _fetch_all(
    outputs: Sequence[dict[str, Any]],
    n_jobs: int,
    folder: Path,
    merge: bool,
    on_file: Progress | None,
) -> Collected:
    files, parts, total_bytes = [], defaultdict[str, list[Path]](list), 0
    for number, row in enumerate(sorted(outputs, key=lambda row: (row["job_index"], row["local_name"])), 1):
        target = _inside(folder, row["local_name"] if n_jobs <= 1 else row["lfn"])
        fetch(row, target)
        files.append(target)
        parts[row["local_name"]].append(target)
        total_bytes += int(row["size_bytes"])
        if on_file is not None:
            on_file(number, len(outputs))
    complete = [name for name in parts if len(parts[name]) == n_jobs]
    merged = [_join(parts[name], _inside(folder, name)) for name in complete] if merge and n_jobs > 1 else []
    gaps = [name for name in parts if len(parts[name]) != n_jobs] if merge else []
    return Collected(folder, files, merged, gaps, total_bytes)


def fetch(output: dict[str, Any], target: Path) -> None:
    """Copy one stored output to `target` and verify it; a partial file is never left under that name."""
    source, partial = Path(str(output["pfn"]).removeprefix("file://")), target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as reader, partial.open("wb") as writer:
            size_bytes, checksum = _copy(reader, writer)
        if (size_bytes, checksum) != (output["size_bytes"], output["checksum"]):
            raise ClientError(
                f"{source} has {size_bytes} bytes and {checksum}, the job stored {output['size_bytes']} bytes "
                f"and {output['checksum']}",
                code="corrupt_output",
                remedy=f"it was changed after job {output['panda_id']} ended; run that job again",
            )
        partial.replace(target)
    except OSError as error:
        raise ClientError(
            f"output {output['lfn']} of job {output['panda_id']} cannot be copied to {target}: {error}",
            code="not_collected",
            remedy=f"storage {output['endpoint']} and the folder must be reachable from this machine",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(reader: BinaryIO, writer: BinaryIO) -> tuple[int, str]:
    size_bytes, value = 0, 1
    while chunk := reader.read(_CHUNK_BYTES):
        size_bytes += len(chunk)
        value = zlib.adler32(chunk, value)
        writer.write(chunk)
    return size_bytes, f"ad:{value:08x}"


def _join(parts: Sequence[Path], target: Path) -> Path:
    partial = target.with_name(target.name + ".part")
    with partial.open("wb") as writer:
        for part in parts:
            with part.open("rb") as reader:
                shutil.copyfileobj(reader, writer, _CHUNK_BYTES)
    return partial.replace(target)


def _inside(folder: Path, name: str) -> Path:
    """The path of a name in the folder. Raises ClientError for a name that would leave it."""
    if name.startswith("/") or ".." in name.split("/"):
        raise ClientError(f"the output name {name!r} leads out of the folder", code="bad_name")
    return folder / name
