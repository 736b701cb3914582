"""The rules that open incidents as monitors show them: what each does now, every version, and what evaluators there are."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from core.database import Database, Row
from core.errors import UnknownObject
from core.models.incident import ONE_OF
from core.monitor.closed import closed_column
from core.monitor.filters import text_column
from core.monitor.question import Grammar, Question
from core.monitor.reading import envelope, read
from logger.rules import EVALUATORS, MEASURES

RULE_GRAMMAR = Grammar(
    filters={
        "name": text_column("name"),
        "evaluator": text_column("evaluator"),
        "kind": closed_column("kind", ONE_OF["kind"]),
        "severity_floor": closed_column("severity_floor", ONE_OF["severity"]),
    }
)

_COUNTED = timedelta(days=7)
_MOST_VERSIONS = 200
_ROW = """
    rule_id, name, evaluator, kind, title, parameters, severity_floor, is_active, version, is_builtin, disabled_reason,
    created_time, modified_by, modification_time
"""
# incident_rules whole: some tens of rows
_RULES = "SELECT {row} FROM incident_rules WHERE {where} ORDER BY rule_id"
_RULE = f"SELECT {_ROW} FROM incident_rules WHERE rule_id = %(rule_id)s"
# ix_incidents_shown: those that are not resolved by state, and of the resolved ones those seen in the last days
_OPENED = """
SELECT rule_name, count(*) FILTER (WHERE state <> 'resolved') AS n_open,
       count(*) FILTER (WHERE opened_time >= %(since)s) AS n_opened, max(opened_time) AS last_opened
FROM incidents
WHERE opened_time IS NOT NULL AND state IN ('open', 'reopened', 'acknowledged', 'silenced', 'resolved')
  AND severity IN ('critical', 'error', 'warning') AND (state <> 'resolved' OR last_seen >= %(since)s)
GROUP BY 1
"""
# primary key
_VERSIONS = """
SELECT version, time, who, what, document FROM incident_rule_versions
WHERE rule_id = %(rule_id)s ORDER BY version DESC LIMIT %(limit)s
"""
# watch_samples by primary key: the last two bins of a rule
_MEASURED = """
SELECT DISTINCT ON (subject) subject, value, bin_time FROM watch_samples
WHERE rule_name = %(name)s AND bin_time >= %(since)s ORDER BY subject, bin_time DESC LIMIT 50
"""


def rule_list(database: Database, question: Question) -> dict[str, Any]:
    """`rules` in the order they are asked, each with `n_open`, `n_opened` (7 days) and `last_opened`; `evaluators` with
    their parameters."""
    rows = read(database, _RULES.format(row=_ROW, where=question.where()), question.parameters)
    opened = {row["rule_name"]: row for row in read(database, _OPENED, {"since": question.as_of - _COUNTED})}
    return envelope(
        question.as_of,
        count=len(rows),
        warnings=question.warnings,
        rules=[_with_counts(row, opened.get(row["name"])) for row in rows],
        evaluators=evaluators(),
    )


def rule_versions(database: Database, rule_id: int, now: datetime) -> dict[str, Any]:
    """`versions` of a rule, the newest first, the `rule` as it is (null when it was taken away), and what it `measured`
    last. Raises UnknownObject."""
    rule = database.fetch_one(_RULE, {"rule_id": rule_id})
    versions = database.fetch(_VERSIONS, {"rule_id": rule_id, "limit": _MOST_VERSIONS})
    if not versions and rule is None:
        raise UnknownObject(f"there is no rule {rule_id}", field="rule_id", remedy="see `panda alarms list`")
    name = rule["name"] if rule else versions[0]["document"].get("name", "")
    measured = database.fetch(_MEASURED, {"name": name, "since": now - timedelta(minutes=10)})
    return envelope(now, count=len(versions), rule=rule, versions=versions, measured=measured)


@cache
def evaluators() -> list[dict[str, Any]]:
    """What rows of rules can name, with name, type, default, range and meaning of each parameter."""
    units = {measure.name: measure.unit for measure in MEASURES}
    return [
        {
            "name": one.name,
            "sort": one.sort,
            "kinds": list(one.kinds),
            "sentence": one.sentence,
            "unit": units.get(one.name, ""),
            "parameters": [_parameter(name, field) for name, field in _properties(one.parameters).items()],
        }
        for one in EVALUATORS.values()
    ]


_BOUNDS = {
    "minimum": "at_least",
    "maximum": "at_most",
    "exclusiveMinimum": "more_than",
    "exclusiveMaximum": "less_than",
    "enum": "one_of",
}


def _properties(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = model.model_json_schema()["properties"]
    return found


def _parameter(name: str, field: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": field.get("type", "string"),
        "default": field.get("default"),
        "meaning": field.get("description", ""),
        **{ours: field[theirs] for theirs, ours in _BOUNDS.items() if theirs in field},
    }


def _with_counts(row: Row, opened: Row | None) -> Row:
    counts = opened or {"n_open": 0, "n_opened": 0, "last_opened": None}
    return {**row, **{name: counts[name] for name in ("n_open", "n_opened", "last_opened")}}
