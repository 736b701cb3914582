"""The shape of a criterion: one reason not to use a queue, said in words (domain.md 5). Knows no SQL, no other criterion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from core.brokerage.candidates import Candidate, Request


class Criterion(ABC):
    """One reason not to use a queue."""

    name: ClassVar[str]
    sentence: ClassVar[str]
    """What the criterion asks of a queue, for people."""
    is_temporary: ClassVar[bool] = False
    """Whether the reason goes by itself, with load or time, while nobody changes anything."""
    is_preference: ClassVar[bool] = False
    """Whether it only chooses among queues: where it would leave nobody it does not count."""
    adjusts: ClassVar[str] = ""
    """The number of the request that a user may change to be let through; empty = none."""
    unit: ClassVar[str] = ""
    """Of that number."""

    @property
    def parameters(self) -> Mapping[str, object]:
        """The limits it applies, by the names of the settings."""
        return {}

    @abstractmethod
    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Why `queue` cannot take the jobs of `request`; None when it can."""

    def acceptable(self, request: Request, queue: Candidate) -> int | None:
        """The value of `adjusts` nearest to the request's with which `queue` would do; None when there is none."""
        return None


def amount(number: float) -> str:
    """`0.4`, `1500000`: a number without an exponent and without zeros that say nothing."""
    return f"{number:.3f}".rstrip("0").rstrip(".") if number >= 0.001 or number == 0 else f"{number:g}"


def several(count: int, thing: str) -> str:
    """`1 job`, `2001 jobs`: numbers of reasons stand as they are in the settings that they are compared with."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
