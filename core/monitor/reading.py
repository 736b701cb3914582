"""Reads with a time limit, cursors and the envelope: what all monitor queries share. Knows no table."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg2

from core.database import Database, Row
from core.errors import InvalidInput, Unavailable
from core.monitor.window import Window

LIST_LIMIT_S = 10.0
"""The longest a page of rows may take."""
FACET_LIMIT_S = 2.0
"""The longest exact counts may take (monitor.md 4.3, rule 4)."""


class TooSlow(Unavailable):
    """The question reads more than one request may."""

    code = "too_slow"


def read(
    database: Database, statement: str, parameters: Mapping[str, Any], *, limit_s: float = LIST_LIMIT_S
) -> list[Row]:
    """The rows of a statement. Raises TooSlow when PostgreSQL needs longer than `limit_s` seconds."""
    try:
        with database.transaction() as transaction:
            transaction.execute(
                "SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": str(int(limit_s * 1000))}
            )
            return transaction.fetch(statement, parameters)
    except psycopg2.errors.QueryCanceled as error:
        remedy = "ask for a shorter window (hours=1) or add a filter"
        raise TooSlow(f"this takes longer than {limit_s:g} s", field="hours", remedy=remedy) from error


def envelope(  # the head of every answer, docs/api.md
    as_of: datetime,
    *,
    window: Window | None = None,
    exact: bool = True,
    count: int = 0,
    next_cursor: str | None = None,
    warnings: Sequence[str] = (),
    **content: Any,
) -> dict[str, Any]:
    """An answer of the monitor: the envelope with the page's own content beside it."""
    return {
        "as_of": as_of,
        "window": window.as_answer() if window else None,
        "exact": exact,
        "count": count,
        "next_cursor": next_cursor,
        "warnings": list(warnings),
        **content,
    }


def encode_cursor(question_key: Sequence[Any], state: Sequence[Any]) -> str:
    """An opaque text that holds `state` and remembers which question it belongs to."""
    content = json.dumps([_digest(question_key), *state], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, question_key: Sequence[Any], kinds: Sequence[type]) -> list[Any]:
    """The state within a cursor. Raises InvalidInput when it is not ours or belongs to other filters."""
    remedy = "pass next_cursor of the last page unchanged, with the same filters; leave it out for the first page"
    try:
        content = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("is no cursor of ours", field="cursor", remedy=remedy) from error
    if (
        not isinstance(content, list)
        or len(content) != len(kinds) + 1
        or any(type(value) is not kind for value, kind in zip(content[1:], kinds, strict=True))
    ):
        raise InvalidInput("is no cursor of ours", field="cursor", remedy=remedy)
    if content[0] != _digest(question_key):
        raise InvalidInput("belongs to a question with other filters", field="cursor", remedy=remedy)
    return content[1:]


def _digest(question_key: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(question_key, default=str).encode()).hexdigest()[:12]
