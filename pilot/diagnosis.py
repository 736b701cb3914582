"""Why a payload failed, as far as its end and its own words tell. Pure functions over texts and exit codes."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

from pilot import errors
from pilot.errors import ErrorCode, JobFailure
from pilot.payload import PayloadEnd

_ESCAPE_SEQUENCES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning|Iteration|Group)?(:|$)")
_LONGEST_LINE = 300


def failing_line(text: str) -> str:
    """The line of a payload's stderr that says most: the exception of the last traceback, else the last with words."""
    lines = [_plain(line) for line in text.splitlines()]
    starts = [number for number, line in enumerate(lines) if line.strip() == _TRACEBACK]
    for line in lines[starts[-1] + 1 :] if starts else []:
        if line and not line[0].isspace() and _EXCEPTION.match(line):
            return line.strip()[:_LONGEST_LINE]
    with_words = (line.strip() for line in reversed(lines) if re.search(r"\w{2}", line))
    return next(with_words, "")[:_LONGEST_LINE]


def _plain(line: str) -> str:
    return _CONTROLS.sub("", _ESCAPE_SEQUENCES.sub("", line)).rstrip()


def _died_of(number: int) -> Callable[[PayloadEnd, str], bool]:
    """By a signal, or of a child that a shell reports as 128 and the signal."""
    return lambda end, _: end.trans_exit_code == 128 + number


def _says(pattern: str) -> Callable[[PayloadEnd, str], bool]:
    expression = re.compile(pattern)
    return lambda end, line: bool(expression.search(line))


@dataclass(frozen=True)
class Rule:
    """A code and when it is the right one, given the end of the payload and its failing line."""

    error: ErrorCode
    holds: Callable[[PayloadEnd, str], bool]


RULES = (
    Rule(errors.SEGMENTATION_FAULT, _died_of(signal.SIGSEGV)),
    Rule(errors.BAD_ALLOC, _says(r"std::bad_alloc")),
    Rule(errors.OUT_OF_MEMORY, _says(r"^MemoryError\b|[Oo]ut of memory|Cannot allocate memory")),
    Rule(errors.NO_LOCAL_SPACE, _says(r"No space left on device")),
    Rule(errors.PAYLOAD_FAILED, lambda end, line: True),
)
"""The first rule that holds gives the code (domain.md 7.8)."""


FULL_DISK_MB = 10
"""A disk with less room is full: payloads that fail on it were mostly not able to write down why."""


def payload_failure(end: PayloadEnd, stderr: str, stdout: str, free_disk_mb: int) -> JobFailure | None:
    """The failure of a payload that ended by itself; None when it succeeded. `free_disk_mb`: as it was at its end."""
    if end.exit_code == 0:
        return None
    line = failing_line(stderr) or failing_line(stdout)
    error = next(rule.error for rule in RULES if rule.holds(end, line))
    how = f"exit code {end.exit_code}" if end.exit_code is not None else f"killed by {_signal_name(end.signal or 0)}"
    if error == errors.PAYLOAD_FAILED and free_disk_mb < FULL_DISK_MB:
        error, how = errors.NO_LOCAL_SPACE, f"{how} with {free_disk_mb} MB left on the node's disk"
    return JobFailure(error, f"{how}: {line}" if line else how)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
