"""Limits that operators write past every door: the table refuses what would stop submissions and the account keeper."""

from __future__ import annotations

import psycopg2
import pytest

from core.accounts.limits import read_limits

UNSOUND = [
    *(("max_running_jobs", -1), ("max_active_tasks", -1), ("cpu_hours_1d", 10**13), ("jobs_per_priority_point", -1)),
    *(("boost_priority", 2**62), ("quota_mode", "shout"), ("kind", "team")),
    *(("banned_until", "20000-01-01"), ("boost_until", "infinity"), ("banned_until", "0001-01-01 BC")),
]


@pytest.mark.parametrize(("column", "value"), UNSOUND)
def test_a_limit_that_nobody_can_read_cannot_be_written(database, column, value):
    database.execute("INSERT INTO account_limits (kind, name, max_running_jobs) VALUES ('user', 'alice', 5)")
    before = read_limits(database).decided
    with pytest.raises(psycopg2.DatabaseError):
        database.execute(f"UPDATE account_limits SET {column} = %(value)s", {"value": value})
    assert read_limits(database).decided == before
