"""what the jobs of every task have used, and what of it failed

Revision: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # tasks of before have none: what they used is in usage_days only, and their budget begins with the jobs that end from now on
    op.create_table(
        "task_costs",
        sa.Column("jedi_task_id", sa.BigInteger(), autoincrement=False, primary_key=True),
        *(
            sa.Column(name, sa.Float(), nullable=False, server_default="0")
            for name in ("wall_core_s", "power_s", "failed_wall_core_s", "failed_power_s")
        ),
    )


def downgrade() -> None:
    op.drop_table("task_costs")
