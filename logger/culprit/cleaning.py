"""The text of a log as patterns search it: the same lines, harmless, none endless, without a pilot's small talk."""

from __future__ import annotations

import re
from collections.abc import Iterable

from logger.texts import harmless

MAX_LINE_CHARACTERS = 500
_SEARCHED_LINE_CHARACTERS = 2000
_SMALL_CHARACTERS = 4096

_CHATTER = re.compile(
    r"^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \| (?:DEBUG|INFO) .*|- Log from \S+ -\s*)$", re.MULTILINE
)
"""What the production pilot writes all the time and means no harm by; it names failures and time-outs that did not happen."""
_CHATTER_HINTS = (" | DEBUG ", " | INFO ", "- Log from ")

_PILOT_PREFIX = re.compile(
    r"^\S+ +[A-Z]+ +(?:job \d+ fails: (?=\d+ )|killing the payload: )|^[\d-]+ [\d:,]+ \|(?: [A-Z]+ +\|(?: [\w.<>]+ +\|){2})? "
)
"""What pilots say before: time, level and PandaID, which are shown elsewhere already, and the place in the code."""

_DIGITS = b"0123456789"
_NO_WORDS = re.compile(r"[\s\d]+")


class Hints:
    """The hints of all patterns, ready to be looked for together."""

    def __init__(self, hints: Iterable[str]) -> None:
        self._words = {
            hint: frozenset(word.encode() for word in _NO_WORDS.split(hint) if word) for hint in dict.fromkeys(hints)
        }
        self._all_words = frozenset().union(*self._words.values())

    def possible_in(self, folded: str) -> list[str]:
        """The hints that may be in a text in lower case; in a small text those that are.

        Most are in no log at all. The vocabulary of a large one tells that in a fraction of the time: its lines without
        their numbers, each once, and of what is still long the words, each once.
        """
        if len(folded) <= _SMALL_CHARACTERS:
            return [hint for hint in self._words if hint in folded]
        vocabulary = _vocabulary(folded)
        present = {word for word in self._all_words if word in vocabulary}
        return [hint for hint, words in self._words.items() if words <= present]


class Log:
    """One log, made ready for searching. `text` has the lines of the log as it came, counted as the log pages do;
    `folded` is the same in lower case, every character in its place."""

    def __init__(self, log: str | bytes) -> None:
        self.text = _without_chatter(searchable(log))
        self.folded = _folded(self.text)
        self._lines: dict[str, list[int]] = {}

    @property
    def is_blank(self) -> bool:
        """Whether nothing is left to search."""
        return not self.text or self.text.isspace()

    def lines_with(self, hints: tuple[str, ...]) -> list[int]:
        """The offsets of the lines that contain one of the hints in any case, in their order."""
        found = [lines for hint in hints if (lines := self._lines_with(hint))]
        if len(found) < 2:
            return found[0] if found else []
        return sorted(set().union(*found))

    def end_of_line(self, offset: int) -> int:
        """Where the line around `offset` ends."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end

    def next_line(self, end: int) -> str:
        """The line after the one that ends at `end`; empty after the last."""
        return self.text[end + 1 : self.end_of_line(end + 1)] if end < len(self.text) else ""

    def lines_before(self, start: int, count: int) -> list[str]:
        """Up to `count` lines before the one at `start`, in their order."""
        lines: list[str] = []
        while start > 0 and len(lines) < count:
            begin = self.text.rfind("\n", 0, start - 1) + 1
            lines.insert(0, self.text[begin : start - 1])
            start = begin
        return lines

    def _lines_with(self, hint: str) -> list[int]:
        if hint not in self._lines:
            self._lines[hint] = self._search(hint)
        return self._lines[hint]

    def _search(self, hint: str) -> list[int]:
        starts = []
        at = self.folded.find(hint)
        while at >= 0:
            starts.append(self.folded.rfind("\n", 0, at) + 1)
            end = self.folded.find("\n", at)
            at = self.folded.find(hint, end) if end >= 0 else -1
        return starts


def searchable(log: str | bytes) -> str:
    """The log as harmless text with the same lines, without endless ones."""
    text = harmless(log.decode("utf-8", "replace") if isinstance(log, bytes) else log)
    lines = text.split("\n")
    if max(map(len, lines)) > _SEARCHED_LINE_CHARACTERS:
        return "\n".join(line[:_SEARCHED_LINE_CHARACTERS] for line in lines)
    return text


def shown(line: str) -> str:
    """A line as people see it, cut where it gets too long."""
    line = line.rstrip()
    return line if len(line) <= MAX_LINE_CHARACTERS else line[: MAX_LINE_CHARACTERS - 6] + " [cut]"


def shown_culprit(line: str) -> str:
    """The culprit line without what every line of a pilot's log begins with."""
    return _PILOT_PREFIX.sub("", shown(line.strip()))


def _without_chatter(text: str) -> str:
    """The same lines, those empty."""
    return _CHATTER.sub("", text) if any(hint in text for hint in _CHATTER_HINTS) else text


def _folded(text: str) -> str:
    """In lower case, every character at the place it had: a few become two when they are folded."""
    folded = text.lower()
    if len(folded) == len(text):
        return folded
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def _vocabulary(folded: str) -> bytes:
    text = folded.encode("utf-8", "replace").translate(None, _DIGITS)
    if len(text) > _SMALL_CHARACTERS:
        text = b"\n".join(set(text.split(b"\n")))
    if len(text) > _SMALL_CHARACTERS:
        text = b" ".join(set(text.split()))
    return text
