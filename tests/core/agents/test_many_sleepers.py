"""More tasks that the engine lost sight of than are woken at once: none is ended while it has input."""

from __future__ import annotations

import pytest

from core.agents import task_watchdog
from core.agents.task_watchdog import TaskWatchdog
from core.database import Database
from core.workload_settings import TaskTimes
from tests.core.taskengine.rows import insert_files, insert_task, task_row


def test_a_task_with_ready_input_is_woken_and_never_ended(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task_watchdog, "_BATCH", 1)
    sleepers = [insert_task(database, n_files=2, n_files_finished=1) for _ in range(3)]
    for task_id in sleepers:
        insert_files(database, task_id, ["finished", "ready"])
    for _ in sleepers:
        TaskWatchdog(database, TaskTimes(), 1, stranded_s=0.0).cycle()
        assert {task_row(database, task_id)["status"] for task_id in sleepers} == {"running"}
    assert all(task_row(database, task_id)["generate_at"] is not None for task_id in sleepers)
