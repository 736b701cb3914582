"""Which incidents a text means: the filters of lists, of bulk actions and of silences, in the monitor's grammar.

Knows the columns of incidents; knows no page, no action and no silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from core.errors import InvalidInput
from core.models.incident import ONE_OF
from core.monitor.closed import closed_column
from core.monitor.filters import Condition, TextFilter, number_column, parse_text, text_column, text_condition
from core.monitor.question import Grammar, Question, canonical_name, read_question
from core.monitor.selection import contains_text


def _at_queue(value: str, prefix: str) -> Condition:
    """Incidents that hit a queue, not only those with most events there; incident_breakdown by primary key. One that a
    person opened for a queue has no event there, only the name."""
    wanted = parse_text(value, "computing_site")
    plain = TextFilter(False, wanted.patterns, False)
    hit, named = text_condition("b.value", plain, prefix), text_condition("incidents.computing_site", plain, prefix)
    parts = ["computing_site = ''"] if wanted.or_empty else []
    if wanted.patterns:
        parts.append(
            "EXISTS (SELECT 1 FROM incident_breakdown b WHERE b.incident_id = incidents.incident_id"
            f" AND b.dimension = 'computing_site' AND {hit.sql})"
        )
        parts.append(named.sql)
    either = f"({' OR '.join(parts)})"
    return Condition(f"NOT {either}" if wanted.is_negated else either, hit.parameters if wanted.patterns else {})


def _of_task(value: str, prefix: str) -> Condition:
    """Incidents that cover jobs of a task; ix_incident_jobs_task."""
    is_negated = value.strip().startswith("!")
    # the name stands for the job's task within the parentheses and for the incident's own outside
    task = number_column("jedi_task_id")(value.strip().removeprefix("!"), prefix)
    either = f"(incident_id IN (SELECT incident_id FROM incident_jobs WHERE {task.sql}) OR {task.sql})"
    return Condition(f"NOT coalesce({either}, false)" if is_negated else either, task.parameters)


def _is_inhibited(value: str, prefix: str) -> Condition:
    """Those that a central incident explains, or not, or all: 1, 0, *."""
    wanted = value.strip().lower()
    if wanted in ("*", "all"):
        return Condition("true")
    if wanted in ("1", "true", "yes"):
        return Condition("inhibited_by IS NOT NULL")
    if wanted in ("0", "false", "no"):
        return Condition("inhibited_by IS NULL")
    raise InvalidInput(f"{value[:40]!r} is neither 0 nor 1", field="inhibited", remedy="0, 1 or *")


_TEXTS = (
    *("component", "owner", "fingerprint", "verdict_value", "error_class", "step"),
    *("opened_by", "assigned_to", "held_by", "rule_name"),
)

INCIDENT_GRAMMAR = Grammar(
    filters={
        **{name: closed_column(name, values) for name, values in ONE_OF.items()},
        **{name: text_column(name) for name in _TEXTS},
        "class": text_column("class", "error_class"),
        "code": number_column("code"),
        "incident_id": number_column("incident_id"),
        "inhibited_by": number_column("inhibited_by"),
        "previous_id": number_column("previous_id"),
        "inhibited": _is_inhibited,
        "computing_site": _at_queue,
        "jedi_task_id": _of_task,
        "q": contains_text(("title", "culprit_line", "owner")),
    },
    options=("candidates",),
)

IS_SHOWN = "opened_time IS NOT NULL"
"""Whether it is an incident, and not a trouble that is only counted; of ix_incidents_shown."""

IS_LIVING = f"{IS_SHOWN} AND state IN ('open', 'reopened', 'acknowledged', 'silenced')"
"""Whether there is something to do about it; a short range of ix_incidents_shown."""


def select(filters: Mapping[str, str] | Iterable[tuple[str, str]], now: datetime) -> Question:
    """What filters mean. Raises InvalidInput for one that there is not, and when there is none at all."""
    items = list(filters.items() if isinstance(filters, Mapping) else filters)
    names = ", ".join(sorted(INCIDENT_GRAMMAR.filters))
    for name, value in items:
        if canonical_name(name, INCIDENT_GRAMMAR) not in INCIDENT_GRAMMAR.filters:
            raise InvalidInput("is no filter of incidents", field=name[:40], remedy=f"filter by one of {names}")
        if not isinstance(value, str):
            raise InvalidInput("is no text", field=name[:40], remedy="every filter is a text, such as kind=service")
    question = read_question(items, INCIDENT_GRAMMAR, now)
    if not question.conditions:
        raise InvalidInput("it would mean every incident", field="filter", remedy=f"filter by one of {names}")
    return question
