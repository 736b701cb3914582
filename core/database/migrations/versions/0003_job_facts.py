"""what real pilots and clients say of a job

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXTS = ("container_name", "special_handling", "gshare")


def upgrade() -> None:
    for table in ("jobs_live", "jobs_archive"):
        for name in _TEXTS:
            op.add_column(table, sa.Column(name, sa.Text(), server_default="", nullable=False))
        count = sa.Column("n_input_data_files", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        op.add_column(table, count)
        op.add_column(table, sa.Column("metrics", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False))


def downgrade() -> None:
    for table in ("jobs_live", "jobs_archive"):
        for name in (*_TEXTS, "n_input_data_files", "metrics"):
            op.drop_column(table, name)
