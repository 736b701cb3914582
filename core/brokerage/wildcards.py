"""Patterns of names as operators and submitters write them: * and ?, (this|that), and .* of regular expressions.

Matched without a regular expression of theirs, so that none can run away. Knows no queue.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import product

_MOST = 100
"""Names that one pattern may stand for; a pattern of more is taken as it is written."""


def is_like(name: str, pattern: str) -> bool:
    """Whether a name is what the pattern says; upper and lower case count."""
    return name == pattern or any(fnmatchcase(name, one) for one in alternatives(pattern))


def is_named(name: str, pattern: str) -> bool:
    """The same for patterns of * and ? only: names may hold any other character."""
    return name == pattern or fnmatchcase(name, _plain(pattern))


@lru_cache(maxsize=8192)
def alternatives(pattern: str) -> tuple[str, ...]:
    """The patterns without alternatives: `(a|b)-c` is `a-c` and `b-c`."""
    parts = [
        part[1:-1].split("|") if part.startswith("(") else [part] for part in re.split(r"(\([^()]*\))", pattern) if part
    ]
    count = 1
    for options in parts:
        count *= len(options)
    if count > _MOST:
        return (_plain(pattern),)
    whole = ["".join(chosen) for chosen in product(*parts)]
    return tuple(dict.fromkeys(_plain(one.replace(".*", "*")) for text in whole for one in text.split("|")))


def _plain(pattern: str) -> str:
    """Without sets of characters."""
    return pattern.replace("[", "[[]")
