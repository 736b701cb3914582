"""What clients ask of lists of tasks: equality on columns, patterns, a time (client-wire.md 5.1). Knows no table.

Values become bound parameters; columns come from the table of known ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core.errors import InvalidInput
from core.states import SUPER_STATUS
from core.taskengine.questions.columns import TASK_COLUMNS, TaskColumn, known_name

_PATTERN_SIGNS = frozenset("^$*+?|()\\")
_MAX_LENGTH = 1000
_BIGINT = 2**63


@dataclass
class TaskFilters:
    """Conditions before the limit, patterns after it, and what they are bound to."""

    conditions: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    names_user: bool = False

    def require(self, condition: str, **values: Any) -> None:
        """Add a condition with its values."""
        self.conditions.append(condition)
        self.values.update(values)


def parse_filters(given: Mapping[str, Any]) -> TaskFilters:
    """Read `{column: value}`. Raises InvalidInput naming the column that is unknown or the value that makes no sense."""
    filters = TaskFilters()
    for number, (key, value) in enumerate(given.items()):
        name = known_name(key)
        if name is None:
            known = ", ".join(sorted(TASK_COLUMNS))
            raise InvalidInput("no column of a task", field=f"filters.{key[:100]}", remedy=f"one of {known}")
        if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > _MAX_LENGTH:
            raise InvalidInput(
                "neither text nor a number", field=f"filters.{name}", remedy=f"at most {_MAX_LENGTH} characters of text"
            )
        filters.names_user |= name == "userName"
        _add(filters, f"filter_{number}", name, str(value))
    return filters


def _add(filters: TaskFilters, bound: str, name: str, text: str) -> None:
    column = TASK_COLUMNS[name]
    if _PATTERN_SIGNS & set(text):
        filters.patterns.append(f"({column.expression})::text ~ %({bound})s")
        filters.values[bound] = text
    elif name == "superStatus":
        # by status, so that the index on it serves
        statuses = [status.value for status, word in SUPER_STATUS.items() if word == text]
        filters.require(f"t.status = ANY(%({bound})s)", **{bound: statuses})
    else:
        filters.require(f"{column.expression} = %({bound})s", **{bound: _typed(column, name, text)})


def _typed(column: TaskColumn, name: str, text: str) -> Any:
    if column.kind is int:
        try:
            number = int(text)
        except ValueError as error:
            raise InvalidInput(f"{text[:50]!r} is no number", field=f"filters.{name}", remedy="send digits") from error
        return max(-_BIGINT, min(number, _BIGINT - 1))
    return parse_time(text, f"filters.{name}") if column.kind is datetime else text


def parse_time(text: str, field_name: str) -> datetime:
    """A time in UTC, as `2026-11-07 08:16:51` or in ISO 8601. Raises InvalidInput naming the field."""
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{text[:50]!r} is no time", field=field_name, remedy="send UTC as in 2026-11-07 08:16:51"
        ) from error
