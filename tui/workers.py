"""Work for Textual's workers. Handed over as a function, never as a coroutine: a worker may be cancelled before it begins."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from textual.worker import WorkType


def work(function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any, **named: Any) -> WorkType[None]:
    """`function` with its arguments, to be called when the worker begins."""
    return partial(function, *arguments, **named)
