"""Watching: what is beyond its limit for long enough becomes an incident and ends with its cause; no false alarms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.database import Database
from core.incident_settings import IncidentSettings
from logger.agents import RuleWatcher
from logger.life import Act
from logger.rule_rows import Editor, RuleDraft, add_rule, forget, set_active
from logger.rules import RULES
from logger.rules.absence import SilentQueue
from logger.rules.base import Look, Measurement
from logger.rules.parameters import SilentQueueParameters
from logger.silences import Until, UntilKind, silence
from logger.store import IncidentStore
from logger.watching import Watcher
from tests.logger.builders import record
from tests.logger.rules.watched import NOW, Watched


@pytest.fixture
def watched(database: Database) -> Watched:
    return Watched(database)


def test_every_rule_says_what_it_is_for() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.sentence.endswith(".") and rule.kind for rule in RULES)


def test_an_empty_installation_has_no_incident(watched: Watched) -> None:
    assert [watched.look(), watched.after(minutes=5).look(), watched.after(hours=5).look()] == [0, 0, 0]
    assert watched.incidents() == []


def test_a_queue_with_work_and_no_pilot_is_told_and_ends_with_the_next_contact(watched: Watched) -> None:
    watched.job(30)
    watched.job(15)
    watched.contact(20)
    assert watched.look(only_quick=True) == 1
    (incident,) = watched.incidents()
    assert (incident["kind"], incident["computing_site"], incident["state"]) == ("absence", "CERN", "open")
    assert (incident["severity"], incident["step"]) == ("error", "service")
    assert "2 activated jobs wait" in incident["title"] and incident["culprit_line"].startswith("last request for work")
    watched.contact(0)
    assert watched.look(only_quick=True) == 1
    (incident,) = watched.incidents()
    assert (incident["state"], incident["resolved_by"]) == ("resolved", "rule silent_queue")
    activity = watched.database.fetch("SELECT who, action FROM incident_activity ORDER BY activity_id")
    assert [row["action"] for row in activity] == ["open", "resolve"]
    assert all(row["who"].startswith("rule silent_queue") for row in activity)


@pytest.mark.parametrize(("job_minutes", "contact_minutes"), [(5, 60), (30, 5), (5, None)])
def test_short_silence_is_no_trouble(watched: Watched, job_minutes: int, contact_minutes: int | None) -> None:
    watched.job(job_minutes)
    if contact_minutes is not None:
        watched.contact(contact_minutes)
    assert watched.look() == 0


def test_a_queue_that_no_pilot_ever_asked_is_told(watched: Watched) -> None:
    watched.job(11)
    watched.look()
    assert watched.incidents()[0]["culprit_line"] == "no pilot has ever asked for work here"


@pytest.mark.parametrize(("heartbeat_minutes", "told"), [(2, 0), (11, 1)])
def test_a_queue_full_of_long_jobs_is_not_silent_while_they_are_heard(
    watched: Watched, heartbeat_minutes: int, told: int
) -> None:
    watched.contact(30)
    watched.job(30)
    watched.job(30, "running")
    watched.database.execute(
        "UPDATE jobs_live SET modification_time = %(time)s WHERE job_status = 'running'",
        {"time": watched.ago(heartbeat_minutes)},
    )
    assert watched.look() == told


@pytest.mark.parametrize("status", ["offline", "paused"])
def test_a_queue_that_a_person_took_out_may_be_silent(watched: Watched, status: str) -> None:
    watched.queue(status=status)
    watched.job(30)
    watched.job(3 * 60)
    assert watched.look() == 0


def test_a_queue_whose_pilots_are_refused_has_its_incident_already(watched: Watched) -> None:
    for site in ("CERN", "BNL", "FNAL"):
        watched.job(30, site=site)
    watched.contact(0, "BNL")
    refused = [
        record("refused", fingerprint=f"pilots refused:{site}", kind="service", time=watched.now.isoformat())
        for site in ("CERN", "FNAL")
    ]
    IncidentStore(watched.database, watched.clock).ingest_records({"records": refused}, "panda")
    assert watched.look() == 0
    watched.after(minutes=20)
    assert watched.look() == 1, "of the queue that nobody refuses"
    watched.database.execute("UPDATE incidents SET state = 'resolved' WHERE fingerprint = 'v1:pilots refused:CERN'")
    assert watched.look() == 1
    assert [one["computing_site"] for one in watched.incidents() if one["kind"] == "absence"] == ["BNL", "CERN"]


def test_a_queue_without_work_may_be_silent(watched: Watched) -> None:
    watched.contact(600)
    watched.job(600, "running")
    assert watched.look() == 0


def test_the_same_silence_is_one_incident_that_stays_alive(watched: Watched) -> None:
    watched.job(30)
    watched.look()
    before = watched.incidents()[0]["last_seen"]
    assert [watched.after(seconds=30).look(), watched.after(seconds=30).look()] == [0, 0]
    (incident,) = watched.incidents()
    assert incident["last_seen"] > before and incident["record_count"] == 1


def test_nobody_can_ask_a_server_that_is_down(database: Database) -> None:
    watched = Watched(database, up_for=None)
    watched.job(600)
    watched.contact(300)
    assert watched.look() == 0, "it has just come up"
    for _ in range(8):
        assert watched.after(minutes=1).look() == 0
    watched.start()
    assert watched.after(seconds=30).look() == 0, "a quick restart is no break"
    assert watched.after(minutes=2).look() == 1, "the pilots had ten minutes to come"
    watched.after(hours=8).start()  # a night off
    assert watched.look() == 0
    assert watched.incidents()[0]["state"] == "open", "nothing has shown that it is over"
    watched.contact(0)
    assert watched.look() == 1


def test_a_computer_that_slept_has_been_down(database: Database) -> None:
    watched = Watched(database, up_for=None)
    watched.contact(1)
    watched.job(1)
    watched.look()
    assert watched.after(hours=8).look() == 0 and watched.after(minutes=1).look() == 0


def test_when_no_pilot_of_any_queue_is_heard_it_is_one_trouble(watched: Watched) -> None:
    for site in ("A", "B", "C", "D"):
        watched.job(30, site=site)
        watched.contact(20, site)
    watched.contact(15, "E")  # without work
    assert watched.look(only_quick=True) == 1
    (incident,) = watched.incidents()
    assert incident["title"].startswith("No pilot of any queue") and incident["severity"] == "critical"
    watched.contact(0, "A")
    assert watched.look(only_quick=True) == 4
    assert [title[:15] for title in watched.open()] == ["No pilot at B s", "No pilot at C s", "No pilot at D s"]


def test_long_waits_are_told_by_queue_and_state(watched: Watched) -> None:
    watched.job(61, "defined", "")
    watched.job(30, "defined", "")
    watched.job(7 * 60, "assigned", "BNL")
    watched.contact(0)
    watched.job(3 * 60, "activated", "CERN")
    assert watched.look() == 3
    assert watched.open() == [
        "1 job waits at BNL for input files that are not at the queue's storage",
        "1 job waits at CERN for a pilot with room for them",
        "1 job waits for a queue (see the brokerage of such a job for the reasons)",
    ]
    watched.database.execute("DELETE FROM jobs_live")
    assert watched.look() == 3 and watched.open() == []


def test_jobs_may_wait_longer_where_others_are_given_out(watched: Watched) -> None:
    watched.contact(0, job_minutes=1)
    watched.job(3 * 60)
    assert watched.look() == 0
    watched.job(13 * 60)
    assert watched.look() == 1


def test_an_acknowledged_incident_ends_too_but_a_reopened_one_is_peoples(watched: Watched) -> None:
    store = IncidentStore(watched.database)
    watched.job(30, site="A")
    watched.job(30, site="B")
    watched.look()
    first, second = (incident["incident_id"] for incident in watched.incidents())
    store.acknowledge(first, "ann")
    store.resolve(second, "bob", "done")
    store.reopen(second, "bob", "not yet")
    watched.database.execute("DELETE FROM jobs_live")
    watched.look()
    assert [incident["state"] for incident in watched.incidents()] == ["resolved", "reopened"]


def test_what_comes_back_reopens_as_the_settings_say(watched: Watched) -> None:
    settings = IncidentSettings(reopen_within_s=0)
    watched.watcher = Watcher(watched.database, watched.clock, settings, up_since=watched.ago(9 * 24 * 60))
    watched.job(30)
    assert watched.look() == 1
    watched.contact(0)
    assert watched.look() == 1
    watched.database.execute("UPDATE queue_contacts SET last_request_time = last_request_time - interval '1 day'")
    watched.after(seconds=30).look()
    assert [one["state"] for one in watched.incidents()] == ["resolved", "open"]


@pytest.mark.parametrize(("until", "state"), [("fixed", "resolved"), ("doubles", "silenced")])
def test_a_silenced_incident_ends_by_itself_only_when_its_end_is_what_is_waited_for(
    watched: Watched, until: UntilKind, state: str
) -> None:
    watched.job(30)
    watched.look()
    with watched.database.transaction() as transaction:
        incident_id = watched.incidents()[0]["incident_id"]
        silence(transaction, incident_id, Until(until), Act("ann", "silence"), watched.now)
    assert watched.after(seconds=30).look() == 0 and watched.incidents()[0]["state"] == "silenced"
    watched.database.execute("DELETE FROM jobs_live")
    watched.look()
    assert watched.incidents()[0]["state"] == state


def test_other_rules_incidents_are_left_alone(watched: Watched) -> None:
    time = (NOW - timedelta(hours=1)).isoformat()
    IncidentStore(watched.database).ingest_records({"records": [{"time": time, "level": "ERROR", "message": "x"}]}, "x")
    watched.look()
    assert watched.incidents()[0]["state"] == "open"


class Steps(SilentQueue):
    """A rule that measures what the test says."""

    value: float = 0.0
    trouble: Callable[[], None] = staticmethod(lambda: None)

    def measure(self, look: Look, parameters: SilentQueueParameters) -> list[Measurement]:
        self.trouble()
        return [Measurement("x", self.value, parameters.limit_s, "x is late", "One x.")]


@pytest.fixture
def steps(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> type[Steps]:
    monkeypatch.setattr(Steps, "value", 0.0)
    monkeypatch.setattr("tests.logger.rules.watched.MEASURES", (Steps,))
    watched.start()
    return Steps


def test_a_value_must_be_beyond_its_limit_for_long_enough_without_a_break(watched: Watched, steps: type[Steps]) -> None:
    watched.limits("silent_queue", for_s=60, limit_s=10)
    seen = []
    for seconds, value in ((0, 10), (40, 11), (10, 9), (10, 12), (50, 12), (20, 12), (10, 9)):
        steps.value = value
        seen.append(watched.after(seconds=seconds).look())
    assert seen == [0, 0, 0, 0, 0, 1, 1]


def test_an_incident_ends_only_when_the_value_is_clearly_within_its_limit(watched: Watched, steps: type[Steps]) -> None:
    watched.limits("silent_queue", clear_part=0.5, limit_s=10)
    seen = []
    for value in (9, 10, 9, 6, 5, 4, 9):
        steps.value = value
        seen.append(watched.after(seconds=30).look())
    assert seen == [0, 1, 0, 0, 0, 1, 0]
    assert watched.incidents()[0]["resolution"] == "it is over: 4 s, the limit is 10"


def test_a_restart_does_not_begin_the_count_anew_nor_shorten_it(watched: Watched, steps: type[Steps]) -> None:
    watched.limits("silent_queue", for_s=1200, limit_s=10)
    steps.value = 20
    assert watched.look() == 0  # 12:02
    for _ in range(3):
        assert watched.after(minutes=5).look() == 0
    watched.start()
    assert watched.after(minutes=5).look() == 0  # 12:22, of which 12:05 to now is certain
    assert watched.after(minutes=3, seconds=1).look() == 1


def test_a_rule_that_fails_is_told_once_and_stops_no_other(
    watched: Watched, steps: type[Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ValueError("a queue without a name")

    steps.trouble = staticmethod(broken)
    monkeypatch.setattr(
        "tests.logger.rules.watched.MEASURES", (Steps, *[type(r) for r in RULES if r.name == "agents_late"])
    )
    watched.start()
    watched.database.execute(
        "INSERT INTO agent_runs (name, host, last_run, next_run) VALUES ('adder', 'n1', %(now)s, %(due)s)",
        {"now": watched.ago(5), "due": watched.ago(4)},
    )
    assert [watched.look(), watched.look(), watched.look()] == [2, 0, 0]
    assert [one["fingerprint"] for one in watched.incidents()] == ["v1:rule fails:silent_queue", "v1:agents_late:adder"]
    assert watched.incidents()[0]["culprit_line"] == "ValueError: a queue without a name"
    before = watched.incidents()[0]["last_seen"]
    assert watched.after(minutes=6).look() == 0
    failing = watched.incidents()[0]
    assert failing["last_seen"] > before and failing["record_count"] == 1, "it goes on"
    steps.trouble = staticmethod(lambda: None)
    watched.start()  # another process finds it working
    assert watched.look() == 1 and watched.incidents()[0]["state"] == "resolved"


def test_a_statement_that_takes_too_long_is_cut_off(watched: Watched, steps: type[Steps], monkeypatch: Any) -> None:
    def slow(self: Steps, look: Look, parameters: SilentQueueParameters) -> list[Measurement]:
        look.transaction.execute("SET LOCAL statement_timeout = '20ms'")
        look.transaction.fetch("SELECT pg_sleep(5)")
        return []

    monkeypatch.setattr(Steps, "measure", slow)
    assert watched.look() == 1
    assert watched.incidents()[0]["error_class"] == "database"


def test_incidents_of_a_rule_that_is_turned_off_end(watched: Watched) -> None:
    watched.job(30)
    watched.look()
    (rule,) = watched.database.fetch("SELECT rule_id, version FROM incident_rules WHERE name = 'silent_queue'")
    set_active(watched.database, rule["rule_id"], rule["version"], False, Editor("ann"))
    assert watched.look() == 1
    (incident,) = watched.incidents()
    assert (incident["state"], incident["resolution"]) == ("resolved", "the rule is not in force any more")


def test_two_rules_of_one_evaluator_have_their_own_limits_and_queues(watched: Watched) -> None:
    draft = RuleDraft(
        "cern_silent", "silent_queue", parameters={"limit_s": 120, "queues": "CERN*"}, severity_floor="critical"
    )
    add_rule(watched.database, draft, Editor("ann"))
    watched.limits("silent_queue", queues="!CERN*")
    watched.job(5, site="CERN")
    watched.job(5, site="BNL")
    assert watched.look() == 1
    (incident,) = watched.incidents()
    assert (incident["fingerprint"], incident["severity"]) == ("v1:cern_silent:CERN", "critical")


def test_what_gets_worse_is_told_again_unless_a_person_decided(
    watched: Watched, steps: type[Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    severity = "error"

    def measure(self: Steps, look: Look, parameters: SilentQueueParameters) -> list[Measurement]:
        return [Measurement("x", 11, 10, "x", "One x.", severity=severity)]  # type: ignore[arg-type]

    monkeypatch.setattr(Steps, "measure", measure)
    watched.look()
    severity = "critical"
    watched.after(seconds=30).look()
    watched.after(seconds=30).look()
    (incident,) = watched.incidents()
    changes = watched.database.fetch("SELECT what FROM incident_changes ORDER BY change_seq")
    assert incident["severity"] == "critical" and [row["what"] for row in changes] == ["opened", "worse"]


def test_what_is_measured_is_kept_by_five_minutes_the_worst_first(watched: Watched, steps: type[Steps]) -> None:
    for value in (3, 700, 5):
        steps.value = value
        watched.after(seconds=31).look()
    steps.value = 8
    watched.after(minutes=5).look()
    rows = watched.database.fetch("SELECT * FROM watch_samples ORDER BY bin_time")
    assert [(row["rule_name"], row["subject"], row["value"]) for row in rows] == [
        ("silent_queue", "x", 700),
        ("silent_queue", "x", 8),
    ]
    watched.after(days=31).look()
    assert len(watched.database.fetch("SELECT * FROM watch_samples")) == 1


def test_the_watcher_of_another_process_sees_edits(watched: Watched) -> None:
    watched.job(5)
    assert watched.look() == 0
    watched.limits("silent_queue", limit_s=60)
    forget(watched.database)
    assert watched.look() == 1


def test_a_rule_that_costs_much_is_looked_at_more_seldom(watched: Watched, steps: type[Steps]) -> None:
    looks, moment = [], [0.0]

    def measure() -> None:
        looks.append(moment[0])
        moment[0] += 1.0

    steps.trouble = staticmethod(measure)
    watcher = Watcher(watched.database, watched.clock, measures=[steps()], up_since=NOW, timer=lambda: moment[0])
    for _ in range(12):
        watcher.look(only_quick=True)
        moment[0] += 1.0
    watcher.look()
    steps.trouble = staticmethod(lambda: None)
    assert looks == [0.0, 10.0, 14.0], "a second of ten, and with every full look"


def test_the_agent_looks_by_the_quick_rules_each_time_and_by_all_now_and_then(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    agent = RuleWatcher(database, lambda: NOW, IncidentSettings())
    monkeypatch.setattr(agent._watcher, "look", lambda *, only_quick: looks.append(only_quick))
    moments = iter((0.0, 2.0, 28.0, 31.0, 33.0))
    monkeypatch.setattr("logger.agents.time.monotonic", lambda: next(moments))
    assert [agent.cycle() for _ in range(5)] == [0] * 5
    assert looks == [False, True, True, False, True]
