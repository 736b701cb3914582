"""the country whose resources may be kept for a job

Revision: 0017
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # a constant default: the rows that are there are not written
    for table in ("jobs_live", "jobs_archive"):
        op.add_column(table, sa.Column("country_group", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    for table in ("jobs_archive", "jobs_live"):
        op.drop_column(table, "country_group")
