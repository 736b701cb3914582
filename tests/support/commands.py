"""The `panda` command as people type it, made quickly: a process imports it once and forks a child for each command.

A child is the program with its own words, environment, directory and output. As a program: lines of JSON on standard input
({"words", "environment", "directory", "outputs"}), each answered with the exit code. What is about how the command starts
needs a process of its own (tests/pandascope/test_command_table.py).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.authorities import read_authorities_once

_ROOT = Path(__file__).parents[2]


class PandaCommand:
    """Runs commands, one after the other."""

    def __init__(self, directory: Path) -> None:
        """`directory`: an empty one, for what commands write."""
        program = [sys.executable, "-m", "tests.support.commands"]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, text=True)
        self._outputs = [directory / "stdout", directory / "stderr"]

    def run(self, words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """What `panda <words>` does in the current directory with exactly these variables."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {
            "words": list(words),
            "environment": dict(environment),
            "directory": str(Path.cwd()),
            "outputs": list(map(str, self._outputs)),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        said = [path.read_text() for path in self._outputs]
        return subprocess.CompletedProcess(["panda", *words], code, *said)

    def close(self) -> None:
        """End the process; no command is running."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@contextmanager
def panda_command() -> Iterator[PandaCommand]:
    """Commands until the end of the block."""
    with TemporaryDirectory(prefix="panda-commands-") as directory:
        made = PandaCommand(Path(directory))
        try:
            yield made
        finally:
            made.close()


def _next_command() -> dict[str, Any]:
    """In a child: what it has to do. In the process that forks them: returns never, it ends when nobody asks any more."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            request: dict[str, Any] = json.loads(line)
            return request
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    sys.exit()


def _become(request: Mapping[str, Any]) -> None:
    """The variables, the directory and the output of the command."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for standard, path in enumerate(request["outputs"], start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), standard)


if __name__ == "__main__":
    from pandascope.cli import main

    for entry in main.COMMANDS:
        if entry.panel in (main.WORK, main.WATCH) and entry.name != "tui":
            importlib.import_module(entry.module)
    for module in ("pandascope.client", "pandascope.collecting", "pandascope.environment", "httpcore", "rich.console"):
        importlib.import_module(module)
    read_authorities_once()
    gc.collect()
    gc.freeze()
    command = _next_command()
    _become(command)
    sys.argv = ["panda", *command["words"]]
    try:
        main.run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to take down what was imported costs more than the command
