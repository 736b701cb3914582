"""The plans that the server keeps for taking a job: they must walk a queue in order, however deep it is."""

from __future__ import annotations

import pytest

from core.database import Database
from core.database.prepared import PreparedStatement
from core.dispatch.acquire import ACQUIRE, ACQUIRE_OLDEST, SlotOffer, acquire_parameters

_FILL = """
INSERT INTO jobs_live (panda_id, job_status, computing_site, prod_user_name, current_priority, min_ram_mb, gshare)
SELECT n, CASE WHEN n %% 3 = 0 THEN 'running' ELSE 'activated' END, 'Q' || n %% 5, 'user' || n %% 20, n %% 100, n %% 4 * 500,
       CASE WHEN %(shares)s > 0 THEN 'S' || n / 7 %% %(shares)s ELSE '' END
FROM generate_series(1, 20000) AS n
"""


@pytest.mark.parametrize("shares", [0, 30])
@pytest.mark.parametrize(
    ("statement", "walked"),
    [
        (ACQUIRE, ["ix_jobs_live_urgent", "ix_jobs_live_activated", "ix_jobs_live_oldest"]),
        (ACQUIRE_OLDEST, ["ix_jobs_live_urgent", "ix_jobs_live_oldest"]),
    ],
    ids=["by share", "by age"],
)
def test_the_kept_plan_walks_the_queue_in_order_and_sorts_nothing(
    database: Database, statement: PreparedStatement, walked: list[str], shares: int
) -> None:
    database.execute(_FILL, {"shares": shares})
    database.execute("ANALYZE jobs_live")
    offer = acquire_parameters(SlotOffer("Q1", "user", 2000, 1000, 1))
    with database.transaction() as transaction:
        transaction.execute("DEALLOCATE ALL")
        transaction.execute(statement.prepare)
        rows = transaction.fetch("EXPLAIN " + statement.execute, offer)
    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    candidate = plan[plan.index("CTE candidate") : plan.index("CTE taken")]
    assert [name for name in walked if name in candidate] == walked
    assert "Sort" not in candidate
    assert "Seq Scan" not in candidate
