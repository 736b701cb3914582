"""What can go wrong between a program and the server, as types. Knows what people need to be told, not HTTP.

The shape (code, detail, field, remedy) is that of the server's refusals; `exit_code` is what a command ends with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """A request could not be fulfilled.

    `detail` is a sentence for people, `field` names the input that was wrong (empty when none), `remedy` what to do.
    `code` is stable: programs compare it, never the sentence.
    """

    code = "failed"
    exit_code = 1

    def __init__(self, detail: str, *, code: str = "", field: str = "", remedy: str = "") -> None:
        super().__init__(detail)
        self.code = code or type(self).code
        self.detail = detail
        self.field = field
        self.remedy = remedy

    def __str__(self) -> str:
        """The sentence with the field and the remedy, on one line."""
        named = f"{self.field}: " if self.field and not self.detail.startswith(f"{self.field}:") else ""
        return f"{named}{self.detail}" + (f" ({self.remedy})" if self.remedy else "")


class ServerUnreachable(ClientError):
    """Nothing answers at the address, or the answer did not come in time."""

    code = "unreachable"
    exit_code = 3


class ServerFault(ClientError):
    """The server answered, but with a failure of its own or with something that is not an answer."""

    code = "server_fault"


class Refused(ClientError):
    """The server understood and said no. `status` is the HTTP status (200 for refusals in PanDA's envelope); `problem` is
    the whole document, for refusals that say more than a sentence."""

    code = "refused"

    def __init__(
        self,
        detail: str,
        *,
        status: int = 200,
        code: str = "",
        field: str = "",
        remedy: str = "",
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail, code=code, field=field, remedy=remedy)
        self.status = status
        self.problem = dict(problem or {})


class NotAuthorised(Refused):
    """The token is missing, wrong or does not carry the role."""

    code = "not_authorised"


class NotFound(Refused):
    """What was asked for does not exist."""

    code = "unknown_object"


class Usage(ClientError):
    """The request makes no sense as given; nothing was sent."""

    code = "usage"
    exit_code = 2


class TimedOut(ClientError):
    """What was waited for did not happen in the time given; it may still happen."""

    code = "timed_out"
