"""Reads the regular expressions of PostgreSQL into trees, as far as their meaning is certain. Knows no language theory.

What depends on the locale, on options or on what other engines read otherwise raises `Unclear`: nothing is said then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Points = tuple[tuple[int, int], ...]
"""Characters as ranges of code points, both ends included, in order and apart."""

_DIGIT, _LETTER, _SPACE, _OTHER = range(0x110000, 0x110004)
"""Stand for all characters beyond ASCII of their kind, wherever none of them is named."""
EVERYTHING: Points = ((1, _OTHER),)
_LAST_ASCII = 0x7F
_CLASSES: dict[str, Points] = {
    "d": ((0x30, 0x39), (_DIGIT, _DIGIT)),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A), (_DIGIT, _LETTER)),
    "s": ((0x09, 0x0D), (0x20, 0x20), (_SPACE, _SPACE)),
}
_CONTROLS = {"n": 0x0A, "t": 0x09, "r": 0x0D, "f": 0x0C, "v": 0x0B}
_MOST_REPEATS = 255
"""Of PostgreSQL."""


class Unclear(Exception):
    """The expression holds something whose meaning is not certain here."""


@dataclass(frozen=True)
class Characters:
    """One character out of these."""

    points: Points


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Choice:
    """One of these."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Repeat:
    """So often; `most` None: without end."""

    part: Tree
    least: int
    most: int | None


@dataclass(frozen=True)
class Anchor:
    """The start or the end of the text."""

    at: Literal["start", "end"]


@dataclass(frozen=True)
class Look:
    """What follows begins like `part`, or does not."""

    part: Tree
    is_positive: bool


Tree = Characters | Sequence | Choice | Repeat | Anchor | Look


def read_expression(text: str) -> Tree:
    """The tree of an expression that PostgreSQL takes. Raises Unclear."""
    reader = _Reader(text)
    tree = reader.choice()
    if reader.left:
        raise Unclear
    if reader.has_class and any(ord(character) > _LAST_ASCII for character in text):
        raise Unclear  # the locale says which of them are letters
    return tree


def joined(points: Points) -> Points:
    """Ranges put in order, without overlaps."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(points):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def without(points: Points) -> Points:
    """All other characters."""
    left, [(start, last)] = [], EVERYTHING
    for low, high in joined(points):
        if low > start:
            left.append((start, low - 1))
        start = high + 1
    if start <= last:
        left.append((start, last))
    return tuple(left)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self.has_class = False

    @property
    def left(self) -> str:
        return self._text[self._place :]

    def _takes(self, word: str) -> bool:
        if not self._text.startswith(word, self._place):
            return False
        self._place += len(word)
        return True

    def _next(self) -> str:
        if self._place >= len(self._text):
            raise Unclear
        self._place += 1
        return self._text[self._place - 1]

    def choice(self) -> Tree:
        branches = [self._sequence()]
        while self._takes("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while self.left and self.left[0] not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Tree) -> Tree:
        limits: tuple[int, int | None] | None = None
        if self._takes("*"):
            limits = (0, None)
        elif self._takes("+"):
            limits = (1, None)
        elif self._takes("?"):
            limits = (0, 1)
        elif self.left.startswith("{") and self.left[1:2].isdecimal():
            limits = self._bound()
        if limits is None:
            return part
        self._takes("?")  # as little as possible: which text is found first, not whether one is
        if isinstance(part, Anchor | Look) or self.left[:1] in ("*", "+", "?"):
            raise Unclear
        return Repeat(part, *limits)

    def _bound(self) -> tuple[int, int | None]:
        inside, closing, _ = self.left[1:].partition("}")
        least, comma, most = inside.partition(",")
        if not closing or not least.isdecimal() or not (most.isdecimal() or most == ""):
            raise Unclear
        self._place += len(inside) + 2
        low = int(least)
        high = int(most) if most else None if comma else low
        if max(low, high or 0) > _MOST_REPEATS or (high is not None and low > high):
            raise Unclear
        return low, high

    def _atom(self) -> Tree:
        for start, is_positive in (("(?=", True), ("(?!", False)):
            if self._takes(start):
                return Look(self._inside(), is_positive)
        if self._takes("(?:"):
            return self._inside()
        character = self._next()
        if character == "(" and not self.left.startswith("?"):
            return self._inside()
        if character in "^$":
            return Anchor("start" if character == "^" else "end")
        if character == ".":
            return Characters(EVERYTHING)
        if character == "[":
            return Characters(self._bracket())
        if character == "\\":
            return self._escape()
        if character in "(*+?" or character == "\x00":
            raise Unclear
        return Characters(((ord(character), ord(character)),))

    def _inside(self) -> Tree:
        tree = self.choice()
        if not self._takes(")"):
            raise Unclear
        return tree

    def _escape(self) -> Tree:
        letter = self._next()
        if letter in "AZ":
            return Anchor("start" if letter == "A" else "end")
        return Characters(self._escaped(letter))

    def _escaped(self, letter: str) -> Points:
        if letter.lower() in _CLASSES:
            self.has_class = True
            points = _CLASSES[letter.lower()]
            return without(points) if letter.isupper() else points
        if letter in _CONTROLS:
            return ((_CONTROLS[letter], _CONTROLS[letter]),)
        if letter.isalnum() or not letter.isascii():
            raise Unclear
        return ((ord(letter), ord(letter)),)

    def _bracket(self) -> Points:
        is_negated = self._takes("^")
        points: list[tuple[int, int]] = []
        is_first = True
        while is_first or not self.left.startswith("]"):
            is_first = False
            low = self._member()
            if self.left.startswith("-") and not self.left.startswith("-]"):
                self._place += 1
                high = self._member()
                if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or low[0][0] > high[0][1]:
                    raise Unclear
                low = ((low[0][0], high[0][1]),)
            points.extend(low)
        self._place += 1
        return without(tuple(points)) if is_negated else joined(tuple(points))

    def _member(self) -> Points:
        character = self._next()
        if character == "\\":
            return self._escaped(self._next())
        if character == "[" and self.left[:1] in (":", ".", "="):
            raise Unclear
        return ((ord(character), ord(character)),)
