"""Tasks that read very many datasets: what a bunch of jobs costs does not grow with how many of them are through."""

from __future__ import annotations

from typing import Any

import pytest

from core.database import Database, Row, Transaction
from core.taskengine.dialects.definition import InputStream
from core.taskengine.making.ready_input import least_used, ready_files
from tests.core.taskengine.rows import insert_files, insert_task

DATASETS = 40


def test_the_first_ready_files_are_found_with_one_question(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id = insert_task(database)
    for _ in range(DATASETS):
        insert_files(database, task_id, ["finished", "finished"], stream="IN")
    for number in range(3):
        insert_files(database, task_id, ["running", "ready", "ready"], stream="IN", name=f"left{number}")
    asked = questions(monkeypatch)
    with database.transaction() as transaction:
        found = ready_files(transaction, task_id, 5)
    assert [(file.dataset, file.position) for file in found] == [
        *(("left0", 2), ("left0", 3), ("left1", 2), ("left1", 3), ("left2", 2)),
    ]
    assert len(asked) == 1


def test_of_many_secondary_datasets_no_more_is_read_than_is_taken(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = insert_task(database)
    for _ in range(DATASETS):
        insert_files(database, task_id, ["ready"] * 3, stream="SEC", is_master=False, n_files=3)
    database.execute("UPDATE task_files SET attempt_nr = 1 WHERE position < 3")
    asked = questions(monkeypatch)
    with database.transaction() as transaction:
        stream = InputStream("SEC", "input", ("many",), "jobParameters")
        found, total = least_used(transaction, task_id, stream, DATASETS + 1)
    assert [file.attempt_nr for file in found] == [0] * DATASETS + [1]
    assert found[-1].position == 1
    assert total == 3 * DATASETS
    assert len(asked) == 2
    assert sum(len(rows) for rows in asked) == DATASETS + 2


def questions(monkeypatch: pytest.MonkeyPatch) -> list[list[Row]]:
    """What the database answers from now on."""
    answers: list[list[Row]] = []
    fetch = Transaction.fetch

    def noted(self: Transaction, *words: Any, **how: Any) -> list[Row]:
        answers.append(fetch(self, *words, **how))
        return answers[-1]

    monkeypatch.setattr(Transaction, "fetch", noted)
    return answers
