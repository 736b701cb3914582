"""Filters on columns that hold one of a few values: a word that is none of them is refused instead of finding nothing.

Knows the value grammar of `filters`; the values come from the tables of whoever has the column.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection

from core.errors import InvalidInput
from core.monitor.filters import NOT_SPECIFIED, Compile, Condition, parse_text, text_column
from core.monitor.question import Question

_ALIKE = 0.6
_LONGEST_SHOWN = 40
_SEVERAL = "several as a|b, all but one as !a, any as *"


def closed_column(name: str, values: Collection[str], expression: str = "") -> Compile:
    """A filter on a text column or expression that holds one of `values` and nothing else.

    Everything of the grammar goes on working (a|b, !a, a*, Not specified); an alternative without a wildcard that is none
    of the values is refused with those that there are and the nearest one.
    """
    column = text_column(name, expression)

    def compiled(value: str, prefix: str) -> Condition:
        check_values(value, name, values)
        return column(value, prefix)

    return compiled


def check_values(value: str, name: str, values: Collection[str]) -> None:
    """Raise InvalidInput for a filter text with a plain alternative that is none of `values`."""
    for pattern in parse_text(value, name).patterns:
        if pattern.is_literal and pattern.pieces[0] not in values:
            word = pattern.pieces[0]
            raise InvalidInput(
                f"there is no {word[:_LONGEST_SHOWN]!r}",
                field=name,
                remedy=f"{one_of(word, values, NOT_SPECIFIED)}; {_SEVERAL}",
            )


def nearest(word: str, values: Collection[str]) -> str:
    """The value that was probably meant: of the same beginning, or of nearly the same letters; empty when none is. Of a list
    with commas the alternatives that it means."""
    plain = word.strip().lower()
    listed = [part.strip() for part in plain.split(",") if part.strip()]
    if len(listed) > 1 and all(part in values for part in listed):
        return "|".join(listed)
    begun = [value for value in values if value and plain and value.lower().startswith(plain)]
    if begun:
        return begun[0]
    by_letters = {value.lower(): value for value in values if value}
    alike = difflib.get_close_matches(plain[:100], by_letters, 1, _ALIKE)
    return by_letters[alike[0]] if alike else ""


def is_asked(question: Question, name: str) -> bool:
    """Whether the option `name` of a page is switched on. Raises InvalidInput for a word that is neither 0 nor 1."""
    text = question.options.get(name, "").strip().lower()
    if text not in ("", "0", "1", "true", "false", "yes", "no"):
        raise InvalidInput(f"{text[:_LONGEST_SHOWN]!r} is neither 0 nor 1", field=name, remedy=f"{name}=0 or {name}=1")
    return text in ("1", "true", "yes")


def one_of(word: str, values: Collection[str], nothing: str = "nothing") -> str:
    """What may stand in the place of `word`, as a remedy: the nearest value and all of them. `nothing`: for an empty one."""
    near = nearest(word, values)
    known = ", ".join(value or nothing for value in values)
    return f"did you mean {near}? one of {known}" if near else f"one of {known}"
