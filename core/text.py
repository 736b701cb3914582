"""Text from outside made fit for the database: PostgreSQL stores any character but NUL. Knows no column."""

from __future__ import annotations

import re
from typing import Any

import orjson

# not of an escaped backslash that `u0000` follows: that is text somebody wrote
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


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


def json_text(value: Any) -> str:
    """`value` as JSON without NUL, which PostgreSQL refuses also where it is escaped; what JSON has no form for as text."""
    text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return _ESCAPED_NUL.sub(r"\1", text) if "\\u0000" in text else text
