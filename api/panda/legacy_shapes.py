"""How answers of the old protocol look, and how its parameters become those of v1. Knows no method by name.

No envelope there: the fields stand at the top level beside StatusCode, or the answer is a pair [worked, what]
(pilot-wire.md 2, client-wire.md 3.2). It is always JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Protocol

from api.panda.casting import cast
from api.panda.kernel import Endpoint, Success


class StatusCode(IntEnum):
    """What the old protocol says of a call (pilot-wire.md 2)."""

    SUCCESS = 0
    TIMEOUT = 10
    NO_JOBS = 20
    FAILED = 30
    INVALID = 50
    """A token or a value that will not do."""
    ROLE = 60
    PERMISSION = 70
    MISSING_KEY = 80
    PROXY_ERROR = 90


class Shape(Protocol):
    """One way to answer."""

    def success(self, result: Success, sent: Mapping[str, Any]) -> Any:
        """The answer to a call that worked; `sent`: the parameters in their old names."""
        ...

    def refusal(self, code: StatusCode, text: str) -> Any:
        """The answer to one that did not."""
        ...


class Fields:
    """{"StatusCode": 0, ...}; refused: {"StatusCode": code, "errorDialog": text, ...}."""

    def __init__(
        self,
        fill: Callable[[Any, Mapping[str, Any]], dict[str, Any]] = lambda data, sent: {},
        *,
        refused_as: StatusCode | None = None,
        refused_with: Mapping[str, Any] | None = None,
    ) -> None:
        """`fill`: the fields out of data and sent; `refused_as`: for refusals that have no code of their own."""
        self._fill = fill
        self._refused_as = refused_as
        self._refused_with = refused_with or {}

    def success(self, result: Success, sent: Mapping[str, Any]) -> Any:
        """StatusCode 0 and the fields."""
        return {"StatusCode": int(StatusCode.SUCCESS), **self._fill(result.data, sent)}

    def refusal(self, code: StatusCode, text: str) -> Any:
        """The code and its reason, and the fields a caller reads without asking for the code."""
        own = self._refused_as if self._refused_as is not None and code is StatusCode.FAILED else code
        return {"StatusCode": int(own), "errorDialog": text, **self._refused_with}


class Pair:
    """[true, what], refused [false, why]."""

    def __init__(self, fill: Callable[[Success, Mapping[str, Any]], Any] | None = None) -> None:
        """`fill`: the second element; without it the data, or the message when there is none."""
        self._fill = fill or (lambda result, sent: result.message if result.data is None else result.data)

    def success(self, result: Success, sent: Mapping[str, Any]) -> Any:
        """True first."""
        return [True, self._fill(result, sent)]

    def refusal(self, code: StatusCode, text: str) -> Any:
        """False and the reason."""
        return [False, text]


class Plain(Fields):
    """The data alone; refused like `Fields`."""

    def success(self, result: Success, sent: Mapping[str, Any]) -> Any:
        """What v1 answers, without its envelope."""
        return result.data


def renamed(sent: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Old parameters under their v1 names."""
    return {names.get(name, name): value for name, value in sent.items()}


def without_nonsense(values: Mapping[str, Any], found: Endpoint) -> dict[str, Any]:
    """The values an endpoint knows; what may be left out and makes no sense is left out (pilot-wire.md 2.2)."""
    return {name: value for name, value in values.items() if name in found.hints and _makes_sense(name, value, found)}


def _makes_sense(name: str, value: Any, found: Endpoint) -> bool:
    if name not in found.defaults:
        return True
    try:
        cast(value, found.hints[name])
    except (TypeError, ValueError):
        return False
    return True
