"""From a change to a receiver on loopback, with a held clock: once each, late but together, quiet where it must be."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest

from core.database import Database
from core.states import IncidentState
from logger.life import Act, change, touch
from logger.notices import outbox
from logger.notices.routes import add_route, change_route, remove_route
from tests.conftest import fresh_database
from tests.logger.notices.builders import HeldClock, candidate, opened, sender, states, step, worse
from tests.support.hooks import http_hook
from tests.support.mail import smtp_sink

WAIT_S = 11.0
_names = itertools.count()


@pytest.fixture(scope="module")
def door(postgres_url, template_url):
    with fresh_database(postgres_url) as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def stage(door, tmp_path):
    """One receiver with one route, an agent, and a clock; the routes of other tests are off."""
    door.execute("UPDATE notice_routes SET is_active = false")
    clock = HeldClock()
    with http_hook() as hook:
        found = SimpleNamespace(database=door, clock=clock, hook=hook)
        found.agent = sender(door, clock, tmp_path)
        for _ in range(4):
            found.agent.cycle()  # what other tests left
        found.make = lambda name="", **columns: add_route(
            door, {"name": name or f"route {next(_names)}", "target": hook.address, **columns}, "ann"
        )["route_id"]
        yield found


def pass_time(stage, seconds=WAIT_S):
    stage.agent.cycle()
    stage.clock.move(seconds)
    return stage.agent.cycle()


def test_an_opened_incident_is_told_once_with_its_verdict_and_a_link(stage):
    route_id = stage.make()
    incident_id = opened(stage.database, stage.clock, culprit_line="No space left on device")
    stage.agent.cycle()
    assert stage.hook.messages == []  # its verdict may still come
    assert pass_time(stage) == 1
    for _ in range(3):
        pass_time(stage)
    (message,) = stage.hook.messages
    (told,) = message["changes"]
    assert (told["change"], told["incident"]["incident_id"]) == ("opened", incident_id)
    assert told["verdict"] == {"verdict": "site", "value": ""} and told["culprit_line"] == "No space left on device"
    assert told["url"] == f"https://panda.example.org/incident/{incident_id}/"
    assert states(stage.database, route_id) == [(incident_id, "opened", "sent", "")]


def test_a_signed_message_can_be_checked_by_its_receiver(stage, tmp_path):
    stage.agent = sender(stage.database, stage.clock, tmp_path, secrets={"ops": "s3cret"})
    stage.make(secret_name="ops")
    opened(stage.database, stage.clock)
    pass_time(stage)
    expected = hmac.new(b"s3cret", stage.hook.bodies[0], hashlib.sha256).hexdigest()
    assert stage.hook.headers[0]["X-Panda-Signature"] == f"sha256={expected}"
    assert stage.hook.headers[0]["X-Panda-Notice-Id"] == stage.hook.messages[0]["message_id"]


def test_without_its_secret_nothing_is_sent_unsigned_and_nothing_is_lost(stage, tmp_path):
    route_id = stage.make(secret_name="ops")
    incident_id = opened(stage.database, stage.clock)
    pass_time(stage)
    assert stage.hook.bodies == [] and states(stage.database, route_id)[0][2] == "waiting"
    stage.agent = sender(stage.database, stage.clock, tmp_path, secrets={"ops": "s3cret"})
    pass_time(stage)
    assert stage.hook.changes() == [(incident_id, "opened")]


def test_what_comes_and_goes_within_the_wait_is_one_message(stage):
    stage.make()
    incident_id = opened(stage.database, stage.clock)
    step(stage.database, incident_id, IncidentState.RESOLVED, stage.clock)
    step(stage.database, incident_id, IncidentState.REOPENED, stage.clock)
    pass_time(stage)
    assert len(stage.hook.bodies) == 1
    assert stage.hook.changes() == [(incident_id, what) for what in ("opened", "resolved", "reopened")]
    assert "opened, resolved and reopened" in stage.hook.messages[0]["subject"]


def test_candidates_are_nobodys_news(stage):
    route_id = stage.make()
    step(stage.database, candidate(stage.database), IncidentState.RESOLVED, stage.clock)
    pass_time(stage)
    assert states(stage.database, route_id) == []


def test_silenced_and_explained_incidents_are_quiet_with_a_reason(stage):
    route_id = stage.make()
    database, clock = stage.database, stage.clock
    silenced, explained = opened(database, clock), opened(database, clock)
    step(database, silenced, IncidentState.SILENCED, clock, "ann")
    database.execute("UPDATE incidents SET inhibited_by = 7 WHERE incident_id = %(id)s", {"id": explained})
    pass_time(stage)
    step(database, silenced, IncidentState.RESOLVED, clock, "ann")
    pass_time(stage)
    assert stage.hook.bodies == []
    assert states(database, route_id) == [
        (silenced, "opened", "suppressed", "silenced"),
        (explained, "opened", "suppressed", "explained by incident 7"),
        (silenced, "resolved", "suppressed", "silenced when it ended"),
    ]
    database.execute("UPDATE incidents SET inhibited_by = NULL WHERE incident_id = %(id)s", {"id": explained})
    for _ in range(12):
        pass_time(stage)
    assert stage.hook.changes() == [(explained, "opened")]  # nothing explains it any more


def test_the_end_of_a_silence_is_told_and_the_end_of_what_nobody_heard_of_is_not(stage):
    stage.make()
    database, clock = stage.database, stage.clock
    loud, quiet = opened(database, clock), opened(database, clock)
    for incident_id in (loud, quiet):
        step(database, incident_id, IncidentState.SILENCED, clock, "ann")
    database.execute(
        "UPDATE incidents SET inhibited_by = %(loud)s WHERE incident_id = %(id)s", {"loud": loud, "id": quiet}
    )
    pass_time(stage)
    step(database, loud, IncidentState.REOPENED, clock, "ann")
    step(database, quiet, IncidentState.RESOLVED, clock, "ann")
    pass_time(stage)
    assert stage.hook.changes() == [(loud, "unsilenced")]


def test_the_end_of_what_was_told_is_told_though_something_between_was_quiet(stage):
    stage.make()
    database, clock = stage.database, stage.clock
    incident_id = opened(database, clock)
    pass_time(stage)
    database.execute("UPDATE incidents SET inhibited_by = 7 WHERE incident_id = %(id)s", {"id": incident_id})
    worse(database, incident_id, clock)
    pass_time(stage)
    step(database, incident_id, IncidentState.RESOLVED, clock)
    pass_time(stage)
    assert stage.hook.changes() == [(incident_id, "opened"), (incident_id, "resolved")]


def test_worse_is_told_when_it_gets_worse(stage):
    stage.make(matcher={"severity": "critical"})
    incident_id = opened(stage.database, stage.clock)
    pass_time(stage)
    assert stage.hook.bodies == []
    worse(stage.database, incident_id, stage.clock)
    pass_time(stage)
    assert stage.hook.changes() == [(incident_id, "worse")]


def test_a_route_by_verdict_waits_for_the_verdict(stage):
    site = stage.make("of sites", matcher={"verdict": "site"}, is_final=True)
    others = stage.make("of others", position=1)
    incident_id = opened(stage.database, stage.clock, verdict="")
    pass_time(stage)
    assert stage.hook.bodies == []
    stage.database.execute(
        "UPDATE incidents SET verdict = 'site', verdict_time = now() WHERE incident_id = %(id)s", {"id": incident_id}
    )
    pass_time(stage, 3)
    assert [message["route"] for message in stage.hook.messages] == ["of sites"]
    assert [state for _, _, state, _ in states(stage.database, site)] == ["sent"]
    assert [state for _, _, state, _ in states(stage.database, others)] == ["suppressed"]


def test_a_receiver_that_is_away_for_a_day_hears_everything_once_when_it_is_back(stage):
    route_id = stage.make()
    told = []
    hook = stage.hook
    hook.status = 503
    for hour in range(24):
        incident_id = opened(stage.database, stage.clock)
        told.append((incident_id, "opened"))
        for _ in range(3):
            pass_time(stage, 600)
        step(stage.database, incident_id, IncidentState.RESOLVED, stage.clock)
        told.append((incident_id, "resolved"))
        for _ in range(3):
            pass_time(stage, 600)
        assert hour < 30
    attempts = len(hook.headers)
    assert hook.bodies == [] and attempts < 24 * 6 + 20
    hook.status = 200
    pass_time(stage, 16 * 60)
    pass_time(stage, 16 * 60)
    assert len(hook.bodies) == 1 and hook.messages[0]["is_late"]
    assert hook.changes() == told
    assert {state for _, _, state, _ in states(stage.database, route_id)} == {"sent"}


def test_nobody_listening_at_the_address_means_later(stage):
    with http_hook() as gone:
        pass
    route_id = stage.make(target=gone.address)
    incident_id = opened(stage.database, stage.clock)
    pass_time(stage)
    assert [state for _, _, state, _ in states(stage.database, route_id)] == ["waiting"]
    with http_hook(gone):
        pass_time(stage, 60)
    assert gone.changes() == [(incident_id, "opened")]


def test_after_three_days_it_is_given_up_aloud(stage, caplog):
    route_id = stage.make("deaf")
    stage.hook.status = 500
    opened(stage.database, stage.clock)
    pass_time(stage)
    pass_time(stage, 3 * 86_400 + 60)
    assert [state for _, _, state, _ in states(stage.database, route_id)] == ["failed"]
    assert [one.fingerprint for one in caplog.records if hasattr(one, "fingerprint")] == ["notice failed:deaf"]


@pytest.mark.parametrize(("status", "state"), [(400, "failed"), (302, "failed"), (408, "waiting"), (429, "waiting")])
def test_what_a_receiver_answers_decides(stage, status, state):
    route_id = stage.make(f"answers {status}")
    stage.hook.status = status
    stage.hook.answer_headers = {"Retry-After": "100", "Location": stage.hook.address}
    opened(stage.database, stage.clock)
    pass_time(stage)
    assert [one for _, _, one, _ in states(stage.database, route_id)] == [state]
    asked = len(stage.hook.headers)
    pass_time(stage, 90)
    assert len(stage.hook.headers) == asked  # not before it wants


def test_no_answer_after_it_was_sent_is_lost_and_said_and_never_repeated(stage, caplog):
    route_id = stage.make("silent")
    stage.hook.hangs_up = True
    incident_id = opened(stage.database, stage.clock)
    pass_time(stage)
    stage.hook.hangs_up = False
    pass_time(stage, 3600)
    assert states(stage.database, route_id) == [(incident_id, "opened", "lost", "")]
    assert len(stage.hook.bodies) == 1
    assert any(getattr(one, "fingerprint", "") == "notice lost:silent" for one in caplog.records)


def test_a_receiver_that_hangs_loses_one_change_at_a_time_and_gets_the_others_when_it_answers(stage):
    route_id = stage.make("hangs")
    stage.hook.hangs_up = True
    opened(stage.database, stage.clock)
    pass_time(stage)
    told = [opened(stage.database, stage.clock) for _ in range(10)]
    pass_time(stage, 15)
    assert [len(message["changes"]) for message in stage.hook.messages] == [1, 1]
    stage.clock.move(5)
    stage.agent.cycle()
    assert len(stage.hook.bodies) == 2, "it is left alone for longer each time"
    stage.hook.hangs_up = False
    for _ in range(3):
        pass_time(stage, 20)
    assert [len(message["changes"]) for message in stage.hook.messages] == [1, 1, 1, 8]
    assert stage.hook.changes()[1:] == [(incident_id, "opened") for incident_id in told]
    ends = [state for _, _, state, _ in states(stage.database, route_id)]
    assert ends == ["lost", "lost", *["sent"] * 9]


def test_a_receiver_that_drops_repeats_gets_them_under_the_same_number(stage):
    route_id = stage.make("repeats", options={"may_repeat": True})
    stage.hook.hangs_up = True
    opened(stage.database, stage.clock)
    pass_time(stage)
    opened(stage.database, stage.clock)
    stage.hook.hangs_up = False
    pass_time(stage, 60)
    pass_time(stage)
    first, again, *others = stage.hook.messages
    assert first["message_id"] == again["message_id"] and first["notice_ids"] == again["notice_ids"]
    assert len(others) == 1 and {state for _, _, state, _ in states(stage.database, route_id)} == {"sent"}


def test_a_killed_sender_leaves_what_may_be_lost_and_repeats_nothing(stage, caplog, tmp_path):
    """Killed between the claim and the note: the row says sending, its lease runs out, nobody sends it again."""
    route_id = stage.make("killed")
    incident_id = opened(stage.database, stage.clock)
    stage.agent.cycle()
    stage.clock.move(WAIT_S)
    assert outbox.claim(stage.database, route_id, lambda channel: 50, stage.clock()) is not None
    heir = sender(stage.database, stage.clock, tmp_path)
    heir.cycle()
    assert states(stage.database, route_id) == [(incident_id, "opened", "sending", "")]
    stage.clock.move(outbox.LEASE_S + 1)
    heir.cycle()
    assert states(stage.database, route_id) == [(incident_id, "opened", "lost", "")]
    assert stage.hook.bodies == [] and any("killed" in one.getMessage() for one in caplog.records)


def test_a_restarted_agent_tells_nothing_twice(stage, tmp_path):
    stage.make()
    incident_id = opened(stage.database, stage.clock)
    pass_time(stage)
    stage.database.execute("UPDATE agent_runs SET cursor = 0 WHERE name = 'incident_notices'")
    stage.agent = sender(stage.database, stage.clock, tmp_path)
    for _ in range(4):
        pass_time(stage)
    assert [one for one in stage.hook.changes() if one[0] == incident_id] == [(incident_id, "opened")]


def test_a_change_that_commits_late_is_told_though_a_later_one_was_seen_before(stage):
    stage.make()
    late, early = candidate(stage.database), candidate(stage.database)
    for _ in range(4):
        stage.agent.cycle()  # the cursor is as far as it can be
    with stage.database.transaction() as transaction:
        change(transaction, late, IncidentState.OPEN, Act("server", "open", is_automatic=True), stage.clock())
        step(stage.database, early, IncidentState.OPEN, stage.clock)
        for _ in range(5):
            pass_time(stage)
        assert stage.hook.changes() == [(early, "opened")]
    for _ in range(5):
        pass_time(stage)
    assert stage.hook.changes() == [(early, "opened"), (late, "opened")]
    newest = stage.database.fetch_one("SELECT max(change_id) AS id FROM incident_changes")["id"]
    cursor = stage.database.fetch_one("SELECT cursor FROM agent_runs WHERE name = 'incident_notices'")["cursor"]
    assert cursor == newest


def test_a_mail_server_that_is_away_for_a_day_gets_one_letter_of_everything(stage, tmp_path):
    with smtp_sink() as sink:
        stage.agent = sender(stage.database, stage.clock, tmp_path, mail={"server": sink.address})
        stage.make(channel="mail", target="ops@example.org")
        sink.answers["MAIL"] = b"421 closing"
        told = []
        for _ in range(24):
            told.append(opened(stage.database, stage.clock))
            pass_time(stage, 3600)
        assert sink.letters == [] and sink.connections > 10
        sink.answers.clear()
        for _ in range(3):
            pass_time(stage, 1000)
    (letter,) = sink.letters
    assert letter["Subject"].startswith("[error] 24 incidents changed since 2026-11-26 12:00 UTC")
    text = letter.get_content()
    assert [text.count(f"#{incident_id} ") for incident_id in told] == [1] * 24


def test_groups_are_messages_of_their_own(stage):
    stage.make(group_by=["computing_site"])
    for site in ("CERN", "BNL", "CERN"):
        opened(stage.database, stage.clock, computing_site=site)
    pass_time(stage)
    stage.agent.cycle()
    assert sorted(len(message["changes"]) for message in stage.hook.messages) == [1, 2]


def test_more_than_the_hour_allows_waits_and_comes_together(stage):
    stage.make(max_per_hour=2)
    for _ in range(6):
        opened(stage.database, stage.clock)
        pass_time(stage)
    assert len(stage.hook.bodies) == 2
    pass_time(stage, 1800)
    assert len(stage.hook.bodies) == 3
    late = stage.hook.messages[-1]
    assert late["is_late"] and len(late["changes"]) == 4 and "4 incidents changed since" in late["subject"]


def test_what_waits_for_a_full_hour_is_judged_when_it_may_go(stage):
    route_id = stage.make(max_per_hour=1)
    opened(stage.database, stage.clock)
    pass_time(stage)
    quiet, loud = opened(stage.database, stage.clock), opened(stage.database, stage.clock)
    step(stage.database, quiet, IncidentState.SILENCED, stage.clock, "ann")
    pass_time(stage)
    assert [one[2] for one in states(stage.database, route_id)] == ["sent", "waiting", "waiting"]
    pass_time(stage, 3600)
    assert [one[2] for one in states(stage.database, route_id)] == ["sent", "suppressed", "sent"]
    assert stage.hook.changes()[-1] == (loud, "opened")


@pytest.mark.parametrize("matcher", ['{"colour": "red"}', '{"kind": 5}'])
def test_a_route_that_nobody_understands_keeps_no_other_from_telling_and_is_said(stage, caplog, matcher):
    strange = stage.make("strange")
    stage.database.execute(
        "UPDATE notice_routes SET matcher = %(matcher)s::jsonb WHERE route_id = %(route)s",
        {"matcher": matcher, "route": strange},
    )
    stage.make()
    incident_id = opened(stage.database, stage.clock)
    pass_time(stage)
    remove_route(stage.database, strange, "ann")
    assert stage.hook.changes()[0] == (incident_id, "opened")
    assert any("strange" in record.message for record in caplog.records)


def test_a_removed_or_switched_off_route_is_told_nothing_more(stage):
    off, gone = stage.make("off"), stage.make("gone")
    opened(stage.database, stage.clock)
    stage.agent.cycle()
    change_route(stage.database, off, {"is_active": False}, 1, "ann")
    remove_route(stage.database, gone, "ann")
    pass_time(stage)
    assert stage.hook.bodies == []
    assert [one[2:] for one in states(stage.database, off)] == [("suppressed", "the route is switched off")]
    assert [one[2] for one in states(stage.database, gone)] == ["failed"]


def test_a_receiver_that_does_not_answer_holds_up_no_other(stage, tmp_path):
    stage.agent = sender(stage.database, stage.clock, tmp_path, timeout_s=4.0)
    with http_hook() as slow:
        slow.holds = threading.Event()
        stage.make("slow", target=slow.address, position=0)
        stage.make("quick", position=1)
        incident_id = opened(stage.database, stage.clock)
        pass_time(stage)
        slow.holds.set()
    assert stage.hook.changes() == [(incident_id, "opened")]


def test_private_addresses_can_be_forbidden(stage, tmp_path):
    stage.agent = sender(stage.database, stage.clock, tmp_path, allow_private=False)
    route_id = stage.make("inside")
    opened(stage.database, stage.clock)
    pass_time(stage)
    assert stage.hook.headers == []
    assert [one[2] for one in states(stage.database, route_id)] == ["failed"]


def test_old_notices_are_forgotten_and_what_waits_is_given_up_before(stage):
    route_id = stage.make("old")
    opened(stage.database, stage.clock)
    pass_time(stage)
    stage.hook.status = 500
    waiting = opened(stage.database, stage.clock)
    pass_time(stage)
    outbox.forget(stage.database, stage.clock() + timedelta(days=1))
    assert [(one[0], one[2]) for one in states(stage.database, route_id)] == [(waiting, "failed")]


def test_after_very_many_notices_the_old_ones_go_in_one_go(stage, tmp_path):
    route_id = stage.make()
    stage.database.execute(
        "INSERT INTO incident_notices (route_id, incident_id, change_seq, change, state, created_time)"
        " SELECT %(route)s, 1, -g, 'opened', 'sent', %(then)s FROM generate_series(1, 10010) g",
        {"route": route_id, "then": stage.clock() - timedelta(days=91)},
    )
    agent = sender(stage.database, stage.clock, tmp_path)
    for _ in range(4):
        agent.cycle()
    assert states(stage.database, route_id) == []


def test_assignments_are_told_to_those_who_ask(stage):
    stage.make(changes=["assigned"], matcher={"assigned_to": "bob"})
    incident_id = opened(stage.database, stage.clock)
    with stage.database.transaction() as transaction:
        touch(transaction, incident_id, Act("ann", "assign"), stage.clock(), "assigned", assigned_to="bob")
    pass_time(stage)
    assert stage.hook.changes() == [(incident_id, "assigned")]
