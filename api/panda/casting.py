"""What clients send as what endpoints want: text, numbers, lists and objects cast by type (server-api.md 0 and 7). Knows no
endpoint.

A little more lenient than upstream and never stricter: numeric text and whole floats pass for int, text `True`/`None` are
understood, an empty list is an empty object.
"""

from __future__ import annotations

import math
import types
from functools import cache
from typing import Any, Union, get_args, get_origin

from api.bodies import parse_json
from api.uploads import Upload
from core.errors import InvalidInput


def cast(value: Any, kind: Any) -> Any:
    """`value` as `kind` (server-api.md 0, GET casting). Raises ValueError or TypeError when it makes no sense."""
    origin = _origin(kind)
    if kind is Any:
        return value
    if kind is Upload:
        if not isinstance(value, Upload):
            raise TypeError(value)
        return value
    if origin is types.UnionType:
        options = _options(get_args(kind))
        if (value in (None, "") or says_none(value)) and type(None) in get_args(kind):
            return "" if value == "" and str in options else None
        return _cast_to_one(value, options)
    if origin is list:
        return _list(value, get_args(kind)[0])
    if origin is dict or kind is dict:
        return _dictionary(value)
    if kind is bool:
        return _boolean(value)
    if kind is int:
        return _integer(value)
    if kind is float:
        return _real(value)
    if kind is str:
        if isinstance(value, (dict, list)) or value is None:
            raise TypeError(value)
        return str(value)
    raise TypeError(kind)


@cache
def _origin(kind: Any) -> Any:
    """What a type is at bottom, a union always `types.UnionType`. Kept: a heartbeat asks for each of its parameters."""
    origin = get_origin(kind)
    return types.UnionType if origin is Union else origin


@cache
def _options(kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    """The types of a union but None, in their order: kept by the order, for `str | dict` equals `dict | str`."""
    return tuple(option for option in kinds if option is not type(None))


def says_none(value: Any) -> bool:
    """Whether a text is one of those that clients write for nothing."""
    return isinstance(value, str) and value in ("None", "NULL", "null")


def _cast_to_one(value: Any, options: tuple[Any, ...]) -> Any:
    """`value` as the first of the types it makes sense as."""
    for option in options[:-1]:
        try:
            return cast(value, option)
        except (TypeError, ValueError):
            continue
    return cast(value, options[-1])


def _document(text: str) -> Any:
    try:
        return parse_json(text.encode())
    except InvalidInput as error:
        raise ValueError(error.detail) from error


def _list(value: Any, kind: Any) -> list[Any]:
    """A list, its JSON text, or the one value of a parameter that was not repeated."""
    items = value
    if isinstance(value, str) and value.startswith("["):
        items = _document(value)
    if not isinstance(items, list):
        if kind is Any and not isinstance(items, dict):
            raise TypeError(value)  # lists of anything hold objects: a lone word or number is none
        items = [value]
    return [cast(item, kind) for item in items]


def _dictionary(value: Any) -> dict[str, Any]:
    parsed = _document(value) if isinstance(value, str) else value
    if parsed == []:
        return {}
    if not isinstance(parsed, dict):
        raise TypeError(value)
    return parsed


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "1", "false", "0", ""):
        return value.lower() in ("true", "1")
    if isinstance(value, (bool, int)):
        return bool(value)
    raise TypeError(value)


def _integer(value: Any) -> int:
    if isinstance(value, int) or (isinstance(value, str) and value.strip().lstrip("+-").isdecimal()):
        number = int(value)
    else:
        real = float(value)
        if not real.is_integer():
            raise ValueError(value)
        number = int(real)
    if abs(number) >= 2**63:
        raise ValueError(value)
    return number


def _real(value: Any) -> float:
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(value) from error
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def describe(kind: Any) -> str:
    """A type in words, for refusals and documents."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in get_args(kind) if option is not type(None))
    if origin is list:
        return f"a list of {describe(get_args(kind)[0])}"
    names = {
        int: "an integer",
        str: "text",
        bool: "true or false",
        float: "a number",
        dict: "an object",
        Any: "anything",
        Upload: "a file",
    }
    return "an object" if origin is dict else names.get(kind, str(kind))
