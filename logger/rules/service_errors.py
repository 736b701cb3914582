"""The rule for log records: an error of a component is a trouble of that service."""

from __future__ import annotations

import logging

from logger.culprit import find_culprit
from logger.events import Event, short_title
from logger.fingerprint import fingerprint
from logger.records import Record
from logger.rules.base import RecordRule
from logger.severity import severity_of_level


class ServiceErrors(RecordRule):
    """ERROR and above, and every record that carries a fingerprint or a kind of its own.

    What a pilot says about one job is evidence for that job, whose failure makes the incident: it is kept, shown with
    the job and with its incident, and opens none of its own (one trouble, one incident).
    """

    name = "service_errors"
    kind = "service"
    sentence = "A component reported an error, or named a trouble itself."

    def event(self, record: Record) -> Event | None:
        """The trouble of a service, or None for talk and for evidence about a job."""
        is_explicit = bool(record.fingerprint or record.kind)
        if not is_explicit and (record.severity_number < logging.ERROR or _is_evidence(record)):
            return None
        culprit = find_culprit(record.traceback)
        made = fingerprint(
            record.component,
            record.code,
            record.message if culprit is None else f"{_said(record)} {culprit.text}",
            culprit.where if culprit else "",
            explicit=record.fingerprint,
        )
        return Event(
            rule=self.name,
            kind=record.kind or self.kind,
            fingerprint=made.key,
            grouping=made.grouping,
            title=short_title(f"{record.component}: {record.message}" if record.component else record.message),
            time=record.time,
            severity=severity_of_level(record.level),
            component=record.component,
            code=record.code,
            computing_site=record.computing_site,
            jedi_task_id=record.jedi_task_id,
            user_name=record.user_name,
            host=record.host,
            culprit_line=culprit.text if culprit else short_title(record.message),
        )


def _said(record: Record) -> str:
    """The first words of the message: with a traceback, its exception line tells the rest."""
    return " ".join(record.message.split()[:6])


def _is_evidence(record: Record) -> bool:
    is_pilot = "pilot" in (record.component.split(".")[0], record.name.split(".")[0])
    return record.panda_id is not None and is_pilot and not record.traceback
