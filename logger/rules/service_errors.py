"""The rule for log records: an error of a component is a trouble of that service."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from logger.culprit import Culprit, find_culprit
from logger.events import Event, Kind, short_title
from logger.fingerprints import NameKind, TroubleFacts, fingerprint, older_keys
from logger.records import Record
from logger.rules.base import RecordRule, RuleRow
from logger.rules.parameters import RecordParameters
from logger.rules.selecting import selects
from logger.severity import severity_of_level, worst
from logger.steps import step_and_class

_LEVELS = {"WARNING": logging.WARNING, "ERROR": logging.ERROR, "CRITICAL": logging.CRITICAL}
_AS_INSTALLED = RuleRow(0, "service_errors", "record", "service", "warning", {}, 0, RecordParameters())
"""For who has no rows at hand."""


class ServiceErrors(RecordRule):
    """ERROR and above, and every record that carries a fingerprint or a kind of its own.

    What a pilot says about one job is evidence for that job, whose failure makes the incident: it is kept, shown with
    the job and with its incident, and opens none of its own (one trouble, one incident).
    """

    name = "service_errors"
    kind: Kind = "service"
    sentence = "A component reported an error, or named a trouble itself."

    def event(self, record: Record) -> Event | None:
        """The trouble of a service under the rule as it is installed, or None for talk and for evidence about a job."""
        return record_event((_AS_INSTALLED,), record)


def record_event(rows: Sequence[RuleRow], record: Record) -> Event | None:
    """The trouble that a record tells of, under the first of the rules for records (`evaluator` record) that speaks of it;
    None for talk and for evidence about a job."""
    row = next((row for row in rows if row.evaluator == "record" and _speaks_of(row, record)), None)
    return None if row is None else _event(row, record)


def _speaks_of(row: RuleRow, record: Record) -> bool:
    parameters = row.limits
    assert isinstance(parameters, RecordParameters), "checked by its evaluator"
    is_named = bool(record.fingerprint or record.kind)
    if not is_named and (record.severity_number < _LEVELS[parameters.level] or _is_evidence(record)):
        return False
    return (
        selects(parameters.components, record.component)
        and selects(parameters.queues, record.computing_site)
        and selects(parameters.keys, record.fingerprint)
    )


def _event(row: RuleRow, record: Record) -> Event:
    culprit = find_culprit(record.traceback)
    facts = _facts(record, culprit)
    made = fingerprint(facts)
    step, error_class = _where_and_what(record, culprit)
    parameters = row.limits
    is_one_enough = record.fingerprint or (isinstance(parameters, RecordParameters) and parameters.min_records == 1)
    return Event(
        rule=row.name,
        kind=record.kind or row.kind,
        fingerprint=made.key,
        older_keys=partial(older_keys, facts),
        grouping=made.grouping,
        words=made.words,
        algorithm=made.algorithm,
        title=short_title(f"{record.component}: {record.message}" if record.component else record.message),
        time=record.time,
        severity=worst(row.severity_floor, severity_of_level(record.level)),
        component=record.component,
        code=record.code,
        computing_site=record.computing_site,
        jedi_task_id=record.jedi_task_id,
        user_name=record.user_name,
        host=record.host,
        culprit_line=culprit.text if culprit else short_title(record.message),
        step=step,
        error_class=error_class,
        rule_version=row.version,
        opens=bool(is_one_enough),
    )


def _facts(record: Record, culprit: Culprit | None) -> TroubleFacts:
    names: tuple[tuple[NameKind, str], ...] = (
        ("queue", record.computing_site),
        ("node", record.host),
        ("user", record.user_name),
        ("id", "" if record.panda_id is None else str(record.panda_id)),
        ("id", "" if record.jedi_task_id is None else str(record.jedi_task_id)),
    )
    return TroubleFacts(
        component=record.component,
        code=record.code,
        message=record.message if culprit is None else f"{_said(record)} {culprit.text}",
        step=culprit.where if culprit else "",
        explicit=record.fingerprint,
        names=tuple((kind, name) for kind, name in names if name),
    )


def _where_and_what(record: Record, culprit: Culprit | None) -> tuple[str, str]:
    """The failing step and the class: as the emitter says, else as the culprit or the message itself tells."""
    known = culprit or find_culprit(record.message)
    step, error_class = step_and_class(
        record.component, record.code, "service", None if known is None or known.is_guess else known
    )
    return record.step or step, record.error_class or error_class


def _said(record: Record) -> str:
    """The first words of the message: with a traceback, its exception line tells the rest."""
    return " ".join(record.message.split()[:6])


def _is_evidence(record: Record) -> bool:
    is_pilot = "pilot" in (record.component.split(".")[0], record.name.split(".")[0])
    return record.panda_id is not None and is_pilot and not record.traceback
