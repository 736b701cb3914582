"""What operators want done when jobs fail (domain.md 15): actions, rules, classes of errors, and what each rule did."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from core.models.columns import BIGINT, document, number, number_or_none, time_now, time_or_none, words


def _is_active(default: str) -> bool:
    value: bool = Field(default=default == "true", sa_column_kwargs={"server_default": sql(default)})
    return value


class RetryAction(SQLModel, table=True):
    """An action that rules may name; one that is not active is only logged, whatever the rules say."""

    __tablename__ = "retry_actions"

    name: str = Field(primary_key=True)
    is_active: bool = _is_active("true")
    description: str = words()


class RetryRule(SQLModel, table=True):
    """When a job fails like this, do that. What is empty matches everything."""

    __tablename__ = "retry_rules"
    __table_args__ = (Index("ix_retry_rules_error", "error_source", "error_code"),)

    rule_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    error_source: str = words()
    """pilot, exe, sup, ddm, brokerage, job_dispatcher, task_buffer or trans (the payload's exit code)."""
    error_code: int = number(0)
    error_diag: str = words()
    """Regular expression, anchored at the start of the message."""
    architecture: str = words()
    release: str = words()
    gshare: str = words()
    """The work queue of upstream."""
    action: str = words()
    parameters: dict[str, object] = document()
    is_active: bool = _is_active("true")
    """False: passive, only logged."""
    description: str = words()
    expiration_time: datetime | None = time_or_none()
    n_matched: int = number(0)
    n_acted: int = number(0)
    last_matched: datetime | None = time_or_none()
    disabled_reason: str = words()
    """Why the system switched it off (an expression that cannot be read)."""
    modified_by: str = words()
    modification_time: datetime = time_now()


class ErrorClass(SQLModel, table=True):
    """Whose fault an error is: those of class `system` do not count against the attempts of users."""

    __tablename__ = "error_classes"
    __table_args__ = (Index("ix_error_classes_error", "error_source", "error_code"),)

    class_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    error_source: str = words()
    error_code: int = number(0)
    error_diag: str = words()
    error_class: str = words("unknown")
    """system, user or unknown."""
    is_active: bool = _is_active("true")
    description: str = words()
    disabled_reason: str = words()
    """As of a rule."""
    modified_by: str = words()
    modification_time: datetime = time_now()


class RetryDeed(SQLModel, table=True):
    """What a rule did, or would have done, about one failed job."""

    __tablename__ = "retry_log"
    __table_args__ = (
        Index("ix_retry_log_job", "panda_id"),
        Index("ix_retry_log_task", "jedi_task_id", "deed_id"),
        Index("ix_retry_log_rule", "rule_id", "deed_id"),
        Index("ix_retry_log_time", "time"),
        # the counter: deeds of rules that are not counted in n_matched and n_acted yet
        Index(
            "ix_retry_log_uncounted",
            "rule_id",
            "deed_id",
            postgresql_where=sql("rule_id IS NOT NULL AND NOT is_counted"),
        ),
    )

    deed_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    time: datetime = time_now()
    panda_id: int = Field(sa_type=BIGINT, nullable=False)
    jedi_task_id: int | None = number_or_none()
    rule_id: int | None = number_or_none()
    """None: the class of the error, or the limits of the task alone."""
    error_source: str = words()
    error_code: int = number(0)
    error_diag: str = words()
    action: str = words()
    parameters: dict[str, object] = document()
    is_active: bool = _is_active("true")
    effect: str = words()
    """What changed, in words."""
    has_acted: bool = _is_active("false")
    """Whether it changed anything: another rule may have gone before, or there was nothing left to change."""
    is_counted: bool = _is_active("false")
    """Whether its rule's n_matched and n_acted hold it; ending jobs never wait for each other at the row of a rule."""


class RetryChange(SQLModel, table=True):
    """Who changed a rule, a class or an action, and how."""

    __tablename__ = "retry_changes"

    change_id: int | None = Field(default=None, primary_key=True, sa_type=BIGINT)
    time: datetime = time_now()
    who: str = words()
    kind: str = words()
    """rule, class or action."""
    key: str = words()
    what: str = words()
    """added, changed, removed or disabled."""
    before: dict[str, object] = document()
    after: dict[str, object] = document()
