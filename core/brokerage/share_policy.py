"""Reads fairsharepolicy, by which queues give parts of themselves to kinds of work (domain.md 5.2, 9.2). Knows no queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from core.brokerage.wildcards import is_like
from core.numbers import as_number

_RULE_PARTS: tuple[str, ...] = ("type", "group", "gshare", "processingtype", "prodsourcelabel", "priority", "id")


@dataclass(frozen=True)
class SharePart:
    """One sub-policy of fairsharepolicy: its conditions and its percentage."""

    text: str
    conditions: tuple[tuple[str, str], ...]
    percentage: float

    def matches(self, about: Mapping[str, str], priority: int) -> bool:
        """Whether every condition holds for jobs described by `about`."""
        return all(
            _holds_number(value, priority) if key == "priority" else _holds(key, value, about.get(key, ""))
            for key, value in self.conditions
        )


_TESTS = ("test", "prod_test", "validation", "ptest", "rc_test", "rc_test2", "rc_alrb")
"""What type=test stands for in PanDA."""


@lru_cache(maxsize=4096)
def is_readable(policy: str) -> bool:
    """Whether each sub-policy can be read."""
    return len(share_parts(policy)) == len([text for text in policy.split(",") if text.strip()])


def share_parts(policy: str) -> list[SharePart]:
    """The sub-policies in order, as in `type=evgen:0%,group=higgs&type=any:20%`; what cannot be read is left out."""
    parts = []
    for text in policy.split(","):
        conditions_text, _, percentage_text = text.rpartition(":")
        percentage = as_number(percentage_text.strip().rstrip("%"))
        conditions = [
            tuple(map(str.strip, _split(one))) for one in conditions_text.split(":") for one in one.split("&")
        ]
        if percentage is not None and conditions and all(key.lower() in _RULE_PARTS for key, _ in conditions):
            known = tuple((key.lower(), value) for key, value in conditions if key.lower() != "id")
            parts.append(SharePart(text.strip(), known, percentage))
    return parts


def _split(condition: str) -> tuple[str, str]:
    for sign in (">=", "<=", "!=", "==", ">", "<"):
        key, found, value = condition.partition(sign)
        if found and key.strip().lower() == "priority":
            return key, sign + value
    key, _, value = condition.partition("=")
    return key, value


def _holds(key: str, wanted: str, given: str) -> bool:
    pattern, given = wanted.lower(), given.lower()
    if pattern in ("any", "", "*") or (pattern == "test" and "type" in key and given in _TESTS):
        return True
    return is_like(given, pattern)


_COMPARISONS: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
    (">=", lambda given, limit: given >= limit),
    ("<=", lambda given, limit: given <= limit),
    ("!=", lambda given, limit: given != limit),
    ("==", lambda given, limit: given == limit),
    (">", lambda given, limit: given > limit),
    ("<", lambda given, limit: given < limit),
    ("", lambda given, limit: given == limit),
)


def _holds_number(condition: str, given: int) -> bool:
    sign, holds = next((sign, holds) for sign, holds in _COMPARISONS if condition.startswith(sign))
    limit = as_number(condition.removeprefix(sign))
    return limit is not None and holds(given, limit)
