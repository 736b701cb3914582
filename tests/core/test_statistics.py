"""The counts of ended jobs read the window they are asked for, not the history."""

from __future__ import annotations

import pytest

from core import statistics
from core.database import Database
from core.statistics import ANALYSIS_LABELS, job_counts_by_cloud, job_counts_by_site

_FILL = """
INSERT INTO jobs_archive (panda_id, job_status, computing_site, prod_source_label, state_change_time)
SELECT n, 'finished', 'Q' || n % 50, 'user', clock_timestamp() - make_interval(mins => n)
FROM generate_series(1, 100000) AS n
"""


@pytest.fixture(scope="module")
def history(shared_database: Database) -> Database:
    """100 000 jobs that ended one a minute."""
    shared_database.execute(_FILL)
    shared_database.execute("ANALYZE jobs_archive")
    return shared_database


def plan_of(database: Database, statement: str, **parameters: object) -> str:
    bound = {"since": "2000-01-01", "labels": list(ANALYSIS_LABELS), "no_cloud": "", **parameters}
    return "\n".join(row["QUERY PLAN"] for row in database.fetch("EXPLAIN " + statement, bound))


@pytest.mark.parametrize("statement", [statistics._BY_SITE, statistics._BY_CLOUD], ids=["by site", "by cloud"])
@pytest.mark.parametrize("minutes", [720, 10_080])
def test_a_window_is_read_by_an_index_on_the_time(history, statement, minutes):
    since = statistics._since(minutes, statistics.utc_now)
    plan = plan_of(history, statement, since=since)
    scans = [line for line in plan.splitlines() if "Scan" in line and "jobs_archive" in line]
    assert any("state_change_time" in line for line in scans), plan
    assert not [line for line in scans if "Seq Scan" in line and "rows=1 " not in line and "rows=0 " not in line], plan


def test_the_counts_are_those_of_the_window(history):
    assert sum(row["job_count"] for row in job_counts_by_site(history, 100)) == pytest.approx(100, abs=2)
    assert sum(row["job_count"] for row in job_counts_by_cloud(history, ANALYSIS_LABELS)) == pytest.approx(720, abs=2)
