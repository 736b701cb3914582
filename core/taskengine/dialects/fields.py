"""Reads single values out of a dictionary from outside, typed and bounded. Knows no key and no task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput

_MAX_TEXT = 10_000


def text(values: Mapping[str, Any], name: str, field: str = "", *, limit: int = _MAX_TEXT) -> str:
    """Text without NUL; absent, null and empty are all "". Raises InvalidInput naming the field."""
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidInput("not text", field=field or name, remedy="send it as a JSON string")
    if len(value) > limit:
        raise InvalidInput(f"longer than {limit} characters", field=field or name, remedy="shorten it")
    return value


def number(
    values: Mapping[str, Any],
    name: str,
    limits: tuple[int, int],
    field: str = "",
    *,
    default: int | None = None,
    rounds_up: bool = False,
    unit: str = "",
) -> int | None:
    """A whole number, numeric text allowed; `default` when absent. Raises InvalidInput naming the field.

    Clients that divide send 2048.0 for 2048; `rounds_up` says that a part of one more is one more. `unit` is
    for the words of a refusal.
    """
    value, (lowest, highest) = values.get(name), limits
    if value is None or value == "":
        return default
    if isinstance(value, float) and math.isfinite(value) and (rounds_up or value.is_integer()):
        value = math.ceil(value)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidInput(
            f"{str(value)[:50]!r} will not do",
            field=field or name,
            remedy=f"a whole number between {lowest} and {highest}{unit and f' {unit}'}",
        )
    return value


def positive(values: Mapping[str, Any], name: str, highest: int, field: str = "") -> int | None:
    """A whole number of at least 1; 0 and absence both mean that nothing is stated, as the client's defaults do."""
    return number(values, name, (0, highest), field) or None


def gigabytes(values: Mapping[str, Any], name: str) -> int | None:
    """A size given in GB, as bytes; `MAX`, 0 and absence mean no limit."""
    value = values.get(name)
    if value is None or value == "MAX":
        return None
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 20 else None
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1_000_000:
        raise InvalidInput(
            f"{str(values[name])[:50]!r} will not do", field=name, remedy="gigabytes, more than 0 and at most 1000000"
        )
    return max(1, int(value * 2**30)) if value else None


def flag(values: Mapping[str, Any], name: str, field: str = "") -> bool:
    """A truth value; 1, 0 and their words are understood."""
    value = values.get(name)
    if isinstance(value, str) and value.lower() in ("", "true", "false", "1", "0", "none"):
        return value.lower() in ("true", "1")
    if value is None or isinstance(value, bool) or value in (0, 1):
        return bool(value)
    raise InvalidInput(
        f"{str(value)[:50]!r} is neither true nor false", field=field or name, remedy="send true or false"
    )


def names(values: Mapping[str, Any], name: str, field: str = "", *, limit: int = 1000) -> tuple[str, ...]:
    """Names as a list or comma-separated text, without blanks around them and without repetition."""
    value = values.get(name)
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) and "\x00" not in part for part in parts):
        raise InvalidInput("not a list of names", field=field or name, remedy="a list, or names with commas between")
    if len(parts) > limit:
        raise InvalidInput(f"more than {limit} names", field=field or name, remedy="name fewer")
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
