"""A private stack for the demonstration: what `panda up` and `panda down` do, in a directory of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pandascope.errors import ClientError

_USUAL_PORT = 25080
PILOTS = 2


class Stack:
    """Starts and stops everything below one data directory; removes the directory again if it made it."""

    def __init__(self, data: Path | None) -> None:
        self.is_private = data is None
        self.data = data.expanduser().absolute() if data else _new_directory()
        self.url = ""
        self._is_ours = False

    @property
    def is_ours(self) -> bool:
        """Whether something may run that this object has to stop."""
        return self._is_ours

    @property
    def logs(self) -> Path:
        """Where the programs of the stack write what they do."""
        return self.data / "logs"

    def start(self) -> None:
        """Return when the API answers. Raises ClientError when it does not, or when somebody uses the directory."""
        self._is_ours = True
        answer = self._panda("up", "--port", str(_free_port()), "--pilots", str(PILOTS))
        if answer.get("already_up"):
            self._is_ours = False
            raise ClientError(
                f"a server is already up in {self.data}",
                field="--data",
                remedy=f"leave --data out, or stop it first: panda down --data {self.data}",
            )
        self.url = str(answer["url"])

    def stop(self) -> None:
        """Stop everything that was started. Raises ClientError when something would not stop."""
        if self._is_ours:
            self._panda("down")
            self._is_ours = False

    def remove(self) -> None:
        """Remove a directory that was made for this run."""
        if self.is_private:
            shutil.rmtree(self.data, ignore_errors=True)

    def _panda(self, *words: str) -> dict[str, Any]:
        """Run a command of `panda` on the data directory, without the settings of the shell that runs us."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PANDA_")}
        arguments = [sys.executable, "-P", "-m", "pandascope.cli.main", *words, "--data", str(self.data), "--json"]
        ended = subprocess.run(
            arguments, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, check=False
        )
        if ended.returncode != 0:
            said = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
            words_of_it = "; ".join(said).removeprefix("error: ")
            raise ClientError(
                f"`panda {words[0]}` failed: {words_of_it or f'exit code {ended.returncode}'}",
                remedy=f"see {self.logs}",
            )
        return dict(json.loads(ended.stdout))


def _new_directory() -> Path:
    """A fresh directory; as root the database's system user has to be able to pass through it."""
    path = Path(tempfile.mkdtemp(prefix="panda-demo-"))
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return path


def _free_port() -> int:
    """The usual port, or 0 (any) when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _USUAL_PORT))
        except OSError:
            return 0
    return _USUAL_PORT
