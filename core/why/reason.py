"""What a reason is: a sentence with numbers, who is responsible, what comes next, what a person can change.

Knows no job and no table. A statement is asked whether it is true of a case and answers with a reason, or None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar


class Responsible(StrEnum):
    """Who can do something about it."""

    USER = "user"
    SITE = "site"
    OPERATORS = "operators"
    DATA = "data"
    SYSTEM = "system"


RESPONSIBLE_WORDS: dict[Responsible, str] = {
    Responsible.USER: "whoever submitted it",
    Responsible.SITE: "the site that runs the queue",
    Responsible.OPERATORS: "the operators of this installation",
    Responsible.DATA: "whoever provides and moves the data",
    Responsible.SYSTEM: "nobody has to do anything",
}


@dataclass(frozen=True)
class Reason:
    """A statement that is true of a job or a task now."""

    id: str
    responsible: Responsible
    clause: str
    """The reason alone, without a full stop; it stays the same while nothing changes."""
    sentence: str
    """The reason with its numbers."""
    next_step: str
    """What the system does next."""
    next_time: datetime | None = None
    """When it does that, if that is known."""
    advice: tuple[str, ...] = ()
    """What the person who asks can change."""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The reason as it is answered."""
        return {
            **asdict(self),
            "responsible": self.responsible.value,
            "responsible_words": RESPONSIBLE_WORDS[self.responsible],
            "advice": list(self.advice),
            "numbers": dict(self.numbers),
        }


Case_contra = TypeVar("Case_contra", contravariant=True)
"""A job or a task with whatever is asked about it."""


class Statement(Protocol[Case_contra]):
    """One reason why something does not run, as a question to a case."""

    id: str
    sentence: str
    """What the statement says, for people who read the list of them."""

    def reason(self, case: Case_contra) -> Reason | None:
        """The reason if the statement is true of `case`."""
        ...


def true_reasons(statements: Sequence[Statement[Case_contra]], case: Case_contra) -> Iterator[Reason]:
    """The reasons that hold, in order; a statement is asked when its turn comes, so the first one is cheap."""
    for statement in statements:
        found = statement.reason(case)
        if found is not None:
            yield found
