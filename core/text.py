"""Text from outside made fit for the database: PostgreSQL stores any character but NUL. Knows no column."""

from __future__ import annotations


def clean(value: object, limit: int) -> str:
    """`value` as text without NUL and lone surrogates, cut at `limit` characters; None becomes empty."""
    if value is None:
        return ""
    text = str(value).replace("\x00", "")
    return text.encode("utf-8", "replace").decode()[:limit]


def clean_tail(value: object, limit: int) -> str:
    """Like `clean`, keeping the end: of a log the last lines matter."""
    text = clean(value, 2**31)
    return text[-limit:]
