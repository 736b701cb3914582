"""Pilots as processes, made quickly: one process imports the pilot once and forks a child for each; by it many nodes are played.

A child is the pilot program with its own environment, session and log. As a program: lines of JSON on standard input
({"words", "environment", "log"}), each answered with the process id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOT = Path(__file__).parents[2]


class Nursery:
    """Starts pilots and stops those that are left."""

    def __init__(self) -> None:
        program = [sys.executable, "-m", "tests.support.nursery"]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, text=True)
        self._pids: list[int] = []

    def pilot(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
        """Start `panda pilot <words>` with these variables beside ours; returns its process id."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {"words": list(words), "environment": dict(environment), "log": str(log)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._pids.append(pid)
        return pid

    def close(self) -> None:
        """Stop every pilot that is left (each in the session of its own), and the nursery."""
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery until the end of the block."""
    made = Nursery()
    try:
        yield made
    finally:
        made.close()


def _become_pilot(words: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """In the child: never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(environment)
        from pandascope.cli import main

        sys.argv = ["panda", "pilot", *words]
        try:
            main.run()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001  (the log of the pilot is where it is looked for)
        traceback.print_exc()
    finally:
        os._exit(code)


def _serve() -> None:
    import pandascope.cli.main
    import pandascope.cli.pilot  # noqa: F401  (what every child needs)

    # children that end are nobody's to wait for
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become_pilot(request["words"], request["environment"], request["log"])
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
