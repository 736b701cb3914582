"""What the rules make of records and failed jobs: one event each, ready to be folded into its incident. No SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from logger.texts import one_line

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
    attempt_nr: int = 1
    is_residue: bool = True
    """Its work is lost: nothing makes another attempt by itself."""
    endpoint: str = ""
    """The storage endpoint that the failure was about."""
    dataset: str = ""
    """The dataset of the input that the failure was about."""
    pattern: str = ""
    """Name of the pattern that found the culprit line."""
    context: str = ""
    """The lines around the culprit, to be kept; empty when they are not."""
    context_first_line: int = 1


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
    """Whose work it is: the working group's name when it is a group's."""
    host: str = ""
    storage: str = ""
    """The storage endpoint it is about, when it is of no job."""
    culprit_line: str = ""
    step: str = ""
    """Where it failed (logger/steps.py): stage-in, payload, stage-out, ..."""
    error_class: str = ""
    """What kind of trouble it is: data, software, memory, ... A hint, never a verdict."""
    words: tuple[str, ...] = ()
    algorithm: int = 1
    """Words and version of the fingerprint (logger/fingerprints)."""
    older_keys: Callable[[], tuple[str, ...]] = field(default=tuple, compare=False)
    """Its keys under the algorithms before, newest first, where they are others: asked for when its own key is new, for an
    older incident may still be open."""
    own_fingerprint: str = ""
    """Its key before merges and splits; empty: `fingerprint`."""
    opens: bool = True
    """False: it makes a candidate, of which its rule decides later (logger/opening.py)."""
    rule_version: int = 0
    count: int = 1
    """How many equal occurrences it stands for."""
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
            ("storage", self.job.endpoint if self.job else self.storage),
            ("dataset", self.job.dataset if self.job else ""),
        )
        return [(dimension, value[:200]) for dimension, value in pairs if value]


def short_title(text: str) -> str:
    """One line of at most 200 characters that no terminal obeys."""
    return one_line(text, MAX_TITLE_CHARACTERS)
