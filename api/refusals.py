"""What a caller is told of a value that an operation cannot take: the field, what is wrong with it, and what would be right.

In words that fit whoever passes them on, be it a program, a console or a page. Knows pydantic's complaints, no operation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from core.errors import InvalidInput
from core.monitor.closed import one_of

_REMEDIES = {
    "int_type": "a whole number, without quotes and without a point",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller number",
    "int_from_float": "a whole number, without a point",
    "float_type": "a number, without quotes",
    "float_parsing": "a number",
    "finite_number": "a number that has an end",
    "bool_type": "true or false, without quotes",
    "bool_parsing": "true or false",
    "string_type": "text in quotes",
    "string_unicode": "text in UTF-8",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "missing": "give it",
    "extra_forbidden": "no such field here: correct its name or leave it out",
}
_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda said: f"more than {said['gt']}",
    "greater_than_equal": lambda said: f"at least {said['ge']}",
    "less_than": lambda said: f"less than {said['lt']}",
    "less_than_equal": lambda said: f"at most {said['le']}",
    "string_too_long": lambda said: f"at most {said['max_length']:,} characters",
    "string_too_short": lambda said: f"at least {said['min_length']:,}",
    "too_long": lambda said: f"at most {said['max_length']:,} entries",
    "too_short": lambda said: f"at least {said['min_length']:,}",
}
"""Both by pydantic's kind of complaint; what is in neither is said by the complaint itself."""
_CORRECTED = "correct it or leave it out"
_LONGEST_SHOWN = 80


def refusal_of(error: ValidationError, prefix: str = "") -> InvalidInput:
    """The first complaint of pydantic as one of ours, naming the field by its path."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in ([prefix] if prefix else []) + list(first["loc"])) or "body"
    given = repr(first.get("input"))
    shown = given if len(given) <= _LONGEST_SHOWN else given[: _LONGEST_SHOWN - 3] + "..."
    message = first["msg"].removeprefix("Value error, ")
    complaint = message[0].lower() + message[1:]
    more = error.error_count() - 1
    tail = f" (and {more} more)" if more else ""
    remedy = _remedy(first["type"], first.get("ctx", {}), first.get("input"))
    return InvalidInput(f"{complaint}; got {shown}{tail}", field=name, remedy=remedy)


def _remedy(kind: str, said: Mapping[str, Any], given: object) -> str:
    if kind in ("literal_error", "enum"):
        return one_of(given if isinstance(given, str) else "", re.findall(r"'([^']*)'", str(said["expected"])))
    bound = _BOUNDS.get(kind)
    return bound(said) if bound is not None else _REMEDIES.get(kind, _CORRECTED)
