"""how many events a file of the catalogue holds

Revision: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # null: nobody has said, which is not the same as none
    op.add_column("files", sa.Column("n_events", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("files", "n_events")
