"""A database that refuses requests is one trouble in the store, whoever notices first."""

from __future__ import annotations

import logging

import pytest

from api.database_troubles import DatabaseTroubles
from core.database import Database
from core.errors import Unavailable


def test_refused_requests_are_told_once_a_minute_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    database = Database("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    database.on_trouble = DatabaseTroubles(lambda: now[0]).report

    def ask(times: int) -> None:
        for _ in range(times):
            with pytest.raises(Unavailable, match="does not answer"):
                database.fetch("SELECT 1")

    with caplog.at_level(logging.ERROR, "panda.api"):
        ask(3)
        now[0] += 61
        ask(1)
    assert [record.getMessage().rpartition("(")[2] for record in caplog.records] == [
        "1 since the last report)",
        "3 since the last report)",
    ]
    assert {record.__dict__["fingerprint"] for record in caplog.records} == {"database does not answer"}


def test_a_refused_statement_of_a_request_is_no_trouble_of_the_database(shared_database: Database) -> None:
    heard: list[Unavailable] = []
    shared_database.on_trouble = heard.append
    try:
        with pytest.raises(Exception, match="division by zero"):
            shared_database.fetch("SELECT 1/0")
    finally:
        shared_database.on_trouble = None
    assert heard == []
