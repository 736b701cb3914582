"""The value grammar of filters and its translation to SQL. Knows the grammar; the columns come from each page's table.

    a|b    one of them          !a|b   none of them        *  any text within a value
    Not specified   empty       a backslash before | * ! or \\ takes it literally
    numbers also: a,b   a:b (from, to)   a: (at least)   :b (at most)

Column expressions are written in our own tables; whatever comes from a visitor is a bound parameter, always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput

NOT_SPECIFIED = "Not specified"
ANY = ("*", "all")
_LARGEST = 2**63 - 1
_MOST_ALTERNATIVES = 1000


@dataclass(frozen=True)
class Condition:
    """A piece of a WHERE clause with its bound parameters."""

    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pattern:
    """One alternative of a text filter: pieces of literal text with anything between them."""

    pieces: tuple[str, ...]

    @property
    def is_literal(self) -> bool:
        """Whether it stands for exactly one value."""
        return len(self.pieces) == 1

    def like(self) -> str:
        """The same as an SQL LIKE pattern with backslash as its escape."""
        escaped = (piece.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for piece in self.pieces)
        return "%".join(escaped)


@dataclass(frozen=True)
class TextFilter:
    """A parsed text value."""

    is_negated: bool
    patterns: tuple[Pattern, ...]
    or_empty: bool


@dataclass(frozen=True)
class NumberFilter:
    """A parsed number value: single numbers and ranges (None = open end)."""

    is_negated: bool
    numbers: tuple[int, ...]
    ranges: tuple[tuple[int | None, int | None], ...]
    or_empty: bool


Compile = Callable[[str, str], Condition]
"""(value as it came, unique prefix for parameter names) -> condition"""


def text_column(name: str, expression: str = "") -> Compile:
    """A filter on a text column or expression that may be null or empty."""
    column = expression or name

    def compiled(value: str, prefix: str) -> Condition:
        return text_condition(column, parse_text(value, name), prefix)

    return compiled


def number_column(name: str, expression: str = "") -> Compile:
    """A filter on an integer column or expression that may be null."""
    column = expression or name

    def compiled(value: str, prefix: str) -> Condition:
        return number_condition(column, parse_numbers(value, name), prefix)

    return compiled


def text_condition(column: str, wanted: TextFilter, prefix: str) -> Condition:
    """`column` (our own SQL) compared with the parsed value."""
    literals = [pattern.pieces[0] for pattern in wanted.patterns if pattern.is_literal]
    likes = [pattern.like() for pattern in wanted.patterns if not pattern.is_literal]
    parts, parameters = [], {}
    if literals:
        parts.append(f"{column} = ANY(%({prefix}_values)s::text[])")
        parameters[f"{prefix}_values"] = literals
    if likes:
        parts.append(f"{column} LIKE ANY(%({prefix}_likes)s::text[])")
        parameters[f"{prefix}_likes"] = likes
    if wanted.or_empty:
        parts.append(f"coalesce({column}, '') = ''")
    return _joined(parts, parameters, is_negated=wanted.is_negated)


def number_condition(column: str, wanted: NumberFilter, prefix: str) -> Condition:
    """`column` (our own SQL) compared with the parsed value."""
    parts: list[str] = []
    parameters: dict[str, Any] = {}
    if wanted.numbers:
        parts.append(f"{column} = ANY(%({prefix}_values)s::bigint[])")
        parameters[f"{prefix}_values"] = list(wanted.numbers)
    for position, (low, high) in enumerate(wanted.ranges):
        bounds = []
        for side, comparison, bound in (("low", ">=", low), ("high", "<=", high)):
            if bound is not None:
                bounds.append(f"{column} {comparison} %({prefix}_{side}{position})s")
                parameters[f"{prefix}_{side}{position}"] = bound
        parts.append(f"({' AND '.join(bounds) or f'{column} IS NOT NULL'})")
    if wanted.or_empty:
        parts.append(f"{column} IS NULL")
    return _joined(parts, parameters, is_negated=wanted.is_negated)


def _joined(parts: list[str], parameters: dict[str, Any], *, is_negated: bool) -> Condition:
    either = " OR ".join(parts)
    # a comparison with null is null, and its negation too: only coalesce makes "not a" include what is empty
    return Condition(f"NOT coalesce({either}, false)" if is_negated else f"({either})", parameters)


def parse_text(value: str, name: str) -> TextFilter:
    """Read a text value; every text has a meaning. Raises InvalidInput for what no database text can hold."""
    check_text(value, name)
    is_negated = value.startswith("!")
    patterns, or_empty = [], False
    for position, alternative in enumerate(_split(value[1:] if is_negated else value, "|", name)):
        # `!a|!b` says what `!a|b` says
        words = alternative[1:] if is_negated and position and alternative.startswith("!") else alternative
        if words in (NOT_SPECIFIED, ""):
            or_empty = True
        else:
            patterns.append(Pattern(_pieces(words)))
    return TextFilter(is_negated, tuple(patterns), or_empty)


def parse_numbers(value: str, name: str) -> NumberFilter:
    """Read a number value. Raises InvalidInput naming the field when a part is no whole number."""
    check_text(value, name)
    stripped = value.strip()
    is_negated = stripped.startswith("!")
    numbers: list[int] = []
    ranges: list[tuple[int | None, int | None]] = []
    or_empty = False
    for part in _split((stripped[1:] if is_negated else stripped).replace(",", "|"), "|", name):
        words = part.strip().removeprefix("!").strip() if is_negated else part.strip()
        if words in (NOT_SPECIFIED, ""):
            or_empty = True
        elif words in ANY:
            ranges.append((None, None))
        elif ":" in words:
            low, _, high = words.partition(":")
            ranges.append((_integer(low, name) if low else None, _integer(high, name) if high else None))
        else:
            numbers.append(_integer(words, name))
    return NumberFilter(is_negated, tuple(numbers), tuple(ranges), or_empty)


def escape_value(value: str) -> str:
    """The filter text that matches exactly `value`."""
    if value in ("", NOT_SPECIFIED):
        return NOT_SPECIFIED
    return "".join(f"\\{sign}" if sign in "\\|*!" else sign for sign in value)


def check_text(value: str, name: str) -> None:
    """Raise InvalidInput when PostgreSQL could not store the text."""
    if "\x00" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise InvalidInput("holds a character that no text can have", field=name, remedy="leave out NUL and surrogates")


def _integer(words: str, name: str) -> int:
    try:
        number = int(words) if words.isascii() and len(words) <= 20 and "_" not in words else None
    except ValueError:
        number = None
    if number is None or abs(number) > _LARGEST:
        remedy = "whole numbers, as in 17, 17,18 or 17:20"
        raise InvalidInput(f"{words[:40]!r} is no whole number", field=name, remedy=remedy)
    return number


def _split(value: str, separator: str, name: str) -> list[str]:
    """Cut at separators that no backslash precedes; backslashes stay for `_pieces`."""
    parts, current, position = [], [], 0
    while position < len(value):
        sign = value[position]
        if sign == "\\" and position + 1 < len(value):
            current.append(value[position : position + 2])
            position += 2
            continue
        if sign == separator:
            parts.append("".join(current))
            current = []
        else:
            current.append(sign)
        position += 1
    parts.append("".join(current))
    if len(parts) > _MOST_ALTERNATIVES:
        remedy = f"at most {_MOST_ALTERNATIVES} alternatives; ask in several requests"
        raise InvalidInput(f"holds {len(parts)} alternatives", field=name, remedy=remedy)
    return parts


def _pieces(words: str) -> tuple[str, ...]:
    """Literal texts between unescaped asterisks. A backslash before an ordinary letter is a backslash."""
    pieces, current, position = [], [], 0
    while position < len(words):
        sign = words[position]
        if sign == "\\" and words[position + 1 : position + 2] in ("\\", "|", "*", "!"):
            current.append(words[position + 1])
            position += 2
            continue
        if sign == "*":
            pieces.append("".join(current))
            current = []
        else:
            current.append(sign)
        position += 1
    pieces.append("".join(current))
    return tuple(pieces)
