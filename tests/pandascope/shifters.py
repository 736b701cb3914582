"""A shifter at a terminal, for tests: the `panda` command in this process, with what is typed and what is read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pandascope.cli import main
from tests.support.system import RunningSystem

Typed = str | Callable[[], str]


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Keyboard(io.TextIOBase):
    """What is typed, line by line; a function is called at the moment its line is asked for."""

    def __init__(self, lines: Sequence[Typed]) -> None:
        super().__init__()
        self._lines: Iterator[Typed] = iter(lines)

    def readline(self, _: Any = -1) -> str:  # type: ignore[override]
        """The next line; nothing once all were typed."""
        line = next(self._lines, "")
        said = line() if callable(line) else line
        return f"{said}\n" if said else ""


@dataclass
class Shifter:
    """Somebody with a token. Called with the words of a command; `code` is the exit code that is expected."""

    system: RunningSystem
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    token: str

    def __call__(self, *words: object, code: int | None = 0, typed: Sequence[Typed] = ()) -> Ended:
        self.monkeypatch.setenv("PANDA_URL", self.system.url)
        self.monkeypatch.setenv("PANDA_TOKEN", self.token)
        self.monkeypatch.setattr("sys.stdin", Keyboard(typed))
        self.capsys.readouterr()
        ended = main._run([str(word) for word in words])
        said = self.capsys.readouterr()
        assert code is None or ended == code, f"{words}: {ended}\n{said.out}\n{said.err}"
        return Ended(ended, said.out, said.err)

    def json(self, *words: object, code: int = 0) -> Any:
        """The answer of a command as a document."""
        return json.loads(self(*words, "--json", code=code).out)


@dataclass
class Crew:
    """Everybody who works at one server."""

    system: RunningSystem
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, user: str, *roles: str) -> Shifter:
        return Shifter(self.system, self.monkeypatch, self.capsys, self.system.token(user, *roles))
