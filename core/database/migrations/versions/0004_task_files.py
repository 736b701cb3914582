"""tasks as the real client submits them: their datasets, files and history

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _count(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text(str(default)), nullable=False)


def _optional(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=True)


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False)


def _document(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("request_id_seq", start=1, maxvalue=9_999_999, cycle=True)))
    _extend_tasks()
    op.create_table(
        "task_datasets",
        sa.Column("dataset_id", sa.BigInteger(), primary_key=True),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=False),
        *(_text(name) for name in ("name", "container", "stream")),
        _text("type", "input"),
        sa.Column("is_master", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _text("status", "defined"),
        _text("template"),
        _document("attributes"),
        _time("creation_time"),
    )
    op.create_index("ix_task_datasets_task", "task_datasets", ["jedi_task_id"])
    op.create_index("ix_task_datasets_name", "task_datasets", ["name"])
    op.create_table(
        "task_files",
        sa.Column("file_id", sa.BigInteger(), primary_key=True),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        _count("position"),
        _optional("catalogue_file_id"),
        *(_text(name) for name in ("lfn", "scope", "guid")),
        _optional("size_bytes"),
        _text("checksum"),
        _count("n_events"),
        _optional("start_event"),
        _optional("end_event"),
        _text("status", "ready"),
        _count("attempt_nr"),
        _count("failed_attempt"),
        _count("max_attempt", 3),
        _optional("panda_id"),
    )
    op.create_index("ix_task_files_status", "task_files", ["jedi_task_id", "status", "dataset_id", "position"])
    op.create_index("ix_task_files_job", "task_files", ["panda_id"], postgresql_where=sa.text("panda_id IS NOT NULL"))
    op.create_index("ix_task_files_dataset", "task_files", ["dataset_id", "position"])
    op.create_table(
        "task_history",
        sa.Column("history_id", sa.BigInteger(), primary_key=True),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=False),
        _time("time"),
        *(_text(name) for name in ("previous_status", "status", "who", "reason")),
    )
    op.create_index("ix_task_history_task", "task_history", ["jedi_task_id"])


def _extend_tasks() -> None:
    for name in ("old_status", "gshare", "ram_unit", "cpu_time_unit", "site"):
        op.add_column("tasks", _text(name))
    op.add_column("tasks", _text("task_type", "anal"))
    for name in ("req_id", "ram_count", "wall_time_s", "cpu_time", "n_files", "n_files_finished", "n_files_failed"):
        op.add_column("tasks", _count(name))
    op.add_column("tasks", _count("current_priority", 1000))
    op.add_column("tasks", _count("core_count", 1))
    op.add_column("tasks", _count("next_serial", 1))
    op.add_column("tasks", _optional("parent_tid"))
    op.add_column("tasks", _document("split_rule"))
    op.add_column("tasks", sa.Column("start_time", sa.DateTime(timezone=True), nullable=True))
    # tasks of earlier releases: every job was one chunk of input, so the counts of jobs tell the progress
    op.execute(
        "UPDATE tasks SET n_files = n_jobs, n_files_finished = n_finished, n_files_failed = n_failed + n_cancelled, "
        "current_priority = task_priority, req_id = nextval('request_id_seq')"
    )
    op.create_index("ix_tasks_name", "tasks", ["task_name", "user_name"])
    op.create_index("ix_tasks_request", "tasks", ["req_id"])
    op.create_index("ix_tasks_parent", "tasks", ["parent_tid"], postgresql_where=sa.text("parent_tid IS NOT NULL"))


def downgrade() -> None:
    for table in ("task_history", "task_files", "task_datasets"):
        op.drop_table(table)
    for name in ("ix_tasks_parent", "ix_tasks_request", "ix_tasks_name"):
        op.drop_index(name, "tasks")
    for name in (
        *("old_status", "gshare", "ram_unit", "cpu_time_unit", "site", "task_type", "req_id", "ram_count"),
        *("wall_time_s", "cpu_time", "n_files", "n_files_finished", "n_files_failed", "current_priority", "core_count"),
        *("next_serial", "parent_tid", "split_rule", "start_time"),
    ):
        op.drop_column("tasks", name)
    op.execute(sa.schema.DropSequence(sa.Sequence("request_id_seq")))
