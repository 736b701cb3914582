"""Tracebacks in two steps: what is taken of an error where it is logged, and the text, written in the shipping thread.

The text is Python's own without the marks below its lines, for a fifth of the cost. Knows no record.
"""

from __future__ import annotations

import builtins
import linecache
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

MAX_TRACEBACK_CHARACTERS = 16_384

_HEAD = 4000
_TAIL = MAX_TRACEBACK_CHARACTERS - 4010
_ODD_ERRORS = (SyntaxError, getattr(builtins, "BaseExceptionGroup", SyntaxError))
_MOST_FRAMES = 100
_MOST_CAUSES = 10
_FRAME_BYTES = 150
_OF_CAUSE = "The above exception was the direct cause of the following exception:"
_IN_CONTEXT = "During handling of the above exception, another exception occurred:"


class Told(NamedTuple):
    """One error of a chain: its frames as file, line and function, what names it, and how it led to the one before."""

    frames: Sequence[tuple[str, int, str]]
    left_out: int
    named: str
    link: str
    has_traceback: bool = True


def taken(error: BaseException) -> list[Told]:
    """The error, what caused it, what caused that: texts and numbers only, no frame and no object is kept alive."""
    if isinstance(error, _ODD_ERRORS):
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip("\n")
        return [Told((), 0, cut(text), "", False)]
    chain: list[Told] = []
    seen: set[int] = set()
    current: BaseException | None = error
    link = ""
    while current is not None and id(current) not in seen and len(seen) < _MOST_CAUSES:
        seen.add(id(current))
        frames, left_out = _frames(current.__traceback__)
        chain.append(Told(frames, left_out, _named(current), link, bool(current.__traceback__)))
        if current.__cause__ is not None:
            current, link = current.__cause__, _OF_CAUSE
        elif not current.__suppress_context__:
            current, link = current.__context__, _IN_CONTEXT
        else:
            break
    return chain


def size_of(chain: Sequence[Told]) -> int:
    """Bytes that it takes in memory, about."""
    return sum(len(told.named) + _FRAME_BYTES * (1 + len(told.frames)) for told in chain)


def written(chain: Sequence[Told]) -> str:
    """The text, at most 16 384 characters of it: reads the lines of source where they are not known yet."""
    parts: list[str] = []
    for told in reversed(chain):
        if told.has_traceback:
            lines = [_line(*frame) for frame in told.frames]
            if told.left_out:
                lines.insert(20, f"  [{told.left_out} more]\n")
            parts += ["Traceback (most recent call last):\n", *lines]
        parts += [told.named, f"\n\n{told.link}\n\n" if told.link else ""]
    return cut("".join(parts))


def cut(text: str) -> str:
    """Both ends of a long text: the end names the error, the beginning the caller."""
    if len(text) <= MAX_TRACEBACK_CHARACTERS:
        return text
    return f"{text[:_HEAD]}\n[cut]\n{text[-_TAIL:]}"


def shown(value: Any) -> str:
    """The value as text, whatever it is."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a broken __str__ of a stranger's object
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _frames(step: TracebackType | None) -> tuple[Sequence[tuple[str, int, str]], int]:
    frames = []
    while step is not None:
        code = step.tb_frame.f_code
        frames.append((code.co_filename, step.tb_lineno or 0, code.co_name))
        if code.co_filename not in linecache.cache:  # source that only its module's loader can give
            linecache.lazycache(code.co_filename, step.tb_frame.f_globals)
        step = step.tb_next
    left_out = len(frames) - _MOST_FRAMES
    if left_out <= 0:
        return frames, 0
    return [*frames[:20], *frames[20 - _MOST_FRAMES :]], left_out


def _line(file: str, number: int, function: str) -> str:
    source = linecache.getline(file, number).strip()
    head = f'  File "{file}", line {number}, in {function}\n'
    return f"{head}    {source}\n" if source else head


def _named(error: BaseException) -> str:
    kind, text = type(error), shown(error)
    name = (
        kind.__qualname__ if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}.{kind.__qualname__}"
    )
    notes = getattr(error, "__notes__", None)
    said = "".join(f"\n{shown(note)}" for note in notes) if isinstance(notes, (list, tuple)) else ""
    return cut(f"{name}: {text}{said}" if text else f"{name}{said}")
