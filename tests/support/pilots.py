"""Real pilots as processes, for tests whose jobs have to run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.system import RunningSystem

_WORDS = "pilot --queue LOCAL --wait 0.2 --requests 10000 --max-jobs 0 --heartbeat 1 --scratch-min 1"


@contextmanager
def running_pilots(system: RunningSystem, directory: Path, count: int = 2) -> Iterator[list[int]]:
    """Pilots for the local queue until the end of the block; gives their process ids."""
    token = system.token("pilot", "pilot")
    started = []
    for number in range(count):
        work = directory / f"pilot-{number}"
        program = [sys.executable, "-P", "-m", "pandascope.cli.main", *_WORDS.split(), "--work-dir", str(work)]
        environment = {**os.environ, "PANDA_URL": system.url, "PANDA_TOKEN": token}
        with (directory / f"pilot-{number}.log").open("wb") as log:
            started.append(subprocess.Popen(program, stdout=log, stderr=log, env=environment, start_new_session=True))
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
