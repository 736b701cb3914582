"""News of factories is kept for its time and no longer."""

from __future__ import annotations

import pytest

from core.agents.factory_news import FactoryNews
from core.database import Database
from core.harvester.retention import RULES
from core.harvester.states import WorkerStatus
from core.harvester.workers import WorkerReport, update_workers

_ADD = {
    "harvester_worker_jobs": "(harvester_id, worker_id, panda_id, {column}) VALUES ('h', {n}, 1, {time})",
    "harvester_worker_counts": (
        "(computing_site, harvester_id, job_type, resource_type, status, {column}) VALUES ('q', 'h', 'u', 's', '{n}', {time})"
    ),
    "harvester_dialogs": "(harvester_id, diag_id, {column}) VALUES ('h', {n}, {time})",
    "harvester_service_metrics": "(harvester_id, host_name, {column}) VALUES ('h', '{n}', {time})",
    "harvester_commands": "(harvester_id, {column}) VALUES ('{n}', {time})",
    "harvester_slots": "(computing_site, gshare, resource_type, {column}) VALUES ('{n}', '', '', {time})",
    "worker_nodes": "(site, host_name, cpu_model, {column}) VALUES ('s', '{n}', 'c', {time})",
    "worker_node_queues": "(site, host_name, queue_name, {column}) VALUES ('s', '{n}', 'q', {time})",
    "worker_node_gpus": "(site, host_name, vendor, model, {column}) VALUES ('s', '{n}', 'v', 'm', {time})",
}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.table in _ADD], ids=lambda rule: rule.table)
def test_what_is_too_old_goes_and_the_rest_stays(database: Database, rule):
    for number, age in enumerate((rule.days * 24 - 1, rule.days * 24 + 1)):
        time = f"clock_timestamp() - interval '{age} h'"
        database.execute(
            f"INSERT INTO {rule.table} " + _ADD[rule.table].format(column=rule.column, n=number, time=time)
        )
    agent = FactoryNews(database, 1)
    assert (agent.cycle(), agent.cycle()) == (1, 0)
    assert len(database.fetch(f"SELECT 1 FROM {rule.table}")) == 1


def test_live_workers_nobody_speaks_of_go_before_ended_ones(database: Database):
    update_workers(database, "h", [WorkerReport(1, WorkerStatus.RUNNING), WorkerReport(2, WorkerStatus.FINISHED)])
    for days, left in ((13, [1, 2]), (2, [2]), (44, [2]), (2, [])):
        database.execute(
            "UPDATE harvester_workers SET last_update = last_update - make_interval(days => %(d)s)", {"d": days}
        )
        FactoryNews(database, 1).cycle()
        assert [
            row["worker_id"] for row in database.fetch("SELECT worker_id FROM harvester_workers ORDER BY 1")
        ] == left
