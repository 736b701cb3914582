"""Procedures written once for threads and coroutines: generators that yield steps and are sent the results.

`Client` carries a step out by blocking, `AsyncClient` by awaiting; the procedures in between know of neither.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from pandascope.transport import Request


def _as_it_is(document: Any) -> Any:
    return document


@dataclass(frozen=True)
class Call:
    """Ask the server; the result is what `read` makes of the answer."""

    request: Request
    read: Callable[[Any], Any] = _as_it_is


@dataclass(frozen=True)
class Pause:
    """Wait some seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Do something on this machine that takes a while (files); never on an event loop."""

    function: Callable[[], Any]


Step: TypeAlias = Call | Pause | Work
Result = TypeVar("Result")
Procedure: TypeAlias = Generator[Step, Any, Result]
