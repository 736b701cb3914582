"""What the effect of a command says of itself. Knows no command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """`note` is added to the usual answer, `message` takes its place."""

    note: str = ""
    message: str = ""


def counted(count: int, thing: str, rest: str) -> str:
    """`3 jobs are told to end`, `1 job is told to end`."""
    return f"{count} {thing}{'' if count == 1 else 's'} {'is' if count == 1 else 'are'} {rest}"
