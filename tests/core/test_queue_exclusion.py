"""Whatever people and test jobs do to a queue, in whatever order: its status is the one that a plain account of it gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from core.database import Database
from core.queue_status import AUTOMATON, PERSON, judge_queues, status_history
from core.queues import set_queue
from core.workload_settings import QueueTestSettings
from tests.support.builders import make_queue

SETTINGS = QueueTestSettings(failures=3, successes=2)
STATUSES = ("online", "offline", "test", "brokeroff", "paused")
DEEDS = some.lists(
    some.one_of(
        some.just(("failed", "")),
        some.just(("finished", "")),
        some.just(("other", "")),
        some.just(("look", "")),
        some.just(("release", "")),
        some.tuples(some.just("person"), some.sampled_from(STATUSES)),
    ),
    max_size=25,
)
# as the ending of a test job leaves it, at the time of the clock
_END = """
INSERT INTO jobs_archive (panda_id, job_status, computing_site, prod_source_label, state_change_time)
VALUES (nextval('panda_id_seq'), %(status)s, %(queue)s, %(label)s, clock_timestamp())
"""


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    return shared_database


@pytest.fixture(scope="module")
def names() -> Iterator[Iterator[str]]:
    yield (f"Q{number}" for number in range(10_000))


class Account:
    """A queue by hand: its status, who decides about it, and what its test jobs said since it changed last."""

    def __init__(self) -> None:
        self.status, self.set_by = "online", ""
        self.results: list[bool] = []
        self.changes: list[tuple[str, str, bool]] = []

    def becomes(self, status: str, set_by: str, *, is_automatic: bool) -> None:
        self.changes.append((self.status, status, is_automatic))
        self.status, self.set_by, self.results = status, set_by, []

    def looks(self) -> None:
        """The automaton, as domain.md 9.3 has it: out after three failures in a row, back after two successes."""
        if self.set_by == PERSON:
            return
        if self.status == "online" and len(self.results) >= 3 and not any(self.results[-3:]):
            self.becomes("test", AUTOMATON, is_automatic=True)
        elif self.status == "test" and self.set_by == AUTOMATON and len(self.results) >= 2 and all(self.results[-2:]):
            self.becomes("online", "", is_automatic=True)


def do(database: Database, queue: str, account: Account, deed: str, status: str) -> None:
    """One deed, on the queue and on the account of it."""
    if deed in ("failed", "finished", "other"):
        label = "user" if deed == "other" else "prod_test"
        ended = "failed" if deed == "other" else deed
        database.execute(_END, {"status": ended, "queue": queue, "label": label})
        account.results += [] if deed == "other" else [deed == "finished"]
    elif deed == "person":
        set_queue(database, queue, {"status": status}, who="olga", reason="she knows")
        account.becomes(status, PERSON, is_automatic=False)
    elif deed == "release":
        row = set_queue(database, queue, {}, who="olga", is_released=True)
        # given back in test, it is the automaton's to bring back; what was said before says nothing any more
        account.becomes(account.status, AUTOMATON if account.status == "test" else "", is_automatic=False)
        assert row["status_set_by"] == account.set_by
    else:
        judge_queues(database, SETTINGS)
        account.looks()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=DEEDS)
def test_a_person_is_above_the_automaton_in_every_order_of_events(site, names, deeds):
    queue, account = next(names), Account()
    make_queue(site, queue)
    for deed, status in deeds:
        before = (account.status, account.set_by)
        do(site, queue, account, deed, status)
        row = site.fetch("SELECT status, status_set_by FROM queues WHERE queue_name = %(q)s", {"q": queue})[0]
        assert (row["status"], row["status_set_by"]) == (account.status, account.set_by), (deeds, deed, before)
        if before[1] == PERSON and deed not in ("person", "release"):
            assert (row["status"], row["status_set_by"]) == before
    automatic = [(row["previous_status"], row["status"]) for row in status_history(site, queue) if row["is_automatic"]]
    assert automatic[::-1] == [(old, new) for old, new, is_automatic in account.changes if is_automatic]
    site.execute("DELETE FROM queues WHERE queue_name = %(q)s", {"q": queue})
