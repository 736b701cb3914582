"""Reads the rules and classes that may meet a batch of failed jobs, and switches off those that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from core.database import Row, Transaction
from core.errors import InvalidInput
from core.retrial.actions import read_parameters
from core.retrial.rules import ErrorClass, Failure, Pattern, Rule
from core.text import clean

log = logging.getLogger("panda.retrial")

# ix_retry_rules_error; retry_actions by primary key
_RULES = """
SELECT r.*, r.is_active AND coalesce(a.is_active, true) AS acts FROM retry_rules r LEFT JOIN retry_actions a ON a.name = r.action
WHERE r.error_source = ANY(%(sources)s) AND r.error_code = ANY(%(codes)s) AND r.disabled_reason = ''
  AND (r.expiration_time IS NULL OR r.expiration_time > clock_timestamp())
ORDER BY r.rule_id
"""
# ix_error_classes_error
_CLASSES = """
SELECT * FROM error_classes
WHERE error_source = ANY(%(sources)s) AND error_code = ANY(%(codes)s) AND disabled_reason = '' ORDER BY class_id
"""

# primary keys. Whoever has such a row locked switches it off already: the end of jobs waits for nobody
_DISABLE = {
    kind: f"""
WITH bad AS (
    SELECT t.{key}, v.reason FROM unnest(%(ids)s::bigint[], %(reasons)s::text[]) AS v (id, reason)
    JOIN {table} t ON t.{key} = v.id WHERE t.disabled_reason = '' ORDER BY t.{key} FOR UPDATE OF t SKIP LOCKED
), changed AS (
    UPDATE {table} t SET disabled_reason = bad.reason, modification_time = clock_timestamp()
    FROM bad WHERE t.{key} = bad.{key} RETURNING t.{key}, t.disabled_reason
)
INSERT INTO retry_changes (who, kind, key, what, after)
SELECT 'retrial', '{kind}', {key}::text, 'disabled', jsonb_build_object('disabled_reason', disabled_reason) FROM changed
"""
    for kind, table, key in (("rule", "retry_rules", "rule_id"), ("class", "error_classes", "class_id"))
}


def read_rules(transaction: Transaction, failures: Iterable[Failure]) -> list[Rule]:
    """The rules that may be about one of these errors, passive ones too; one that makes no sense is switched off."""
    rules, unusable = [], {}
    for row in transaction.fetch(_RULES, _wanted(failures)):
        try:
            rules.append(rule_of(row))
        except InvalidInput as error:
            unusable[row["rule_id"]] = str(error)
    disable(transaction, "rule", unusable)
    return rules


def read_classes(transaction: Transaction, failures: Iterable[Failure]) -> list[ErrorClass]:
    """The classes that may be about one of these errors."""
    rows = transaction.fetch(_CLASSES, _wanted(failures))
    return [ErrorClass(row["class_id"], _pattern_of(row), row["error_class"], row["is_active"]) for row in rows]


def rule_of(row: Row) -> Rule:
    """A rule out of its row; `acts` in the row says whether rule and action are active. Raises InvalidInput."""
    return Rule(
        rule_id=row["rule_id"],
        pattern=_pattern_of(row),
        action=row["action"],
        parameters=read_parameters(row["action"], row["parameters"] if isinstance(row["parameters"], dict) else {}),
        architecture=row["architecture"],
        release=row["release"],
        gshare=row["gshare"],
        is_active=row["acts"],
    )


def disable(transaction: Transaction, kind: str, unusable: dict[int, str]) -> None:
    """Switch off rules or classes (`kind`) for the reasons given, and say so."""
    if not unusable:
        return
    for number, reason in unusable.items():
        log.warning("%s %s is switched off: %s", kind, number, reason, extra={"component": "retrial"})
    reasons = [clean(reason, 500) for reason in unusable.values()]
    transaction.execute(_DISABLE[kind], {"ids": list(unusable), "reasons": reasons})


def _pattern_of(row: Row) -> Pattern:
    return Pattern(row["error_source"], row["error_code"], row["error_diag"])


def _wanted(failures: Iterable[Failure]) -> dict[str, list[object]]:
    known = list(failures)
    return {
        "sources": ["", *sorted({failure.source for failure in known})],
        "codes": [0, *sorted({failure.code for failure in known})],
    }
