"""What a row of the table of patterns is, and the finders most rows are made of. Knows no particular program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from logger.culprit.cleaning import Log

Step = Literal[
    "setup", "stage-in", "build", "payload", "stage-out", "log", "batch", "container", "service", "heartbeat"
]
ErrorClass = Literal[
    "user",
    "software",
    "memory",
    "disk",
    "time",
    "data",
    "storage",
    "network",
    "auth",
    "node",
    "batch",
    "container",
    "database",
    "central",
    "unknown",
]
Pick = Literal["first", "last"]

LAST_LINE = "last_line"


@dataclass(frozen=True)
class Culprit:
    """The line that names the cause. `pattern` is the row of `PATTERNS` that found it, `where` the failing function
    as "file:function" when the log tells, else empty; `step` and `error_class` are empty when the line does not say."""

    line_number: int
    text: str
    pattern: str
    where: str = ""
    step: str = ""
    error_class: str = ""

    @property
    def is_guess(self) -> bool:
        """Whether nothing looked like an error, so that this is just the last line written."""
        return self.pattern == LAST_LINE


@dataclass(frozen=True)
class Found:
    """A line by the offsets of its first character and its end. `is_second_hand`: it only says that something else
    failed, and that something may stand elsewhere in the log. `head`: where the traceback begins that it ends, `said`:
    where its own words begin behind what a logger puts before every line; 0 for neither."""

    start: int
    end: int
    where: str = ""
    is_second_hand: bool = False
    head: int = 0
    said: int = 0


Finder = Callable[[Log], Iterator[Found]]
"""Yields the lines it means, the best first; the others are for when the best one was tried again."""


@dataclass(frozen=True)
class Pattern:
    """One way in which programs complain.

    `hints`: lower-case texts of which one must occur in the line, searched first because that costs a hundredth of an
    expression; none given means always look. `step` and `error_class` are empty when the line does not say them.
    `expression`: what recognises the line alone, for lines that a more general row has found already.
    """

    name: str
    hints: tuple[str, ...]
    find: Finder
    step: Step | Literal[""] = ""
    error_class: ErrorClass | Literal[""] = ""
    expression: re.Pattern[str] | None = None
    pick: Pick = "last"
    is_generic: bool = False
    """Whether it goes by words that any trouble may use, so that it says nothing about step and class."""

    def recognises(self, line: str, folded: str) -> bool:
        """Whether a line (and the same in lower case) is of this kind."""
        return (
            self.expression is not None
            and any(hint in folded for hint in self.hints)
            and self.expression.search(line) is not None
        )


def row(
    name: str,
    hints: tuple[str, ...],
    expression: str,
    step: Step | Literal[""] = "",
    error_class: ErrorClass | Literal[""] = "",
    pick: Pick = "last",
    *,
    is_generic: bool = False,
) -> Pattern:
    """A pattern of single lines: of those with a hint and the expression in them the first or the last."""
    compiled = re.compile(expression, re.MULTILINE)  # ^ is the line's begin where a search starts inside the log

    def find(log: Log) -> Iterator[Found]:
        lines = log.lines_with(hints)
        for start in lines if pick == "first" else reversed(lines):
            end = log.end_of_line(start)
            if compiled.search(log.text, start, end):
                yield Found(start, end)

    return Pattern(name, hints, find, step, error_class, compiled, pick, is_generic)


def refinement(
    name: str,
    hints: tuple[str, ...],
    expression: str,
    step: Step | Literal[""] = "",
    error_class: ErrorClass | Literal[""] = "",
) -> Pattern:
    """A pattern for a line that a more general row has found; alone such a line means nothing."""

    def find(log: Log) -> Iterator[Found]:
        return iter(())

    return Pattern(name, hints, find, step, error_class, re.compile(expression, re.MULTILINE))
