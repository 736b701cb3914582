"""First half of the demonstration: count the tokens of the standard library as jobs, and directly, and compare."""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pandascope.client import Client
from pandascope.demo import count_tokens
from pandascope.errors import ClientError
from pandascope.files import LocalFile, find_files
from pandascope.running import Submitted
from pandascope.waiting import Progress

FILES_PER_JOB = 20
OUTPUT = "counts.txt"
_NOT_LIBRARY = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "lib-dynload"})


@dataclass(frozen=True)
class Totals:
    """Sums over a result; `not_tokenizable` files have no tokens."""

    files: int
    tokens: int
    lines: int
    not_tokenizable: int


def library_files() -> list[Path]:
    """The Python source files of the interpreter's own standard library, without its tests and without added packages."""
    found = []
    for where, directories, names in os.walk(sysconfig.get_paths()["stdlib"]):
        directories[:] = sorted(name for name in directories if name not in _NOT_LIBRARY)
        found += [Path(where) / name for name in names if name.endswith(".py") and (Path(where) / name).is_file()]
    if not found:
        raise ClientError("the interpreter's standard library has no source files here", remedy="use another Python")
    return sorted(found)


def submit(client: Client, files: Sequence[Path]) -> Submitted:
    """Count tokens with one job per 20 files."""
    script = Path(count_tokens.__file__)
    return client.run(
        f"{shlex.quote(sys.executable)} -I -S {script.name} %IN > %OUT",
        inputs=files,
        outputs=[OUTPUT],
        files_per_job=FILES_PER_JOB,
        sandbox=[script],
        name="demo.count-tokens",
    )


def collect(client: Client, submitted: Submitted, folder: Path, on_progress: Progress) -> str:
    """Wait for the task and return its merged outputs. Raises ClientError when a job did not finish."""
    task = client.wait(submitted.jedi_task_id, timeout_s=600.0, on_progress=on_progress)
    if task["status"] != "done":
        raise ClientError(
            f"task {task['jedi_task_id']} ended {task['status']}: {task['n_failed']} of {task['n_jobs']} jobs failed",
            remedy="their pilots' logs are among those below",
        )
    collected = client.collect(submitted.jedi_task_id, folder, merge=True)
    return (collected.merged or collected.files)[0].read_text(encoding="utf-8")


def compute_directly(files: Sequence[Path], on_file: Callable[[int], None]) -> str:
    """The same result, computed in this process."""
    inputs: list[LocalFile] = find_files(files, "--in")
    lines = []
    for number, file in enumerate(inputs, 1):
        lines.append(count_tokens.report_line(file.lfn, file.path))
        on_file(number)
    return "".join(lines)


def totals(result: str) -> Totals:
    """Sums over the lines of a result."""
    rows = [line.split("\t") for line in result.splitlines()]
    tokens = [int(row[1]) for row in rows if row[1] != count_tokens.NOT_TOKENIZABLE]
    return Totals(len(rows), sum(tokens), sum(int(row[2]) for row in rows), len(rows) - len(tokens))


def first_difference(collected: str, direct: str) -> str:
    """Where two results part, in words; empty when they are equal."""
    if collected == direct:
        return ""
    left, right = collected.splitlines(), direct.splitlines()
    for number, (ours, theirs) in enumerate(zip(left, right, strict=False), 1):
        if ours != theirs:
            return f"line {number}: jobs say {ours!r}, the direct computation {theirs!r}"
    return f"jobs gave {len(left)} lines, the direct computation {len(right)}"
