"""Tasks whose rows somebody damaged by hand: they are told, and the others go on."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest

from core.agents import core_agents, scouts
from core.configuration import Settings
from core.database import Database
from core.workload_settings import ScoutSettings
from tests.core.taskengine.rows import task_row
from tests.core.taskengine.submitting import run
from tests.support.builders import jobs_of_task, make_queue, make_task

DAMAGE = (
    *("parameters = '{}'", "split_rule = '{\"goal\": []}'", 'split_rule = \'{"ramCount": [1], "site": 5}\''),
    'measured = \'{"scouts": {"finished": "many"}}\'',
)


@pytest.mark.parametrize("column", ["parameters", "split_rule", "measured"])
def test_what_is_no_dictionary_cannot_be_written(database: Database, column: str) -> None:
    make_queue(database)
    make_task(database)
    with pytest.raises(psycopg2.errors.CheckViolation):
        database.execute(f"UPDATE tasks SET {column} = '[]'")


@pytest.mark.parametrize(
    "status", ["scouting", "ready", "running", "defined", "pending", "topreprocess", "preprocessing"]
)
def test_a_damaged_task_keeps_no_agent_from_the_others(database: Database, tmp_path: Path, status: str) -> None:
    make_queue(database)
    broken = [make_task(database, nJobs=20, useScout=True) for _ in DAMAGE]
    for task_id, damage in zip(broken, DAMAGE, strict=True):
        database.execute(
            f"UPDATE tasks SET {damage}, status = %(status)s, generate_at = clock_timestamp() WHERE jedi_task_id = %(id)s",
            {"status": status, "id": task_id},
        )
    sound = make_task(database, nJobs=30)
    database.execute("UPDATE tasks SET generate_at = clock_timestamp() WHERE generate_at IS NOT NULL")
    names = (
        *("feeder", "generator", "scouts", "setupper", "task_watchdog", "account_keeper", "notices", "watchdog"),
        "preprocessor",
    )
    for agent in core_agents(database, Settings(data=tmp_path)):
        if agent.name in names:
            agent.cycle()
    assert task_row(database, sound)["n_jobs"] == 30


def test_scouts_are_judged_when_somebody_has_mended_their_task(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_queue(database)
    task_id = make_task(database, nJobs=20, useScout=True)
    run(database, *jobs_of_task(database, task_id))
    database.execute("UPDATE tasks SET split_rule = '{\"goal\": []}'")
    monkeypatch.setattr(scouts, "_AGAIN_S", 0.0)
    agent = scouts.Scouts(database, ScoutSettings(), 1)
    assert agent.cycle() == 0
    assert task_row(database, task_id)["status"] == "scouting"
    database.execute("UPDATE tasks SET split_rule = '{}'")
    assert agent.cycle() == 1
    assert task_row(database, task_id)["status"] == "running"
