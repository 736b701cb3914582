"""The token of a preview: once, by whom it was given to, in time, and only for the set that was shown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.database import Database
from core.errors import NotAllowed, TooMany
from core.taskbuffer.killing import Killer, kill_jobs
from logger.deeds import Actor, PreviewOutdated, confirm
from logger.deeds.base import PreviewExpired, PreviewNotYours, PreviewUnknown, PreviewUsed, Target
from logger.deeds.previews import MOST_OPEN, difference, forget_old
from tests.logger.deeds.builders import ALICE, OLGA, OTTO, HeldClock, do, incident, look, make_incident
from tests.support.builders import acquire, activate, make_queue, status_of

MANAGER = Killer("carol", is_manager=True)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture(scope="module")
def site(shared_database: Database) -> str:
    return make_queue(shared_database, "TOKENS")


def deeds(database: Database) -> int:
    return len(database.fetch("SELECT 1 FROM deeds"))


def test_a_token_confirms_once(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    token = look(shared_database, "acknowledge", OLGA, clock, incidents=[key]).token
    deed = confirm(shared_database, token, OLGA, clock)
    done = deeds(shared_database)
    with pytest.raises(PreviewUsed, match=f"it is deed {deed['deed_id']}"):
        confirm(shared_database, token, OLGA, clock)
    assert deeds(shared_database) == done


def test_the_token_itself_is_nowhere(shared_database: Database, clock: HeldClock) -> None:
    token = look(shared_database, "acknowledge", OLGA, clock, incidents=[make_incident(shared_database)]).token
    confirm(shared_database, token, OLGA, clock)
    for table in ("previews", "deeds", "audit", "deed_targets"):
        assert token not in str(shared_database.fetch(f"SELECT * FROM {table}"))


def test_somebody_else_or_another_session_cannot_confirm_and_the_owner_still_can(
    shared_database: Database, clock: HeldClock
) -> None:
    key = make_incident(shared_database)
    token = look(shared_database, "resolve", OLGA, clock, incidents=[key]).token
    for other in (OTTO, replace(OLGA, token_id="another session"), replace(OTTO, token_id=OLGA.token_id)):
        with pytest.raises(PreviewNotYours):
            confirm(shared_database, token, other, clock)
    assert incident(shared_database, key)["state"] == "open"
    assert confirm(shared_database, token, OLGA, clock)["state"] == "done"


def test_a_role_that_was_lost_confirms_nothing(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    token = look(shared_database, "resolve", OLGA, clock, incidents=[key]).token
    with pytest.raises(NotAllowed):
        confirm(shared_database, token, replace(OLGA, roles=frozenset()), clock)
    assert incident(shared_database, key)["state"] == "open"


def test_an_unknown_token_and_one_of_yesterday_confirm_nothing(shared_database: Database, clock: HeldClock) -> None:
    with pytest.raises(PreviewUnknown):
        confirm(shared_database, "x" * 43, OLGA, clock)
    token = look(shared_database, "resolve", OLGA, clock, incidents=[make_incident(shared_database)]).token
    clock.advance(599)
    with pytest.raises(PreviewNotYours):
        confirm(shared_database, token, OTTO, clock)
    clock.advance(2)
    with pytest.raises(PreviewExpired):
        confirm(shared_database, token, OLGA, clock)
    clock.advance(2 * 86_400)
    with shared_database.transaction() as transaction:
        assert forget_old(transaction, clock()) >= 1
    with pytest.raises(PreviewUnknown):
        confirm(shared_database, token, OLGA, clock)


def test_of_two_confirmations_at_once_one_wins(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    token = look(shared_database, "acknowledge", OLGA, clock, incidents=[key]).token
    before = deeds(shared_database)
    together = threading.Barrier(8)
    results: list[str] = []

    def once() -> None:
        together.wait()
        try:
            results.append(confirm(shared_database, token, OLGA, clock)["state"])
        except PreviewUsed as error:
            results.append(error.code)

    threads = [threading.Thread(target=once) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done"] + ["preview_used"] * 7
    assert deeds(shared_database) == before + 1


def test_two_previews_of_one_set_cannot_both_be_done(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    first = look(shared_database, "resolve", OLGA, clock, incidents=[key]).token
    second = look(shared_database, "acknowledge", OTTO, clock, incidents=[key]).token
    confirm(shared_database, first, OLGA, clock)
    with pytest.raises(PreviewOutdated, match="changed") as refused:
        confirm(shared_database, second, OTTO, clock)
    # nothing can be done to it any more, so there is no new preview either
    assert refused.value.preview is None and "nothing is left" in refused.value.remedy
    assert incident(shared_database, key)["owner"] == ""


def test_an_incident_that_somebody_took_meanwhile_is_another_set(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    token = look(shared_database, "resolve", OLGA, clock, incidents=[key], reason="it is over").token
    do(shared_database, "acknowledge", OTTO, clock, incidents=[key])
    with pytest.raises(PreviewOutdated) as refused:
        confirm(shared_database, token, OLGA, clock)
    assert refused.value.difference == [f"1 incident changed: {key} is acknowledged by otto"]
    assert incident(shared_database, key)["state"] == "acknowledged"
    with pytest.raises(PreviewUsed, match="nothing was done by it"):
        confirm(shared_database, token, OLGA, clock)
    # the fresh one shows the set as it is, and can be confirmed
    again = refused.value.preview
    deed = confirm(shared_database, again.token, OLGA, clock)
    assert deed["state"] == "done" and deed["reason"] == "it is over"


def _one_ends(database: Database, jobs: list[int], site: str) -> None:
    kill_jobs(database, jobs[:1], MANAGER)


def _one_joins(database: Database, jobs: list[int], site: str) -> None:
    activate(database, 1, queue=site, user="alice", job_name="tokens")


def _one_starts(database: Database, jobs: list[int], site: str) -> None:
    acquire(database, site)


@pytest.mark.parametrize(
    ("change", "words"),
    [(_one_ends, "1 job no longer among them"), (_one_joins, "1 job came"), (_one_starts, "is with a pilot")],
)
def test_a_set_of_jobs_that_changed_is_refused_and_nothing_is_killed(
    shared_database: Database,
    clock: HeldClock,
    site: str,
    change: Callable[[Database, list[int], str], None],
    words: str,
) -> None:
    left = [("job_name", "tokens"), ("computing_site", site)]
    for row in shared_database.fetch("SELECT panda_id FROM jobs_live"):
        kill_jobs(shared_database, [row["panda_id"]], Killer("x", is_manager=True), 99)
    jobs = activate(shared_database, 3, queue=site, user="alice", job_name="tokens")
    token = look(shared_database, "kill", ALICE, clock, filter=left).token
    change(shared_database, jobs, site)
    with pytest.raises(PreviewOutdated) as refused:
        confirm(shared_database, token, ALICE, clock)
    assert words in "; ".join(refused.value.difference)
    assert all(status_of(shared_database, job) != "cancelled" for job in jobs[1:])
    count = len(shared_database.fetch("SELECT 1 FROM jobs_live"))
    assert refused.value.preview.target_count == count
    assert confirm(shared_database, refused.value.preview.token, ALICE, clock)["result"]["done"] == count


def test_jobs_that_end_by_themselves_may_be_left_out_when_that_was_said(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    jobs = activate(shared_database, 4, queue=site, user="alice")
    token = look(shared_database, "kill", ALICE, clock, jobs=jobs, accept_ended=True).token
    kill_jobs(shared_database, jobs[:2], MANAGER)
    deed = confirm(shared_database, token, ALICE, clock)
    assert (deed["state"], deed["result"]["done"], deed["result"]["gone"], deed["target_count"]) == ("done", 2, 2, 4)


def test_those_that_may_end_do_not_hide_one_that_started(
    shared_database: Database, clock: HeldClock, site: str
) -> None:
    jobs = activate(shared_database, 3, queue=site, user="alice")
    token = look(shared_database, "kill", ALICE, clock, jobs=jobs, accept_ended=True).token
    kill_jobs(shared_database, jobs[:1], MANAGER)
    acquire(shared_database, site)
    with pytest.raises(PreviewOutdated, match="with a pilot"):
        confirm(shared_database, token, ALICE, clock)


def test_so_many_previews_at_once_and_no_more(shared_database: Database, clock: HeldClock) -> None:
    clock.advance(100 * 86_400)  # so that no other test's are open
    key = make_incident(shared_database)
    petra = Actor("petra", "token-of-petra", frozenset({"operator"}))
    for _ in range(MOST_OPEN):
        look(shared_database, "resolve", petra, clock, incidents=[key])
    with pytest.raises(TooMany) as refused:
        look(shared_database, "resolve", petra, clock, incidents=[key])
    assert 599 <= refused.value.retry_after_s <= 601
    clock.advance(601)
    look(shared_database, "resolve", petra, clock, incidents=[key])


def test_the_same_action_with_other_parameters_is_another_digest(shared_database: Database, clock: HeldClock) -> None:
    key = make_incident(shared_database)
    seen = {
        look(shared_database, "assign", OLGA, clock, {"who": who}, incidents=[key]).digest
        for who in ("ann", "bob", "ann")
    }
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("thing", "before", "after", "said"),
    [
        ("incident", "17 open:::1", "17 acknowledged:otto::2", "17 is acknowledged by otto"),
        ("incident", "17 open:::1", "17 open::kim:2", "17 is still open, but was changed"),
        ("incident", "17 acknowledged:a:b::2", "17 acknowledged:a:b::3", "17 is still acknowledged, but was changed"),
        ("incident", "17 acknowledged:ann::2", "17 resolved:ann::3!", "17 is resolved"),
        ("queue", "CERN online:", "CERN test:person", "CERN is test, set by a person"),
        ("queue", "CERN test:person", "CERN online:", "CERN is online"),
        ("queue", "CERN test:", "CERN test:person", "CERN is test, set by a person"),
        ("job", "5 waiting", "5 with_pilot", "5 is with a pilot"),
        ("task", "7 finished:3", "7 finished:5", "7 is still finished, but was changed"),
        ("incident", "17 acknowledged:annie::2", "17 acknowledged:ann::3", "17 is acknowledged by ann"),
    ],
)
def test_what_changed_is_said_in_words(thing: str, before: str, after: str, said: str) -> None:
    key, state = after.split(" ", 1)
    target = Target(key, state.removesuffix("!"), "is resolved" if state.endswith("!") else "")
    assert difference([before], [target], thing) == [f"1 {thing} changed: {said}"]
