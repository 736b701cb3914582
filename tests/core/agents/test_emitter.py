"""The emitter: one batch of topics per cycle, nothing lost, everybody notified."""

from __future__ import annotations

import threading

import pytest

from core.agents.emitter import ChangeEmitter
from core.change_signals import CHANNEL
from core.database import Database
from core.errors import Unavailable


def topics(database: Database) -> list[list[str]]:
    return [row["topics"] for row in database.fetch("SELECT topics FROM change_signals ORDER BY seq")]


@pytest.fixture
def emitter(database):
    emitter = ChangeEmitter(database, 0.25)
    emitter.cycle()
    database.execute("DELETE FROM change_signals")
    return emitter


def record(database, panda_id, status="running", task=None):
    database.execute(
        "INSERT INTO job_history (panda_id, job_status, jedi_task_id) VALUES (%(id)s, %(status)s, %(task)s)",
        {"id": panda_id, "status": status, "task": task},
    )


def test_changes_of_one_cycle_are_one_signal(database, emitter):
    record(database, 17, task=10_000_000)
    record(database, 17)
    record(database, 18)
    assert emitter.cycle() == 0
    assert topics(database) == [["job:17", "job:18", "jobs", "queues", "task:10000000", "tasks"]]
    emitter.cycle()
    assert len(topics(database)) == 1


def test_the_first_emitter_tells_readers_to_read_everything(database):
    record(database, 1)
    ChangeEmitter(database, 0.25).cycle()
    assert topics(database)[0] == ["*"]


def test_a_successor_signals_what_changed_in_between(database, emitter):
    record(database, 17)
    emitter.cycle()
    record(database, 18)
    ChangeEmitter(database, 0.25).cycle()
    assert "job:18" in topics(database)[-1] and "*" not in topics(database)[-1]


def test_any_change_of_an_incident_is_signalled_and_its_jobs_again(database, emitter):
    record(database, 17, "failed")
    emitter.cycle()
    database.execute("INSERT INTO incidents (incident_id, title) VALUES (5, 'boom')")
    database.execute("INSERT INTO incident_jobs (panda_id, incident_id) VALUES (17, 5)")
    emitter.cycle()
    assert topics(database)[-1] == ["incident:5", "incidents", "job:17", "jobs"]
    database.execute("UPDATE incidents SET owner = 'Ada' WHERE incident_id = 5")
    emitter.cycle()
    assert topics(database)[-1] == ["incident:5", "incidents"]


def test_many_changes_are_cut_into_signals_of_a_thousand_topics(database, emitter):
    database.execute("INSERT INTO job_history (panda_id, job_status) SELECT i, 'sent' FROM generate_series(1, 2500) i")
    emitter.cycle()
    signals = topics(database)
    assert [len(signal) for signal in signals] == [1000, 1000, 502]
    assert {topic for signal in signals for topic in signal} >= {f"job:{i}" for i in range(1, 2501)}


def test_a_signal_that_could_not_be_stored_is_stored_later(database, emitter):
    record(database, 17)
    database.execute("ALTER TABLE change_signals RENAME TO away")
    with pytest.raises(Exception, match="change_signals"):
        emitter.cycle()
    database.execute("ALTER TABLE away RENAME TO change_signals")
    emitter.cycle()
    assert "job:17" in topics(database)[-1]


def test_listeners_are_notified_with_the_number_of_the_signal(database, database_url, emitter):
    door, heard, listening = Database(database_url), [], threading.Event()

    def listen():
        try:
            for payloads in door.listen(CHANNEL, 0.05):
                listening.set()
                heard.extend(payloads)
                if heard:
                    return
        except Unavailable:
            return

    thread = threading.Thread(target=listen)
    thread.start()
    assert listening.wait(30)
    record(database, 17)
    emitter.cycle()
    thread.join(30)
    door.close()
    newest = database.fetch_one("SELECT max(seq) AS seq FROM change_signals")
    assert heard == [str(newest["seq"])]


def test_what_commands_do_to_a_task_is_signalled(database, emitter):
    step = "INSERT INTO task_history (jedi_task_id, previous_status, status) VALUES (10000007, 'running', 'paused')"
    database.execute(step)
    emitter.cycle()
    assert topics(database)[-1] == ["task:10000007", "tasks"]
    count = len(topics(database))
    emitter.cycle()
    assert len(topics(database)) == count


def test_a_candidate_tells_of_its_jobs_and_not_of_itself(database, emitter):
    record(database, 17, "failed")
    emitter.cycle()
    database.execute("INSERT INTO incidents (incident_id, state) VALUES (5, 'candidate')")
    database.execute("INSERT INTO incident_jobs (panda_id, incident_id) VALUES (17, 5)")
    for _ in range(4):
        emitter.cycle()
    assert topics(database)[-1] == ["job:17", "jobs"]
    database.execute("UPDATE incidents SET state = 'resolved' WHERE incident_id = 5")  # it lapsed
    for _ in range(4):
        emitter.cycle()
    assert topics(database)[-1] == ["job:17", "jobs"]
    database.execute("UPDATE incidents SET state = 'open', opened_time = now() WHERE incident_id = 5")
    emitter.cycle()
    assert topics(database)[-1] == ["incident:5", "incidents"]


@pytest.mark.parametrize(
    ("statement", "topic"),
    [
        ("INSERT INTO silences (incident_id, until_kind) VALUES (5, 'doubles')", "silences"),
        ("INSERT INTO deeds (action) VALUES ('retry')", "deeds"),
        ("UPDATE incident_rules SET version = version + 1", "rules"),
        ("INSERT INTO shifts (name, start_time) VALUES ('ops', now())", "shift"),
        ("INSERT INTO shift_notes (shift_id, text) VALUES (1, 'calm')", "shift"),
        ("INSERT INTO notice_routes (name) VALUES ('ops')", "notices"),
        ("INSERT INTO incident_notices (route_id, incident_id, change_seq) VALUES (1, 5, 1)", "notices"),
        ("INSERT INTO agent_runs (name, last_run) VALUES ('adder', now())", "agents"),
    ],
)
def test_what_people_do_and_hear_is_signalled(database, emitter, statement, topic):
    database.execute(statement)
    for _ in range(4):
        emitter.cycle()
    assert topics(database) == [[topic]]


def test_a_queue_that_changed_is_named(database, emitter):
    database.execute("INSERT INTO queues (queue_name) VALUES ('CERN')")
    for _ in range(8):
        emitter.cycle()
    assert topics(database) == [["queue:CERN", "queues"]]
