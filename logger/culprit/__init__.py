"""Finds the line of a log that names the cause. Knows how programs complain; knows no job and no database.

Lines are what `\\n` separates, counted from 1, as the log pages count them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from logger.culprit import (
    auth,
    batch,
    builds,
    containers,
    databases,
    generic,
    languages,
    network,
    pilots,
    resources,
    shells,
    transfers,
)
from logger.culprit.choosing import PutAside
from logger.culprit.cleaning import MAX_LINE_CHARACTERS, Hints, Log, searchable, shown, shown_culprit
from logger.culprit.pattern import LAST_LINE, Culprit, Found, Pattern
from logger.texts import harmless

__all__ = [
    "LAST_LINE",
    "MAX_CONTEXT_BYTES",
    "MAX_LINE_CHARACTERS",
    "PATTERNS",
    "Context",
    "Culprit",
    "Pattern",
    "around",
    "context_of",
    "find_culprit",
    "harmless",
    "numbered",
]

PATTERNS: tuple[Pattern, ...] = (
    *pilots.ENDED_BY_THE_PILOT,
    pilots.PRODUCTION_PILOT,
    *languages.PYTHON,
    *languages.PYTHON_EXCEPTIONS,
    *pilots.VERDICTS,
    *languages.EXCEPTIONS,
    *resources.PATTERNS,
    *languages.CRASHES,
    *builds.PATTERNS,
    *auth.PATTERNS,
    *transfers.PATTERNS,
    *databases.PATTERNS,
    *containers.PATTERNS,
    *batch.PATTERNS,
    *resources.LATE,
    *network.PATTERNS,
    *network.PYTHON_EXCEPTIONS,
    *shells.COMMANDS,
    *builds.MAKE,
    *shells.ENDS,
    *generic.PATTERNS,
)
"""In the order they are tried: what names a cause most surely first. A row here needs a sample log in its test."""

_HINTS = Hints(hint for pattern in PATTERNS for hint in pattern.hints)
_ALWAYS = tuple(index for index, pattern in enumerate(PATTERNS) if not pattern.hints)
_BY_HINT: dict[str, list[int]] = defaultdict(list)
for _index, _pattern in enumerate(PATTERNS):
    for _hint in _pattern.hints:
        _BY_HINT[_hint].append(_index)

_REFINED = frozenset({"python_traceback", "java_cause", "java_exception", "python_exception", "pytest"})
_REFINING = (
    *languages.PYTHON_EXCEPTIONS,
    *languages.EXCEPTIONS,
    *resources.PATTERNS,
    *resources.LATE,
    *builds.SOFTWARE,
    *auth.PATTERNS,
    *transfers.PATTERNS,
    *databases.PATTERNS,
    *containers.PATTERNS,
    *network.PATTERNS,
    *network.PYTHON_EXCEPTIONS,
)
"""The rows that tell more of an exception whose line was found by its traceback."""


def find_culprit(log: str | bytes) -> Culprit | None:
    """The line that names the cause with step and class, cut at 500 characters and without escape sequences; None for
    an empty log.

    A line that only says that something else failed counts when nothing better than general words is found; one that
    does so in general words, or that was tried again, when nothing else at all is.
    """
    searched = Log(log)
    if searched.is_blank:
        return None
    aside = PutAside(searched)
    for pattern in _possible_patterns(searched):
        if choice := aside.before(pattern):
            return _culprit(searched, *choice)
        if aside.skips(pattern):
            continue
        for found in pattern.find(searched):
            told = _refined(searched, pattern, found)
            if not aside.takes(pattern, told, found):
                return _culprit(searched, told, found)
    return None


def _possible_patterns(log: Log) -> list[Pattern]:
    """Those with a hint in the log, in their order."""
    possible = {index for hint in _HINTS.possible_in(log.folded) for index in _BY_HINT[hint]}
    return [PATTERNS[index] for index in sorted(possible.union(_ALWAYS))]


def _refined(log: Log, pattern: Pattern, found: Found) -> Pattern:
    """The row that tells more of a line which a general row has found, or that row itself."""
    if pattern.name not in _REFINED:
        return pattern
    line = log.text[found.said or found.start : found.end]
    folded = line.lower()
    return next((refining for refining in _REFINING if refining.recognises(line, folded)), pattern)


def _culprit(log: Log, pattern: Pattern, found: Found) -> Culprit:
    return Culprit(
        log.text.count("\n", 0, found.start) + 1,
        shown_culprit(log.text[found.start : found.end]),
        pattern.name,
        found.where,
        pattern.step,
        pattern.error_class,
    )


def around(log: str | bytes, line_number: int, reach: int = 20) -> list[tuple[int, str]]:
    """The lines from `reach` before to `reach` after `line_number`, as (line number, text cut at 500 characters)."""
    lines = searchable(log).split("\n")
    if not log or log[-1:] in ("\n", b"\n"):
        lines.pop()
    first = max(1, line_number - reach)
    wanted = enumerate(lines[first - 1 : line_number + reach], start=first)
    return [(number, shown(line)) for number, line in wanted]


MAX_CONTEXT_BYTES = 16_384


@dataclass(frozen=True)
class Context:
    """The lines around a culprit that are kept when the log is not: `lines` one below the other, the first of them with
    the number `first_line_number`."""

    first_line_number: int
    culprit_line_number: int
    lines: str


def context_of(log: str | bytes, culprit: Culprit) -> Context:
    """The lines to keep: 20 before and after, 500 characters each, 16 kB at most; the farthest go first."""
    lines = around(log, culprit.line_number)
    while len(lines) > 1 and sum(len(text.encode()) + 1 for _, text in lines) > MAX_CONTEXT_BYTES:
        is_first_farther = culprit.line_number - lines[0][0] > lines[-1][0] - culprit.line_number
        lines = lines[1:] if is_first_farther else lines[:-1]
    first = lines[0][0] if lines else culprit.line_number
    return Context(first, culprit.line_number, "\n".join(text for _, text in lines))


def numbered(lines: list[tuple[int, str]]) -> Iterator[dict[str, int | str]]:
    """Lines as the monitor's documents hold them (docs/api.md)."""
    return ({"line_number": number, "text": text} for number, text in lines)
