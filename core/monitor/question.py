"""From the parameters of a monitor request to a question: conditions, window, page, and what was not understood.

Each page has a `Grammar`: an explicit table of its filters. Names are accepted as ours and as BigPanDAmon spells them
(monitor.md 1.2); a name nobody knows becomes a warning, or with strict=1 a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.errors import InvalidInput
from core.monitor.filters import Compile, Condition, check_text
from core.monitor.window import WINDOW_PARAMETERS, Window, read_window

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000

_IRREGULAR_SPELLINGS = {
    "display_limit": "limit",
    "display_limit_jobs": "limit",
    "display_limit_tasks": "limit",
    "user": "prod_user_name",
    "username": "prod_user_name",
    "site": "computing_site",
    "queue": "computing_site",
    "taskid": "jedi_task_id",
    "errorcode": "error",
    "minramcount": "min_ram_mb",
    "maxdiskcount": "max_disk_mb",
    "maxwalltime": "max_walltime_s",
    "priorityrange": "current_priority",
    "priority": "current_priority",
    "superrorcode": "sup_error_code",
    "reqid": "job_definition_id",
    "jobdefid": "job_definition_id",
    "label": "prod_source_label",
    "status": "job_status",
    "fp": "fingerprint",
    "earliest": "date_from",
}
"""Spellings of others that differ from ours by more than capitals and underscores; a page's own names win."""

_SILENT = frozenset({"json", "timestamp"})
"""Parameters that BigPanDAmon's links carry and that change nothing here: answers are JSON and never stale."""

_COMMON = (*WINDOW_PARAMETERS, "limit", "cursor", "sortby", "strict", "facets")


@dataclass(frozen=True)
class Grammar:
    """What a page understands. `identities` are filters that switch the default window off."""

    filters: Mapping[str, Compile]
    identities: frozenset[str] = frozenset()
    default_hours: float | None = None
    sorts: tuple[str, ...] = ()
    """Accepted values of `sortby`; the first is the default."""
    options: tuple[str, ...] = ()
    """Further parameters of this page, handed on as they are."""


@dataclass(frozen=True)
class Question:
    """A request as the page's queries need it."""

    conditions: tuple[Condition, ...]
    filtered: frozenset[str]
    """Names of the filters in use."""
    window: Window | None
    limit: int
    cursor: str
    sortby: str
    wants_facets: bool
    options: Mapping[str, str]
    warnings: list[str]
    as_of: datetime
    raw_filters: tuple[tuple[str, str], ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)

    def where(self) -> str:
        """The conditions as SQL; `true` when there are none."""
        return " AND ".join(condition.sql for condition in self.conditions) or "true"


def read_question(items: Iterable[tuple[str, str]], grammar: Grammar, now: datetime) -> Question:
    """Understand a query string. Repeated filters must all hold; of other repeated parameters the last counts.

    Raises InvalidInput naming the parameter: wrong value, or with strict=1 a name that the page does not know.
    """
    filters: list[tuple[str, str]] = []
    others: dict[str, str] = {}
    warnings: list[str] = []
    for name, value in items:
        check_text(value, name[:40])
        known = canonical_name(name, grammar)
        if known is not None and known in grammar.filters:
            if value.strip():
                filters.append((known, value))
        elif known is not None:
            others[known] = value.strip()
        elif name.lower() not in _SILENT:
            warnings.append(name)
    if warnings and _flag(others, "strict", default=False):
        names = ", ".join(sorted(grammar.filters))
        raise InvalidInput("this page has no such parameter", field=warnings[0][:40], remedy=f"it filters by {names}")
    conditions = tuple(grammar.filters[name](value, f"{name}_{index}") for index, (name, value) in enumerate(filters))
    filtered = frozenset(name for name, _ in filters)
    is_identified = bool(filtered & grammar.identities)
    return Question(
        conditions=conditions,
        filtered=filtered,
        window=read_window(others, now, None if is_identified else grammar.default_hours),
        limit=_limit(others),
        cursor=others.get("cursor", ""),
        sortby=_sort(others, grammar),
        wants_facets=_flag(others, "facets", default=True),
        options={name: others.get(name, "") for name in grammar.options},
        warnings=[f"ignored: {name[:80]}" for name in warnings],
        as_of=now,
        raw_filters=tuple(filters),
        parameters={key: value for condition in conditions for key, value in condition.parameters.items()},
    )


def canonical_name(name: str, grammar: Grammar) -> str | None:
    """Our name for a parameter, however it is spelt (`pandaid`, `PandaID`, `panda_id`); None when the page has none."""
    names = (*grammar.filters, *grammar.options, *_COMMON)
    if name in names:
        return name
    flat = name.lower().replace("_", "")
    for known in names:
        if flat == known.replace("_", ""):
            return known
    irregular = _IRREGULAR_SPELLINGS.get(name.lower()) or _IRREGULAR_SPELLINGS.get(flat)
    return irregular if irregular in names else None


def _limit(parameters: Mapping[str, str]) -> int:
    text = parameters.get("limit", "")
    if not text:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= LARGEST_LIMIT:
        remedy = f"1 to {LARGEST_LIMIT}; more rows follow with cursor"
        raise InvalidInput(f"{text[:40]!r} is no size of a page", field="limit", remedy=remedy)
    return int(text)


def _sort(parameters: Mapping[str, str], grammar: Grammar) -> str:
    wanted = parameters.get("sortby", "")
    default = grammar.sorts[0] if grammar.sorts else ""
    if not wanted:
        return default
    flat = {sort.replace("_", ""): sort for sort in grammar.sorts}
    found = flat.get(wanted.lower().replace("_", ""))
    if found is None:
        remedy = f"one of {', '.join(grammar.sorts)}" if grammar.sorts else "leave it out"
        raise InvalidInput(f"{wanted[:40]!r} is no order of this page", field="sortby", remedy=remedy)
    return found


def _flag(parameters: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = parameters.get(name, "").lower()
    if text in ("", "0", "1", "true", "false", "yes", "no"):
        return default if text == "" else text in ("1", "true", "yes")
    raise InvalidInput(f"{text[:40]!r} is neither 0 nor 1", field=name, remedy=f"{name}=0 or {name}=1")
