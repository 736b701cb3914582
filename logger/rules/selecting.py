"""Selectors of rules: the monitor's grammar of text filters, applied to one value at hand. Knows no SQL, no rule."""

from __future__ import annotations

import re
from functools import lru_cache

from core.errors import InvalidInput
from core.monitor.filters import TextFilter, parse_text


def selects(selector: str, value: str) -> bool:
    """Whether `value` is one of those that the selector means (`CERN*|BNL`, `!DESY`); an empty selector means all."""
    if not selector:
        return True
    wanted, expression = _compiled(selector)
    is_one = (wanted.or_empty and not value) or (expression is not None and expression.fullmatch(value) is not None)
    return is_one is not wanted.is_negated


def checked_selector(selector: str) -> str:
    """The selector itself. Raises ValueError for one that the grammar does not know."""
    try:
        _compiled(selector)
    except InvalidInput as error:
        raise ValueError(str(error)) from error
    return selector


@lru_cache(maxsize=1000)
def _compiled(selector: str) -> tuple[TextFilter, re.Pattern[str] | None]:
    wanted = parse_text(selector, "selector")
    either = "|".join(".*".join(re.escape(piece) for piece in pattern.pieces) for pattern in wanted.patterns)
    return wanted, re.compile(either, re.DOTALL) if wanted.patterns else None
