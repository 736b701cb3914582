"""sandboxes and job metadata

Revision: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add_cache_files()
    _add_deterministic_endpoints()
    _add_job_metadata()


def downgrade() -> None:
    op.drop_table("job_metadata")
    op.drop_column("storage_endpoints", "is_deterministic")
    op.drop_table("cache_files")


def _add_cache_files() -> None:
    op.create_table(
        "cache_files",
        sa.Column("file_name", sa.Text(), primary_key=True),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        *(sa.Column(name, sa.Text(), server_default="", nullable=False) for name in ("checksum", "host")),
        *(
            sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False)
            for name in ("creation_time", "touch_time")
        ),
    )
    op.create_index("ix_cache_files_content", "cache_files", ["user_name", "size_bytes", "checksum"])
    op.create_index("ix_cache_files_touch", "cache_files", ["touch_time"])


def _add_deterministic_endpoints() -> None:
    column: sa.Column[bool] = sa.Column(
        "is_deterministic", sa.Boolean(), server_default=sa.text("false"), nullable=False
    )
    op.add_column("storage_endpoints", column)


def _add_job_metadata() -> None:
    op.create_table(
        "job_metadata",
        sa.Column("panda_id", sa.BigInteger(), autoincrement=False, primary_key=True),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "received_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
    )
