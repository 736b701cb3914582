"""The one hierarchy of refusals. Knows what people and programs need to be told; does not know HTTP or SQL."""

from __future__ import annotations


class PandaError(Exception):
    """Something asked of the system could not be done, and nothing was changed.

    `detail` is a sentence for people, `field` names the input that was wrong (empty when none), `remedy` what to do.
    `code` is stable: programs and tests compare it, never the sentence.
    """

    code = "refused"

    def __init__(self, detail: str, *, field: str = "", remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.remedy = remedy

    def __str__(self) -> str:
        """The sentence, the field and the remedy as one line for logs and terminals."""
        text = f"{self.field}: {self.detail}" if self.field else self.detail
        return f"{text} ({self.remedy})" if self.remedy else text


class InvalidInput(PandaError):
    """A value that can never be accepted."""

    code = "invalid_input"


class UnknownObject(PandaError):
    """A job, task, queue, dataset or incident that does not exist."""

    code = "unknown_object"


class Conflict(PandaError):
    """The request contradicts what is already there."""

    code = "conflict"


class NotAllowed(PandaError):
    """The caller may not do this."""

    code = "not_allowed"


class IllegalTransition(Conflict):
    """A state change that the table of transitions does not know."""

    code = "illegal_transition"


class Unavailable(PandaError):
    """A part the system stands on (the database, a disk) does not answer; the same request may work later."""

    code = "unavailable"


class TooMany(PandaError):
    """The caller asked more often than it may; nothing was taken. `retry_after_s`: when it may again, in seconds."""

    code = "too_many"

    def __init__(self, detail: str, *, retry_after_s: float, field: str = "", remedy: str = "") -> None:
        super().__init__(detail, field=field, remedy=remedy)
        self.retry_after_s = retry_after_s


class ConfigurationError(PandaError):
    """A setting is wrong, unknown or missing."""

    code = "configuration"
