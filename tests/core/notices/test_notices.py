"""Owners hear of the end of their tasks: once, by letter where one can be sent, whatever is stopped or away."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from core.agents.notices import Notices
from core.database import Database, Row
from core.notices import outbox
from core.workload_settings import MailSettings
from tests.core.taskengine.rows import insert_task, task_row
from tests.support.builders import add_up, broker, jobs_of_task, make_queue, make_task, put_into, report_finished
from tests.support.mail import Sink, smtp_sink
from tests.support.system import eventually


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


@pytest.fixture(autouse=True)
def no_news_of_others(site: Database) -> None:
    site.execute("UPDATE tasks SET announced_end = end_time")
    site.execute("UPDATE tasks SET status = 'aborted' WHERE status = 'exhausted'")
    site.execute("DELETE FROM task_notices")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with smtp_sink() as sink:
        yield sink


def tell(database: Database, sink: Sink | None, **settings: str) -> int:
    """One cycle of the agent."""
    server = sink.address if sink is not None else ""
    return Notices(database, MailSettings(server=server, **{"domain": "example.org", **settings}), 1).cycle()


def ended(database: Database, status: str = "done", **columns: object) -> int:
    """A task that has just ended."""
    task_id = insert_task(database, status=status, **columns)
    database.execute("UPDATE tasks SET end_time = clock_timestamp() WHERE jedi_task_id = %(id)s", {"id": task_id})
    return task_id


def exhaust(database: Database, task_id: int) -> None:
    database.execute("UPDATE tasks SET status = 'exhausted' WHERE jedi_task_id = %(id)s", {"id": task_id})
    database.execute(
        "INSERT INTO task_history (jedi_task_id, previous_status, status, who, reason) "
        "VALUES (%(id)s, 'scouting', 'exhausted', 'scouts', 'only 2 of 10 scouts succeeded')",
        {"id": task_id},
    )


def notices(database: Database, task_id: int) -> list[Row]:
    statement = "SELECT * FROM task_notices WHERE jedi_task_id = %(id)s ORDER BY notice_id"
    return database.fetch(statement, {"id": task_id})


def test_the_owner_of_a_task_gets_one_letter_when_it_ends(site, sink, caplog):
    task_id = make_task(site, taskName="user.alice.count")
    while broker(site):
        pass
    assert tell(site, sink) == 0
    [panda_id] = jobs_of_task(site, task_id)
    put_into(site, panda_id, "running")
    report_finished(site, panda_id)
    add_up(site)
    with caplog.at_level(logging.INFO):
        assert tell(site, sink) == 2
    [letter] = sink.letters
    assert (letter["To"], letter["From"]) == ("alice@example.org", "pandascope@localhost")
    assert sink.recipients == ["alice@example.org"]
    assert letter["Subject"] == f"Task {task_id} is done: user.alice.count"
    text = letter.get_content()
    assert "input files: 1, of which 1 succeeded and 0 failed" in text
    assert "jobs: 1, of which 1 finished" in text
    assert f"task {task_id} of alice is done, alice@example.org is told" in caplog.text
    assert tell(site, sink) == 0
    assert len(sink.letters) == 1
    assert [row["state"] for row in notices(site, task_id)] == ["sent"]


def test_a_task_that_ends_again_is_told_again(site, sink):
    task_id = ended(site, "finished")
    tell(site, sink)
    site.execute("UPDATE tasks SET status = 'running', end_time = NULL WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert tell(site, sink) == 0
    site.execute(
        "UPDATE tasks SET status = 'done', end_time = clock_timestamp() WHERE jedi_task_id = %(id)s", {"id": task_id}
    )
    tell(site, sink)
    assert [letter["Subject"].split(":")[0] for letter in sink.letters] == [
        f"Task {task_id} is finished",
        f"Task {task_id} is done",
    ]


def test_an_exhausted_task_asks_for_a_decision_every_time(site, sink):
    task_id = insert_task(site)
    for _ in range(2):
        exhaust(site, task_id)
        tell(site, sink)
        tell(site, sink)
        site.execute("UPDATE tasks SET status = 'running' WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert len(sink.letters) == 2
    assert sink.letters[0]["Subject"].startswith(f"Task {task_id} waits for your decision")
    assert "why: only 2 of 10 scouts succeeded" in sink.letters[0].get_content()


@pytest.mark.parametrize("where", ["parameters", "split_rule"])
def test_who_wants_no_mail_gets_none(site, sink, where, caplog):
    task_id = ended(site, **{where: {"noEmail": True}})
    with caplog.at_level(logging.INFO):
        assert tell(site, sink) == 1
    assert sink.connections == 0
    assert f"task {task_id} of alice is done" in caplog.text


def test_without_a_server_the_end_is_in_the_log_and_nothing_is_kept_for_later(site, sink, caplog):
    task_id = ended(site)
    with caplog.at_level(logging.INFO):
        tell(site, None)
    assert f"task {task_id} of alice is done" in caplog.text
    assert tell(site, sink) == 0
    assert notices(site, task_id) == []


def test_a_name_that_is_no_address_gets_no_letter(site, sink):
    ended(site, user_name="Test User")
    assert tell(site, sink) == 1
    assert sink.connections == 0


def test_a_server_that_is_away_is_tried_again_later_each_time(site, sink):
    task_id = ended(site)
    assert tell(site, Sink(address="127.0.0.1:1")) == 1
    waits = []
    for _ in range(3):
        [notice] = notices(site, task_id)
        assert (notice["state"], bool(notice["last_error"])) == ("waiting", True)
        waits.append(
            site.fetch("SELECT extract(epoch FROM next_try_time - clock_timestamp()) AS s FROM task_notices")[0]["s"]
        )
        site.execute("UPDATE task_notices SET next_try_time = clock_timestamp()")
        tell(site, Sink(address="127.0.0.1:1"))
    assert waits == sorted(waits) and waits[-1] > 3 * waits[0]
    site.execute("UPDATE task_notices SET next_try_time = clock_timestamp()")
    assert tell(site, sink) == 1
    assert len(sink.letters) == 1


def test_a_letter_is_given_up_after_many_attempts(site, caplog):
    task_id = ended(site)
    tell(site, Sink(address="127.0.0.1:1"))
    site.execute(
        "UPDATE task_notices SET attempts = %(most)s, next_try_time = clock_timestamp()", {"most": outbox.MOST_ATTEMPTS}
    )
    with caplog.at_level(logging.WARNING):
        tell(site, Sink(address="127.0.0.1:1"))
    assert [row["state"] for row in notices(site, task_id)] == ["failed"]
    assert "was given up after" in caplog.text


@pytest.mark.parametrize(
    ("command", "answer", "state"),
    [
        ("MAIL", b"451 busy", "waiting"),
        ("RCPT", b"450 try later", "waiting"),
        ("RCPT", b"550 nobody here", "failed"),
        ("DATA", b"452 full", "waiting"),
        ("DATA", b"554 no", "failed"),
        ("END", b"451 disk full", "waiting"),
        ("END", b"554 spam", "failed"),
    ],
)
def test_what_the_server_says_decides_whether_it_is_asked_again(site, sink, command, answer, state):
    task_id = ended(site)
    sink.answers[command] = answer
    tell(site, sink)
    [notice] = notices(site, task_id)
    assert notice["state"] == state
    assert answer.decode()[:3] in notice["last_error"]


def test_a_letter_that_may_have_arrived_is_not_sent_twice(site, sink):
    task_id = ended(site)
    sink.hangs_up_after_letter = True
    tell(site, sink)
    assert [row["state"] for row in notices(site, task_id)] == ["lost"]
    sink.hangs_up_after_letter = False
    tell(site, sink)
    assert len(sink.letters) == 1


def test_a_sender_that_was_killed_in_the_middle_sends_nothing_twice(site, sink, caplog):
    task_id = ended(site)
    outbox.take_news(site, MailSettings(server=sink.address, domain="example.org"))
    assert outbox.claim(site) is not None
    # kill -9 here; whether the server took it is not known
    assert tell(site, sink) == 0
    assert [row["state"] for row in notices(site, task_id)] == ["sending"]
    site.execute("UPDATE task_notices SET next_try_time = clock_timestamp()")
    with caplog.at_level(logging.WARNING):
        tell(site, sink)
    assert [row["state"] for row in notices(site, task_id)] == ["lost"]
    assert "may not have arrived" in caplog.text
    assert sink.letters == []


_ONE_CYCLE = """
import sys
from core.agents.notices import Notices
from core.database import Database
from core.workload_settings import MailSettings
Notices(Database(sys.argv[1]), MailSettings(server=sys.argv[2], domain="example.org"), 1).cycle()
"""


def test_kill_9_while_the_server_has_the_letter_sends_it_once(site, sink):
    task_id = ended(site)
    sink.holds_after_letter = threading.Event()
    sender = subprocess.Popen([sys.executable, "-c", _ONE_CYCLE, site.url, sink.address])
    eventually(lambda: sink.letters, what="the letter is at the server")
    sender.kill()
    sender.wait()
    sink.holds_after_letter.set()
    sink.holds_after_letter = None
    site.execute("UPDATE task_notices SET next_try_time = clock_timestamp()")
    tell(site, sink)
    tell(site, sink)
    assert len(sink.letters) == 1
    assert [row["state"] for row in notices(site, task_id)] == ["lost"]


def test_news_that_were_not_taken_before_a_crash_are_taken_after_it(site, sink):
    """The end itself is the mark: nothing has to be written beside it."""
    task_id = ended(site)
    assert task_row(site, task_id)["announced_end"] is None
    tell(site, sink)
    assert task_row(site, task_id)["announced_end"] == task_row(site, task_id)["end_time"]
    assert len(sink.letters) == 1


def test_odd_names_of_tasks_make_no_header(site, sink):
    ended(site, task_name="user.alice.x\r\nBcc: everybody@example.org \U0001f43c/")
    tell(site, sink)
    [letter] = sink.letters
    assert letter["Bcc"] is None
    assert sink.recipients == ["alice@example.org"]
    assert "\U0001f43c" in letter["Subject"]


def test_ends_of_many_tasks_are_found_without_reading_all(site):
    with site.transaction() as transaction:
        transaction.execute("SET LOCAL enable_seqscan = off")
        plan = transaction.fetch(
            "EXPLAIN SELECT jedi_task_id FROM tasks t WHERE t.end_time IS NOT NULL "
            "AND t.end_time IS DISTINCT FROM t.announced_end ORDER BY t.jedi_task_id LIMIT 100"
        )
    assert "ix_tasks_news" in str(plan)
