"""What bodies of our own operations are made of: nothing counts as something else, and nothing unknown is overlooked.

`true` is no number, "5" is not 5, 3.0 is no count, and a field that nobody knows is a field that was misspelt.
`api.operations` takes no other body. What PanDA's own protocol forgives is read elsewhere (`api.panda.casting`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from core.accounts.limits import FOREVER

_FOREVER_WORD = "forever"
_TIME: dict[str, Any] = {"type": "string", "format": "date-time"}


class StrictBody(BaseModel):
    """A body, or a part of one, that is taken as it is written or refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _read_time(given: object) -> datetime:
    """A number would be read as seconds since 1970, which nobody means by "5"."""
    try:
        if not isinstance(given, str):
            raise ValueError
        read = datetime.fromisoformat(given)
        moment = read if read.tzinfo else read.replace(tzinfo=UTC)
        moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("should be a time as text, such as 2026-12-31T12:00:00Z") from error
    return moment


def _read_end(given: object) -> datetime:
    return FOREVER if given == _FOREVER_WORD else _read_time(given)


Moment = Annotated[datetime, BeforeValidator(_read_time), WithJsonSchema(_TIME)]
"""ISO 8601; without a zone it is UTC."""
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that the database can hold. No operation reads a number without a bound: a test looks at all of them."""
Id = Annotated[int, Field(ge=1, lt=2**63)]
"""The number of an object, in a body, a query or a path."""
End = Annotated[datetime, BeforeValidator(_read_end), WithJsonSchema({"anyOf": [_TIME, {"const": _FOREVER_WORD}]})]
"""The same, or the word `forever`."""
