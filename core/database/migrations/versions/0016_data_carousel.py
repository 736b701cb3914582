"""the data carousel: datasets that are brought from tape to disk

Revision: 0016
Revises: 0015
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add_requests()
    op.create_table(
        "data_carousel_relations",
        *(
            sa.Column(name, sa.BigInteger(), autoincrement=False, primary_key=True)
            for name in ("request_id", "jedi_task_id")
        ),
        _flag("is_master", "true"),
        _now("creation_time"),
    )
    op.create_index("ix_data_carousel_relations_task", "data_carousel_relations", ["jedi_task_id"])
    op.create_table(
        "data_carousel_files",
        *(
            sa.Column(name, sa.BigInteger(), autoincrement=False, primary_key=True)
            for name in ("request_id", "file_id")
        ),
        _words("status", "waiting"),
        _number("n_attempts"),
        sa.Column("next_try_time", sa.DateTime(timezone=True), nullable=True),
        _words("place"),
        _words("error"),
    )
    op.create_index("ix_data_carousel_files_status", "data_carousel_files", ["request_id", "status", "file_id"])


def downgrade() -> None:
    for name in ("data_carousel_files", "data_carousel_relations", "data_carousel_requests"):
        op.drop_table(name)


def _add_requests() -> None:
    numbers = ("list_cursor", "check_cursor", "n_files", "n_staged", "n_failed", "n_bytes", "n_bytes_staged", "n_asked")
    times = ("start_time", "progress_time", "next_try_time", "unused_since", "end_time")
    op.create_table(
        "data_carousel_requests",
        sa.Column("request_id", sa.BigInteger(), primary_key=True),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        _words("status", "queued"),
        *(_words(name) for name in ("dataset", "source_endpoint", "destination_endpoint", "reason", "trouble")),
        *(_flag(name) for name in ("takes_any", "is_forced", "is_listed", "holds_copies")),
        *(_number(name) for name in numbers),
        *(_now(name) for name in ("creation_time", "modification_time")),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in times),
    )
    op.create_index(
        "uq_data_carousel_requests_dataset",
        "data_carousel_requests",
        ["dataset_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('queued', 'staging', 'done')"),
    )
    op.create_index(
        "ix_data_carousel_requests_copies",
        "data_carousel_requests",
        ["dataset_id"],
        postgresql_where=sa.text("holds_copies"),
    )
    op.create_index("ix_data_carousel_requests_status", "data_carousel_requests", ["status"])


def _words(name: str, default: str = "") -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _flag(name: str, default: str = "false") -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text(default), nullable=False)


def _now(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False)
