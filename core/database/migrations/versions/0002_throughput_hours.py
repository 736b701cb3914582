"""hour counts of throughput by queue

Revision: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "throughput_hours",
        sa.Column("bin_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("computing_site", sa.String(), nullable=False),
        sa.Column("job_status", sa.String(), nullable=False),
        sa.Column("prod_source_label", sa.String(), nullable=False),
        sa.Column("job_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("bin_time", "computing_site", "job_status", "prod_source_label"),
    )
    # what the agent has counted so far, so that it goes on from there
    op.execute(
        """
        INSERT INTO throughput_hours (bin_time, computing_site, job_status, prod_source_label, job_count)
        SELECT date_trunc('hour', bin_time), computing_site, job_status, prod_source_label, sum(job_count)
        FROM throughput_minutes
        WHERE bin_time < (SELECT date_trunc('hour', to_timestamp(cursor)) FROM agent_runs WHERE name = 'rollups')
        GROUP BY 1, 2, 3, 4
        """
    )


def downgrade() -> None:
    op.drop_table("throughput_hours")
