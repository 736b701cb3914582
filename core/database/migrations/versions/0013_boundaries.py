"""which files belong together and must not be mixed with others, in the catalogue and in the input of tasks

Revision: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # a constant default: the rows that are there are not written
    for table in ("files", "task_files"):
        op.add_column(table, sa.Column("boundary_id", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    for table in ("task_files", "files"):
        op.drop_column(table, "boundary_id")
