"""Tables of incidents: what is wrong, the jobs each covers, what was done about it and what people decided of it.

Only `logger` writes them; they stand in core so that one migration history
and one transaction serve all (design.md).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from core.models.columns import (
    BIGINT,
    TIMESTAMP,
    document,
    flag,
    fraction,
    number,
    number_or_none,
    outer_key,
    serial,
    time_now,
    time_or_none,
    words,
)
from core.states import IncidentState

ONE_OF = {
    "state": tuple(state.value for state in IncidentState),
    "kind": ("failure_burst", "absence", "backlog", "service", "data", "manual"),
    "severity": ("critical", "error", "warning"),
    "verdict": ("", "site", "task", "user", "node", "data", "central", "unclear"),
}
"""What may stand in these columns of an incident; loops over all incidents rest on it."""

CHANGES = ("opened", "acknowledged", "assigned", "silenced", "unsilenced", "reopened", "resolved", "worse")
"""What people are told of."""


class Incident(SQLModel, table=True):
    """A trouble with one cause: what, where, since when, how bad, and who has it (monitor.md 6.1)."""

    __tablename__ = "incidents"
    __table_args__ = (
        # at most one incident that is not resolved per fingerprint, whoever races
        Index(
            "uq_incidents_unresolved",
            "fingerprint",
            unique=True,
            postgresql_where=text("state <> 'resolved'"),
        ),
        # the list and its counts: candidates are not shown
        Index("ix_incidents_shown", "state", "severity", "last_seen", postgresql_where=text("opened_time IS NOT NULL")),
        # lists of resolved ones, by window
        Index("ix_incidents_seen", "last_seen", postgresql_where=text("opened_time IS NOT NULL")),
        # earlier occurrences of the same trouble
        Index("ix_incidents_fingerprint", "fingerprint", "incident_id"),
        Index("ix_incidents_candidates", "last_seen", postgresql_where=text("state = 'candidate'")),
        # how many troubles of one component began lately (logger/folding.py)
        Index("ix_incidents_novel", "component", "first_seen", postgresql_where=text("state <> 'resolved'")),
        Index("ix_incidents_inhibited", "inhibited_by", postgresql_where=text("inhibited_by IS NOT NULL")),
        Index("ix_incidents_assigned", "assigned_to", "state", postgresql_where=text("assigned_to <> ''")),
        # what changed since its verdict
        Index("ix_incidents_touched", "modification_time", postgresql_where=text("state <> 'resolved'")),
        *(
            CheckConstraint(f"{name} IN ({', '.join(map(repr, values))})", name=f"ck_incidents_{name}")
            for name, values in ONE_OF.items()
        ),
        CheckConstraint("state <> 'candidate' OR opened_time IS NULL", name="ck_incidents_opened"),
        # what changed since: the emitter of live signals
        Index("ix_incidents_modified", "modification_time"),
    )

    incident_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    fingerprint: str = words()
    kind: str = words("failure_burst")
    title: str = words()
    severity: str = words("error")
    state: str = words("open")
    owner: str = words()
    component: str = words()
    code: int | None = number_or_none()
    computing_site: str = words()
    jedi_task_id: int | None = number_or_none()
    job_count: int = number(0)
    record_count: int = number(0)
    queue_count: int = number(0)
    task_count: int = number(0)
    user_count: int = number(0)
    lost_core_s: int = number(0)
    first_seen: datetime = time_now()
    last_seen: datetime = time_now()
    modification_time: datetime = time_now()
    """Last change of any kind, by events or by people."""
    resolved_time: datetime | None = time_or_none()
    sample_panda_id: int | None = number_or_none()
    culprit_line: str = words()
    grouping: str = words()
    opened_time: datetime | None = time_or_none()
    """When it became an incident; none for a candidate (logger/opening.py)."""
    opened_by: str = words()
    """`rule failure_burst v3`, `server`, or a name."""
    rule_name: str = words()
    rule_version: int = number(0)
    algorithm: int = number(1)
    """Version of the fingerprint's algorithm."""
    fingerprint_words: list[str] = document("[]")
    """The words that the fingerprint was made of, for comparing two events."""
    step: str = words()
    error_class: str = words()
    residue_count: int = number(0)
    """Jobs whose work is lost after all automatic retries."""
    residue_lost_core_s: int = number(0)
    node_count: int = number(0)
    storage_count: int = number(0)
    verdict: str = words()
    verdict_value: str = words()
    """The queue, jediTaskID, user, node or storage that the verdict names."""
    verdict_score: float = fraction()
    verdict_document: dict[str, object] = document()
    verdict_time: datetime | None = time_or_none()
    slot_share: float = fraction()
    """Part of the running cores that it wastes."""
    assigned_to: str = words()
    held_by: str = words()
    """Whose decision automation must respect until it is released; empty: nobody's."""
    acknowledged_time: datetime | None = time_or_none()
    inhibited_by: int | None = number_or_none()
    """The central incident that explains it."""
    merged_into: int | None = number_or_none()
    previous_id: int | None = number_or_none()
    """The occurrence before this one."""
    reopened_count: int = number(0)
    resolution: str = words()
    resolved_by: str = words()
    change_seq: int = number(0)
    """Number of its last change that people are told of (`incident_changes`)."""
    links: list[object] = document("[]")


class IncidentJob(SQLModel, table=True):
    """A job that an incident covers, with its culprit line."""

    __tablename__ = "incident_jobs"
    __table_args__ = (
        Index("ix_incident_jobs_incident", "incident_id", "panda_id"),
        Index("ix_incident_jobs_task", "jedi_task_id", "incident_id"),
        # back-tests and the window of a verdict
        Index("ix_incident_jobs_time", "time"),
        # what a retry would open again
        Index("ix_incident_jobs_residue", "incident_id", "jedi_task_id", postgresql_where=text("is_residue")),
    )

    panda_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    incident_id: int = Field(sa_type=BIGINT, nullable=False)
    time: datetime = time_now()
    computing_site: str = words()
    jedi_task_id: int | None = number_or_none()
    user_name: str = words()
    host: str = words()
    lost_core_s: int = number(0)
    culprit_log: str = words()
    culprit_line_number: int = number(0)
    culprit_line: str = words()
    attempt_nr: int = number(1)
    is_residue: bool = flag(True)
    """Its work is lost: no other attempt is made by itself."""
    endpoint: str = words()
    """The storage endpoint that the failure was about."""
    dataset: str = words()
    """The dataset of the input that the failure was about."""
    step: str = words()
    error_class: str = words()
    pattern: str = words()
    """The pattern that found the culprit line (logger/culprit)."""
    own_fingerprint: str = words()
    """Its key before merges and splits, which makes them reversible."""


class CulpritContext(SQLModel, table=True):
    """The lines around a culprit line, kept when the log itself is gone."""

    __tablename__ = "culprit_contexts"

    panda_id: int = outer_key()
    log_name: str = words()
    first_line_number: int = number(1)
    culprit_line_number: int = number(1)
    lines: str = words()
    kept_time: datetime = time_now()


class IncidentBreakdown(SQLModel, table=True):
    """Events of an incident per value of a dimension (computing_site, jedi_task_id, prod_user_name,
    modification_host, storage, dataset): its distinct counts and its tables, at a cost that does not grow with its jobs."""

    __tablename__ = "incident_breakdown"

    incident_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    dimension: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    event_count: int = number(0)


class IncidentActivity(SQLModel, table=True):
    """What was done to an incident, by whom."""

    __tablename__ = "incident_activity"
    __table_args__ = (Index("ix_incident_activity_incident", "incident_id"),)

    activity_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    incident_id: int = Field(sa_type=BIGINT, nullable=False)
    time: datetime = time_now()
    who: str = words()
    action: str = words()
    comment: str = words()
    change_seq: int | None = number_or_none()
    before: dict[str, object] = document()
    after: dict[str, object] = document()
    deed_id: int | None = number_or_none()


class IncidentChange(SQLModel, table=True):
    """A change of an incident that people are told of, in order; notices follow this table (logger/notices)."""

    __tablename__ = "incident_changes"
    __table_args__ = (
        UniqueConstraint("incident_id", "change_seq", name="uq_incident_changes"),
        Index("ix_incident_changes_time", "time"),
        CheckConstraint(f"what IN ({', '.join(map(repr, CHANGES))})", name="ck_incident_changes_what"),
    )

    change_id: int | None = serial()
    incident_id: int = Field(sa_type=BIGINT, nullable=False)
    change_seq: int = Field(sa_type=BIGINT, nullable=False)
    time: datetime = time_now()
    what: str = words()
    previous_state: str = words()
    state: str = words()
    severity: str = words()
    who: str = words()
    is_automatic: bool = flag()
    reason: str = words()


class FingerprintLink(SQLModel, table=True):
    """A merge or a split that a person made, which no rule undoes (logger/grouping.py)."""

    __tablename__ = "fingerprint_links"
    __table_args__ = (
        Index(
            "uq_fingerprint_links_merge",
            "fingerprint",
            unique=True,
            postgresql_where=text("kind = 'merge' AND undone_time IS NULL"),
        ),
        Index(
            "uq_fingerprint_links_split",
            *("fingerprint", "dimension", "value"),
            unique=True,
            postgresql_where=text("kind = 'split' AND undone_time IS NULL"),
        ),
        CheckConstraint("kind IN ('merge', 'split')", name="ck_fingerprint_links_kind"),
    )

    link_id: int | None = serial()
    kind: str = words()
    fingerprint: str = words()
    target: str = words()
    """The fingerprint that its events go to."""
    dimension: str = words()
    value: str = words()
    incident_id: int | None = number_or_none()
    into_incident_id: int | None = number_or_none()
    moved: dict[str, object] = document()
    """What went with it, so that it can go back."""
    who: str = words()
    time: datetime = time_now()
    comment: str = words()
    undone_by: str = words()
    undone_time: datetime | None = time_or_none()


class IncidentBin(SQLModel, table=True):
    """Events of an incident per five minutes, for its trend."""

    __tablename__ = "incident_bins"

    incident_id: int = Field(primary_key=True, sa_type=BIGINT, sa_column_kwargs={"autoincrement": False})
    bin_time: datetime = Field(primary_key=True, sa_type=TIMESTAMP)
    event_count: int = number(0)
