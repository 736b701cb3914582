"""What looks at jobs again and again: among many that wait it reads those of its own states only."""

from __future__ import annotations

import pytest

from core.agents.watchdog import statement_of
from core.configuration import Timeouts
from core.database import Database, Row, Transaction
from core.taskbuffer.timeouts import RULES, rule_parameters
from core.taskengine.lanes import MOST_URGENT
from tests.support.builders import make_queue

_FILL = """
INSERT INTO jobs_live (panda_id, job_status, computing_site, gshare, resource_type, current_priority)
SELECT n, CASE n %% 20 WHEN 0 THEN 'running' WHEN 1 THEN 'throttled' WHEN 2 THEN 'defined' WHEN 3 THEN 'assigned'
                       ELSE 'activated' END,
       CASE WHEN n %% 20 = 2 THEN '' ELSE 'Q' || n %% 5 END, 'S' || n / 7 %% 10, 'SCORE', n %% 1000
FROM generate_series(1, 20000) AS n
"""
_SCARCE = [rule for rule in RULES if "activated" not in rule.statuses]


@pytest.fixture(scope="module")
def crowd(shared_database: Database) -> Database:
    """Twenty thousand jobs, nearly all of them activated."""
    for number in range(5):
        make_queue(shared_database, f"Q{number}")
    shared_database.execute(_FILL, {})
    shared_database.execute("ANALYZE jobs_live")
    return shared_database


def plan_of(transaction: Transaction, statement: str, values: dict[str, object]) -> str:
    rows: list[Row] = transaction.fetch("EXPLAIN " + statement, values)
    return "\n".join(row["QUERY PLAN"] for row in rows)


@pytest.mark.parametrize("rule", _SCARCE, ids=lambda rule: rule.name)
def test_a_timeout_reads_no_jobs_of_other_states(crowd, rule):
    with crowd.transaction() as transaction:
        plan = plan_of(transaction, statement_of(rule), {**rule_parameters(rule, Timeouts()), "batch": 5})
    assert "jobs_live_pkey on jobs_live j" not in plan
    assert "Seq Scan on jobs_live j" not in plan


def test_the_most_urgent_job_of_a_full_lane_is_found_without_reading_them_all(crowd):
    [expected] = crowd.fetch("SELECT max(current_priority) AS most FROM jobs_live WHERE gshare = 'S3'")
    with crowd.transaction() as transaction:
        [found] = transaction.fetch(MOST_URGENT, {"gshare": "S3"})
        [nobody] = transaction.fetch(MOST_URGENT, {"gshare": "a share without jobs"})
        plan = plan_of(transaction, MOST_URGENT, {"gshare": "S3"})
    assert (found["priority"], nobody["priority"]) == (expected["most"], 0)
    assert "Index Only Scan using ix_jobs_live_activated" in plan
