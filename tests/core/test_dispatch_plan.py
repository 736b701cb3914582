"""The plan that the server keeps for taking a job: it must walk the queue in order, however deep the queue is."""

from __future__ import annotations

from core.database import Database
from core.dispatch.acquire import ACQUIRE, SlotOffer, acquire_parameters

_FILL = """
INSERT INTO jobs_live (panda_id, job_status, computing_site, prod_user_name, current_priority, min_ram_mb)
SELECT n, CASE WHEN n % 3 = 0 THEN 'running' ELSE 'activated' END, 'Q' || n % 5, 'user' || n % 20, n % 100, n % 4 * 500
FROM generate_series(1, 20000) AS n
"""


def test_the_kept_plan_walks_the_queue_in_order_and_sorts_nothing(database: Database) -> None:
    database.execute(_FILL)
    database.execute("ANALYZE jobs_live")
    offer = acquire_parameters(SlotOffer("Q1", "user", 2000, 1000, 1))
    with database.transaction() as transaction:
        transaction.execute("DEALLOCATE ALL")
        transaction.execute(ACQUIRE.prepare)
        rows = transaction.fetch("EXPLAIN " + ACQUIRE.execute, offer)
    plan = "\n".join(row["QUERY PLAN"] for row in rows)
    candidate = plan[plan.index("CTE candidate") : plan.index("CTE taken")]
    assert "ix_jobs_live_activated" in candidate
    assert "Sort" not in candidate
