"""A mail server or sender that cannot be: letters wait for somebody to mend the settings, and say what is wrong."""

from __future__ import annotations

import pytest

from core.agents.notices import Notices
from core.database import Database
from core.workload_settings import MailSettings
from tests.core.taskengine.rows import insert_task
from tests.support.mail import smtp_sink


def tell(database: Database, **settings: str) -> None:
    Notices(database, MailSettings(**{"domain": "example.org", **settings}), 1).cycle()


def ended(database: Database) -> None:
    task_id = insert_task(database, status="done")
    database.execute("UPDATE tasks SET end_time = clock_timestamp() WHERE jedi_task_id = %(id)s", {"id": task_id})


@pytest.mark.parametrize("server", ["localhost:99999", f"{'a' * 70}.example.org", "no such host:25"])
def test_a_server_that_cannot_be_is_tried_again_when_it_may_have_been_mended(database: Database, server: str):
    ended(database)
    tell(database, server=server)
    [notice] = database.fetch("SELECT * FROM task_notices")
    assert (notice["state"], notice["attempts"]) == ("waiting", 1)
    assert notice["last_error"]


def test_a_sender_that_no_letter_can_have_is_said(database: Database):
    ended(database)
    with smtp_sink() as sink:
        tell(database, server=sink.address, sender="pändä@localhost")
        assert sink.letters == []
    [notice] = database.fetch("SELECT * FROM task_notices")
    assert notice["state"] == "waiting"
    assert notice["last_error"]
