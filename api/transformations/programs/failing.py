"""How a transformation says what goes on, and how it ends when it cannot go on. Knows no step of the work."""

from __future__ import annotations

import sys

USAGE = 64
"""The arguments cannot be understood or contradict each other."""
BAD_DATA = 65
"""An archive that is damaged, is none, or wants to write outside its directory."""
NO_INPUT = 66
"""An input file is not in the job's directory."""
NOT_AVAILABLE = 69
"""Software the job asks for is not on this node."""
INTERNAL = 70
"""A fault of the transformation itself."""
CANNOT_CREATE = 73
"""A file could not be written here: disk full, quota, permissions."""
FETCH_FAILED = 74
"""The archive could not be had from the server."""


class Failure(Exception):
    """The transformation ends with `code` (those above: of sysexits.h, rare in payloads) and this sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def say(sentence: str) -> None:
    """One line on stdout: stderr is the payload's alone, so that its last words are the last there."""
    _write(sys.stdout, sentence)


def complain(program: str, sentence: str) -> None:
    """The one line on stderr that a reader of the log looks for."""
    _write(sys.stderr, f"{program}: error: {sentence}")


def remark(program: str, sentence: str) -> None:
    """A line on stderr about a payload that itself saw nothing wrong."""
    _write(sys.stderr, f"{program}: {sentence}")


def _write(stream: object, sentence: str) -> None:
    """At once and whatever the locale; names of files may hold bytes that are no text."""
    buffer = getattr(stream, "buffer")  # noqa: B009 - TextIO does not promise one
    buffer.write(" ".join(sentence.splitlines()).encode("utf-8", "surrogateescape") + b"\n")
    buffer.flush()
