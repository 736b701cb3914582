"""Turns a page's grammar into the documented query of its operation. Knows parameters, no page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, Field, create_model

from api.operations import Context, Handler
from core.monitor.question import Grammar, Question, read_question

_COMMON = {
    "hours": "length of the window in hours",
    "days": "length of the window in days",
    "date_from": "beginning of the window, ISO 8601",
    "date_to": "end of the window, ISO 8601",
    "strict": "1: refuse parameters that this page does not know",
}
_PAGED = {"limit": "rows of a page, 1 to 1000 (default 100)", "cursor": "next_cursor of the page before"}


def asks(grammar: Grammar, *, paged: bool = False, **options: str) -> Callable[[Handler], Handler]:
    """Document the filters of `grammar` at an operation; `options` describes its further parameters."""

    def mark(handler: Handler) -> Handler:
        described = {name: f"filter on {name}: a|b, a*, !a, Not specified" for name in grammar.filters}
        described |= _COMMON | (_PAGED if paged else {}) | options
        if grammar.sorts:
            described["sortby"] = f"one of {', '.join(grammar.sorts)}"
        fields: dict[str, Any] = {
            name: (str | list[str], Field(default="", description=description))
            for name, description in described.items()
        }
        model: type[BaseModel] = create_model(f"{handler.__name__.title().replace('_', '')}Query", **fields)
        declared = handler.__operation__  # type: ignore[attr-defined]
        handler.__operation__ = replace(declared, query_model=model)  # type: ignore[attr-defined]
        return handler

    return mark


def question(context: Context, grammar: Grammar) -> Question:
    """What the request asks, with the present moment. Raises InvalidInput naming the parameter."""
    return read_question(context.query_items, grammar, context.services.clock())
