"""From the filters of an action to SQL: the same words as the monitor's lists, but none may be overlooked. Knows no table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from core.errors import InvalidInput
from core.monitor.question import Grammar, canonical_name, read_question

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


def check_size(count: int, thing: str, most: int = MOST_TARGETS) -> None:
    """Raise InvalidInput when a set is larger than one action takes of such things."""
    if count > most:
        raise InvalidInput(
            f"more than {most:,} {thing}s", field="filter", remedy="choose fewer, and do it several times"
        )


def refuse_others(given: dict[str, bool], thing: str) -> None:
    """Raise InvalidInput when something was given that does not choose objects of this kind, or nothing that does.

    `given`: what was given by name, those that may be used here first in the sentence.
    """
    if not any(given.values()):
        raise InvalidInput(f"of which {thing}s?", field=f"{thing}s", remedy="give " + " or ".join(given))
