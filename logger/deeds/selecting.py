"""From the filters of an action to SQL: the same words as the monitor's lists, but none may be overlooked. Knows no table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.errors import InvalidInput
from core.monitor.question import Grammar, canonical_name, read_question
from logger.deeds.base import Selector

MOST_TARGETS = 100_000


def where_of(filters: Sequence[tuple[str, str]], grammar: Grammar) -> tuple[str, dict[str, Any]]:
    """The condition and its bound parameters; `true` without filters. Raises InvalidInput for a name that filters nothing:
    on a page it would be a warning, here it would make the set larger than it was meant to be."""
    for name, value in filters:
        known = canonical_name(name, grammar)
        if known is None or known not in grammar.filters:
            names = ", ".join(sorted(grammar.filters))
            raise InvalidInput("nothing is chosen by this", field=f"filter.{name[:40]}", remedy=f"one of {names}")
        if not value.strip():
            raise InvalidInput(
                "is empty", field=f"filter.{name[:40]}", remedy="write `Not specified` for what is empty"
            )
    # no page of the monitor: the moment only matters for windows, which no filter of ours is
    question = read_question(filters, grammar, datetime.now(UTC))
    return question.where(), dict(question.parameters)


def chosen(selector: Selector, grammar: Grammar, thing: str, choices: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The condition of everything that a selector says of such things, and its bound parameters.

    `choices`: the fields of a selector that may be used here, with the condition of each, which binds its field's name.
    Raises InvalidInput when none of them is given, and for what `where_of` refuses.
    """
    given = {name: list(getattr(selector, name)) for name in choices}
    if not selector.filter and not any(given.values()):
        first, *others = choices
        raise InvalidInput(
            f"of which {thing}s?", field=f"{thing}s", remedy="give " + " or ".join([first, "filter", *others])
        )
    where, values = where_of(selector.filter, grammar)
    for name, keys in given.items():
        if keys:
            where += f" AND {choices[name]}"
            values[name] = keys
    return where, values


def check_size(count: int, thing: str, most: int = MOST_TARGETS) -> None:
    """Raise InvalidInput when a set is larger than one action takes of such things."""
    if count > most:
        raise InvalidInput(
            f"more than {most:,} {thing}s", field="filter", remedy="choose fewer, and do it several times"
        )
