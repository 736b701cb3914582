"""Whose fault failures were: failed jobs of a window by the class of their error (domain.md 15). Knows no page."""

from __future__ import annotations

from typing import Any

from core.database import Database, Row
from core.error_codes import error_name
from core.models.errors import ERROR_COMPONENTS
from core.monitor.filters import number_column, text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import envelope, read
from core.retrial.classifying import classifier
from core.retrial.facts import failures_of

FAULT_GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in ("computing_site", "prod_user_name", "prod_source_label", "gshare")},
        "jedi_task_id": number_column("jedi_task_id"),
    },
    default_hours=24,
)
_JOBS_LOOKED_AT = 200_000
_MESSAGE = 200
_MOST_ERRORS = 50

_CODES = ", ".join(component.code_column for component in ERROR_COMPONENTS)
_DIAGS = [component.diag_column for component in ERROR_COMPONENTS if component.diag_column]
# messages are told apart only when the class of some error depends on them
_WITH_MESSAGES = ", ".join(f"left({column}, {_MESSAGE}) AS {column}" for column in _DIAGS)
_WITHOUT_MESSAGES = ", ".join(f"'' AS {column}" for column in _DIAGS)

# ix_jobs_archive_status backwards: the newest failed jobs of the window
_FAILED = """
SELECT {codes}, {messages_of}, count(*) AS jobs, sum(core_s)::bigint AS core_s FROM (
    SELECT {codes}, {messages}, core_count * greatest(extract(epoch FROM end_time - start_time), 0) AS core_s
    FROM jobs_archive
    WHERE job_status = 'failed' AND state_change_time >= %(from)s AND state_change_time <= %(to)s AND {where}
    ORDER BY state_change_time DESC LIMIT %(limit)s
) j GROUP BY {codes}, {messages_of}
"""


def faults(database: Database, question: Question) -> dict[str, Any]:
    """Failed jobs, and the core-hours they cost, by class of their error: system, user, unknown, unclassified.

    At most the newest 200 000 failed jobs of the window are looked at; beyond, a warning says so.
    """
    window = question.window
    has_patterns = bool(database.fetch("SELECT 1 FROM error_classes WHERE is_active AND error_diag <> '' LIMIT 1"))
    statement = _FAILED.format(
        codes=_CODES,
        messages=_WITH_MESSAGES if has_patterns else _WITHOUT_MESSAGES,
        messages_of=", ".join(_DIAGS),
        where=question.where(),
    )
    bounds = {
        "from": window.start if window else question.as_of,
        "to": window.end if window else question.as_of,
        "limit": _JOBS_LOOKED_AT,
    }
    groups = read(database, statement, {**question.parameters, **bounds})
    by_class, by_error = _by_fault(database, groups)
    count = sum(entry["jobs"] for entry in by_class.values())
    errors = sorted(by_error.items(), key=lambda item: (-item[1], item[0]))[:_MOST_ERRORS]
    is_cut = count >= _JOBS_LOOKED_AT
    return envelope(
        question.as_of,
        window=window,
        exact=not is_cut,
        count=count,
        warnings=[*question.warnings, *([f"only the newest {_JOBS_LOOKED_AT:,} failed jobs"] if is_cut else [])],
        classes=by_class,
        errors=[
            {"component": source, "code": code, "name": error_name(source, code), "error_class": name, "jobs": jobs}
            for (source, code, name), jobs in errors
        ],
    )


def _by_fault(
    database: Database, groups: list[Row]
) -> tuple[dict[str, dict[str, int]], dict[tuple[str, int, str], int]]:
    """Jobs and what they cost by class; jobs by source and code of the error that counts and its class."""
    failures = [failures_of(row) for row in groups]
    with database.transaction() as transaction:
        class_of = classifier(transaction, (failure for found in failures for failure in found))
    by_class: dict[str, dict[str, int]] = {}
    by_error: dict[tuple[str, int, str], int] = {}
    for row, found in zip(groups, failures, strict=True):
        name = class_of(found) or "unclassified"
        entry = by_class.setdefault(name, {"jobs": 0, "lost_core_s": 0})
        entry["jobs"] += row["jobs"]
        entry["lost_core_s"] += row["core_s"] or 0
        if found:
            key = (found[0].source, found[0].code, name)
            by_error[key] = by_error.get(key, 0) + row["jobs"]
    return by_class, by_error
