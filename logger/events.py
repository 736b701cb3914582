"""What the rules make of records and failed jobs: one event each, ready to be folded into its incident. No SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from logger.culprit import harmless

Kind = Literal["failure_burst", "absence", "backlog", "service", "data", "manual"]
KINDS: tuple[Kind, ...] = ("failure_burst", "absence", "backlog", "service", "data", "manual")

Severity = Literal["critical", "error", "warning"]

MAX_TITLE_CHARACTERS = 200


@dataclass(frozen=True)
class CoveredJob:
    """The failed job behind an event. `lost_core_s`: its cores times its wall-clock time, in seconds."""

    panda_id: int
    lost_core_s: int = 0
    culprit_log: str = ""
    culprit_line_number: int = 0


@dataclass(frozen=True)
class Event:
    """One occurrence of a trouble. Events with the same `fingerprint` belong to one incident."""

    rule: str
    kind: Kind
    fingerprint: str
    grouping: str
    title: str
    time: datetime
    severity: Severity
    """The least severity its incident gets; impact may raise it (`logger/severity.py`)."""
    component: str = ""
    code: int | None = None
    computing_site: str = ""
    jedi_task_id: int | None = None
    user_name: str = ""
    host: str = ""
    culprit_line: str = ""
    job: CoveredJob | None = None
    is_occurrence: bool = field(default=True)
    """False for a watch rule that sees the same state again: it keeps the incident alive and counts nothing."""

    def breakdown(self) -> list[tuple[str, str]]:
        """The (dimension, value) pairs under which the event is counted."""
        task = "" if self.jedi_task_id is None else str(self.jedi_task_id)
        pairs = (
            ("computing_site", self.computing_site),
            ("jedi_task_id", task),
            ("prod_user_name", self.user_name),
            ("modification_host", self.host),
        )
        return [(dimension, value[:200]) for dimension, value in pairs if value]


def short_title(text: str) -> str:
    """One line of at most 200 characters that no terminal obeys."""
    line = " ".join(harmless(text).split())
    return line if len(line) <= MAX_TITLE_CHARACTERS else line[: MAX_TITLE_CHARACTERS - 1] + "…"
