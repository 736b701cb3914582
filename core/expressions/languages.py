"""Whether a regular expression can match any text at all, by Brzozowski's derivatives. Knows no syntax and no table.

A language is what may follow; its derivative by a character, what may follow that. Looking ahead is an intersection with
the rest, looking ahead for what must not be there one with a complement. Languages are numbers into one table, so that
equal ones are one; the search ends because an expression has finitely many derivatives, or gives up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from core.expressions.grammar import (
    Anchor,
    Characters,
    Choice,
    Look,
    Points,
    Repeat,
    Sequence,
    Tree,
    Unclear,
    read_expression,
)

_MOST_LANGUAGES = 5_000
"""Beyond it nothing is said: some tenths of a second."""

_NOTHING, _EMPTY, _ANYTHING = 0, 1, 2
"""No text at all; the empty text alone; every text."""


@lru_cache(maxsize=1000)
def can_match(expression: str, *, whole: bool) -> bool:
    """False only if it is certain that `expression` matches no text. `whole`: all of the text, else its beginning."""
    try:
        return _Languages().has_text(read_expression(expression), whole=whole)
    except (Unclear, RecursionError):
        return True


Pair = tuple[int, int]
"""A language where the text begins, and the same anywhere later: they differ by what `^` says."""


class _Languages:
    """A table of languages. Each is a tuple: its kind, then parts that are numbers of other languages."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._number_of: dict[tuple[Any, ...], int] = {}
        self._takes_empty: list[bool] = []
        self._derivatives: dict[tuple[int, int], int] = {}
        for kind, takes_empty in (("nothing", False), ("empty", True), ("anything", True)):
            self._keep((kind,), takes_empty)

    def has_text(self, tree: Tree, *, whole: bool) -> bool:
        """Whether one text is in the language of an expression."""
        end = _EMPTY if whole else _ANYTHING
        start, _ = self._followed(tree, (end, end))
        characters = _representatives(tree)
        seen, todo = {start}, [start]
        while todo:
            language = todo.pop()
            if self._takes_empty[language]:
                return True
            for character in characters:
                after = self._derivative(language, character)
                if after not in seen and after != _NOTHING:
                    seen.add(after)
                    todo.append(after)
        return False

    def _followed(self, tree: Tree, rest: Pair) -> Pair:
        """The language of an expression with what follows it."""
        match tree:
            case Characters(points):
                found = self._sequence(self._characters(points), rest[1])
                return found, found
            case Sequence(parts):
                for part in reversed(parts):
                    rest = self._followed(part, rest)
                return rest
            case Choice(parts):
                pairs = [self._followed(part, rest) for part in parts]
                return self._any({pair[0] for pair in pairs}), self._any({pair[1] for pair in pairs})
            case Anchor("start"):
                return rest[0], _NOTHING
            case Anchor():
                return self._all({_EMPTY, rest[0]}), self._all({_EMPTY, rest[1]})
            case Look(part, is_positive):
                ahead = self._followed(part, (_ANYTHING, _ANYTHING))
                seen = ahead if is_positive else (self._not(ahead[0]), self._not(ahead[1]))
                return self._all({seen[0], rest[0]}), self._all({seen[1], rest[1]})
            case Repeat(part, 0, 1):
                once = self._followed(part, rest)
                return self._any({once[0], rest[0]}), self._any({once[1], rest[1]})
            case Repeat():
                return self._repeated(self._alone(tree), rest)

    def _repeated(self, repeated: int, rest: Pair) -> Pair:
        later = self._sequence(repeated, rest[1])
        if rest[0] == rest[1]:
            return later, later
        some = self._sequence(self._all({repeated, self._not(_EMPTY)}), rest[1])
        return self._any({some, rest[0]} if self._takes_empty[repeated] else {some}), later

    def _alone(self, tree: Tree) -> int:
        """The language of an expression that looks neither ahead nor for an end of the text."""
        match tree:
            case Characters(points):
                return self._characters(points)
            case Sequence(parts):
                found = _EMPTY
                for part in reversed(parts):
                    found = self._sequence(self._alone(part), found)
                return found
            case Choice(parts):
                return self._any({self._alone(part) for part in parts})
            case Repeat(part, least, most):
                return self._repeat(self._alone(part), least, most)
            case _:
                raise Unclear

    def _derivative(self, language: int, character: int) -> int:
        key = (language, character)
        if key not in self._derivatives:
            self._derivatives[key] = self._derive(self._rows[language], character)
        return self._derivatives[key]

    def _derive(self, row: tuple[Any, ...], character: int) -> int:
        match row:
            case ("nothing",) | ("empty",):
                return _NOTHING
            case ("anything",):
                return _ANYTHING
            case ("characters", points):
                return _EMPTY if any(low <= character <= high for low, high in points) else _NOTHING
            case ("sequence", first, rest):
                after = self._sequence(self._derivative(first, character), rest)
                return self._any({after, self._derivative(rest, character)}) if self._takes_empty[first] else after
            case ("any", parts):
                return self._any({self._derivative(part, character) for part in parts})
            case ("all", parts):
                return self._all({self._derivative(part, character) for part in parts})
            case ("not", part):
                return self._not(self._derivative(part, character))
            case ("repeat", part, least, most):
                left = self._repeat(part, max(0, least - 1), None if most is None else most - 1)
                return self._sequence(self._derivative(part, character), left)
        raise AssertionError(row)

    def _characters(self, points: Points) -> int:
        return self._keep(("characters", points), False) if points else _NOTHING

    def _sequence(self, first: int, rest: int) -> int:
        if _NOTHING in (first, rest):
            return _NOTHING
        if first == _EMPTY:
            return rest
        if self._rows[first][0] == "sequence":  # always to the right, so that equal ones are one
            _, head, tail = self._rows[first]
            return self._sequence(head, self._sequence(tail, rest))
        return self._keep(("sequence", first, rest), self._takes_empty[first] and self._takes_empty[rest])

    def _any(self, parts: set[int]) -> int:
        parts = self._flat("any", parts) - {_NOTHING}
        if _ANYTHING in parts:
            return _ANYTHING
        if len(parts) < 2:
            return parts.pop() if parts else _NOTHING
        return self._keep(("any", tuple(sorted(parts))), any(self._takes_empty[part] for part in parts))

    def _all(self, parts: set[int]) -> int:
        parts = self._flat("all", parts) - {_ANYTHING}
        takes_empty = all(self._takes_empty[part] for part in parts)
        if _NOTHING in parts or any(("not", part) in self._number_of and self._not(part) in parts for part in parts):
            return _NOTHING
        if _EMPTY in parts:
            return _EMPTY if takes_empty else _NOTHING
        if len(parts) < 2:
            return parts.pop() if parts else _ANYTHING
        return self._keep(("all", tuple(sorted(parts))), takes_empty)

    def _flat(self, kind: str, parts: set[int]) -> set[int]:
        inner = {part for part in parts if self._rows[part][0] == kind}
        return (parts - inner).union(*(self._rows[part][1] for part in inner))

    def _not(self, part: int) -> int:
        if part in (_NOTHING, _ANYTHING):
            return _ANYTHING if part == _NOTHING else _NOTHING
        row = self._rows[part]
        return int(row[1]) if row[0] == "not" else self._keep(("not", part), not self._takes_empty[part])

    def _repeat(self, part: int, least: int, most: int | None) -> int:
        if most == 0 or part == _EMPTY:
            return _EMPTY
        if part == _NOTHING:
            return _NOTHING if least else _EMPTY
        if (least, most) == (1, 1):
            return part
        return self._keep(("repeat", part, least, most), least == 0 or self._takes_empty[part])

    def _keep(self, row: tuple[Any, ...], takes_empty: bool) -> int:
        number = self._number_of.get(row)
        if number is None:
            if len(self._rows) >= _MOST_LANGUAGES:
                raise Unclear
            number = self._number_of[row] = len(self._rows)
            self._rows.append(row)
            self._takes_empty.append(takes_empty)
        return number


def _representatives(tree: Tree) -> list[int]:
    """One character of every kind that the expression tells apart."""
    starts = {1}
    todo = [tree]
    while todo:
        match todo.pop():
            case Characters(points):
                starts.update(bound for low, high in points for bound in (low, high + 1))
            case Sequence(parts) | Choice(parts):
                todo.extend(parts)
            case Repeat(part) | Look(part):
                todo.append(part)
            case Anchor():
                pass
    return sorted(start for start in starts if start <= _LAST_POINT)


_LAST_POINT = 0x110003
