"""The power of a core is one number for everybody who asks: shares, accounts, brokerage, rules, scouts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.accounts.usage import account_usage
from core.core_power import CORE_POWER, core_power
from core.database import Database
from core.shares.reading import read_loads
from core.shares.usage import refresh
from tests.support.builders import add_up, make_queue, report_finished, start


@pytest.mark.parametrize(
    ("stated", "power"),
    [
        (12.5, 12.5),
        ("12.5", 12.5),
        (" 8 ", 8.0),
        ("1e1", 10.0),
        (2e-1, 0.2),
        (1_000_000, 1_000_000.0),
        *((nonsense, 10.0) for nonsense in (0, -3, "0", "", "fast", "12,5", 1e9, "9" * 40, True, [12], {"x": 1}, None)),
    ],
)
def test_python_and_sql_read_the_same(shared_database: Database, stated: Any, power: float):
    assert core_power(stated) == power
    for parameters in ({"corepower": stated}, {} if stated is None else {"corepower": stated, "other": 1}):
        [row] = shared_database.fetch(
            f"SELECT {CORE_POWER} AS power FROM (SELECT %(parameters)s::jsonb AS parameters) q",
            {"parameters": json.dumps(parameters)},
        )
        assert row["power"] == power


def test_power_written_as_text_counts_alike_for_shares_and_accounts(database: Database):
    make_queue(database, parameters={"corepower": "25"})
    [panda_id] = start(database, core_count=2, gshare="")
    refresh(database)
    assert read_loads(database)[""].executing == 50.0
    database.execute("UPDATE jobs_live SET start_time = clock_timestamp() - interval '100 seconds'")
    report_finished(database, panda_id)
    add_up(database)
    database.execute("UPDATE jobs_archive SET state_change_time = state_change_time - interval '1 minute'")
    account_usage(database)
    [used] = database.fetch("SELECT power_s / wall_core_s AS power FROM usage_days")
    assert used["power"] == pytest.approx(25.0)
