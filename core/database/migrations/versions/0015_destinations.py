"""storage on tape, room at storages, and the storage where a task collects its outputs

Revision: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # constant defaults: the rows that are there are not written
    op.add_column("storage_endpoints", sa.Column("kind", sa.Text(), nullable=False, server_default="disk"))
    op.add_column("storage_endpoints", sa.Column("is_nucleus", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ("free_mb", "total_mb"):
        op.add_column("storage_endpoints", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("tasks", sa.Column("nucleus", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("tasks", "nucleus")
    for name in ("total_mb", "free_mb", "is_nucleus", "kind"):
        op.drop_column("storage_endpoints", name)
