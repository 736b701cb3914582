"""Silences: each ends by the reason its author chose and by no other, once, and tells with what it leaves the incident."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from core.database import Database, Transaction
from core.errors import Conflict, IllegalTransition, InvalidInput, UnknownObject
from core.monitor.question import read_question
from core.states import IncidentState
from logger import life
from logger.folding import fold
from logger.life import Act, Held
from logger.reading import SILENCE_GRAMMAR, silence_list
from logger.silence_keeper import SilenceKeeper, catch
from logger.silences import MATCHERS, Until, end, next_change, read_moment, silence
from logger.silences_many import end_all
from logger.store import IncidentStore
from tests.logger.life.test_grouping import event

START = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Desk:
    """An incident store with a clock that is held, and its silence keeper."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = START
        self.store = IncidentStore(database, lambda: self.now)
        self.keeper = SilenceKeeper(database, lambda: self.now)

    def happen(self, *events: Any) -> None:
        with self.database.transaction() as transaction:
            fold(transaction, events, self.now)

    def incident(self, key: str) -> dict[str, Any]:
        row = self.database.fetch_one(
            "SELECT * FROM incidents WHERE fingerprint = %(key)s ORDER BY incident_id DESC LIMIT 1", {"key": key}
        )
        assert row is not None
        return row

    def opened(self, key: str, **where: Any) -> int:
        self.happen(event(key, **where))
        return int(self.incident(key)["incident_id"])

    def silence(self, incident_id: int, kind: str, moment: datetime | None = None) -> dict[str, Any]:
        return self.store.silence(incident_id, kind, moment, "ann", "known", changes=("07:00", "15:00", "23:00"))[1]

    def wait(self, **time: float) -> int:
        self.now += timedelta(**time)
        return self.keeper.look()

    def live(self) -> list[dict[str, Any]]:
        return self.database.fetch("SELECT * FROM silences WHERE end_time IS NULL ORDER BY silence_id")

    def changes(self, incident_id: int) -> list[str]:
        rows = self.database.fetch(
            "SELECT what FROM incident_changes WHERE incident_id = %(id)s ORDER BY change_seq", {"id": incident_id}
        )
        return [row["what"] for row in rows]


@pytest.fixture
def desk(shared_database: Database) -> Iterator[Desk]:
    shared_database.execute("TRUNCATE incidents, incident_jobs, incident_breakdown, incident_bins, silences, shifts")
    yield Desk(shared_database)


def test_until_a_time(desk: Desk) -> None:
    incident = desk.opened("a")
    made = desk.silence(incident, "time", START + timedelta(hours=2))
    row = desk.incident("a")
    assert (row["state"], row["held_by"]) == ("silenced", "ann")
    assert desk.wait(minutes=119) == 0 and desk.incident("a")["state"] == "silenced"
    assert desk.wait(minutes=1) == 1 and desk.wait(minutes=1) == 0
    row = desk.incident("a")
    assert (row["state"], row["held_by"]) == ("open", "")
    assert desk.changes(incident) == ["opened", "silenced", "unsilenced"]
    ended = desk.database.fetch_one("SELECT * FROM silences WHERE silence_id = %(silence_id)s", made)
    assert ended is not None and (ended["ended_by"], ended["end_reason"]) == ("server", "its time is up")


def test_who_has_an_incident_has_it_still_after_the_silence(desk: Desk) -> None:
    incident = desk.opened("a")
    desk.store.acknowledge(incident, "bob")
    desk.silence(incident, "time", START + timedelta(hours=1))
    desk.wait(hours=1)
    row = desk.incident("a")
    assert (row["state"], row["owner"]) == ("acknowledged", "bob")


def test_until_the_end_of_the_running_shift_or_of_the_next_change(desk: Desk) -> None:
    desk.silence(desk.opened("a"), "shift")
    assert desk.wait(hours=2.9) == 0
    assert desk.wait(hours=0.1) == 1  # 15:00
    desk.database.execute("INSERT INTO shifts (name, start_time) VALUES ('central', %(now)s)", {"now": desk.now})
    silence = desk.silence(desk.opened("b"), "shift")
    assert silence["shift_id"] is not None and silence["until_time"] == START.replace(hour=23)
    assert desk.wait(hours=9) == 0  # it is midnight, and the shift has not been handed over
    desk.database.execute("UPDATE shifts SET state = 'handed_over'")
    assert desk.wait(seconds=1) == 1 and desk.incident("b")["state"] == "open"


def test_a_shift_that_nobody_hands_over_does_not_silence_for_ever(desk: Desk) -> None:
    desk.database.execute("INSERT INTO shifts (name, start_time) VALUES ('central', %(now)s)", {"now": desk.now})
    desk.silence(desk.opened("a"), "shift")
    assert desk.wait(hours=4.9) == 0
    assert desk.wait(hours=0.1) == 1


def test_until_there_is_twice_as_much(desk: Desk) -> None:
    desk.happen(*(event("a") for _ in range(20)))
    desk.silence(desk.incident("a")["incident_id"], "doubles")
    desk.happen(*(event("a") for _ in range(19)))
    assert desk.wait(days=30) == 0
    desk.happen(event("a"))
    assert desk.wait(seconds=1) == 1
    (row,) = desk.database.fetch("SELECT end_reason FROM silences")
    assert row["end_reason"] == "there are 40 events, 20 when it was silenced"


def test_twice_of_little_is_ten_more(desk: Desk) -> None:
    desk.silence(desk.opened("a"), "doubles")
    desk.happen(*(event("a") for _ in range(9)))
    assert desk.wait(seconds=1) == 0
    desk.happen(event("a"))
    assert desk.wait(seconds=1) == 1


def test_until_a_second_queue(desk: Desk) -> None:
    desk.silence(desk.opened("a", site="CERN"), "second_queue")
    desk.happen(*(event("a", "CERN") for _ in range(50)))
    assert desk.wait(days=1) == 0
    desk.happen(event("a", "BNL"))
    assert desk.wait(seconds=1) == 1
    assert desk.database.fetch("SELECT end_reason FROM silences") == [{"end_reason": "it is at BNL too"}]


def test_only_its_own_end_ends_a_silence_until_fixed(desk: Desk) -> None:
    incident = desk.opened("a")
    desk.silence(incident, "fixed")
    assert desk.wait(days=60) == 0
    with desk.database.transaction() as transaction:
        act = Act("rule failure_burst", "resolve", "quiet", is_automatic=True)
        life.change(transaction, incident, IncidentState.RESOLVED, act, desk.now)
    assert desk.wait(seconds=1) == 1
    assert desk.incident("a")["state"] == "resolved" and desk.live() == []
    assert desk.database.fetch("SELECT end_reason FROM silences") == [{"end_reason": "the incident is resolved"}]


def test_automation_leaves_a_silenced_incident_alone(desk: Desk) -> None:
    incident = desk.opened("a")
    desk.silence(incident, "doubles")
    with pytest.raises(Held), desk.database.transaction() as transaction:
        act = Act("rule failure_burst", "resolve", "quiet", is_automatic=True)
        life.change(transaction, incident, IncidentState.RESOLVED, act, desk.now)


@pytest.mark.parametrize("what", ["acknowledge", "resolve", "reopen"])
def test_what_a_person_does_ends_the_silence(desk: Desk, what: str) -> None:
    incident = desk.opened("a")
    desk.silence(incident, "doubles")
    getattr(desk.store, what)(incident, "bob")
    assert desk.wait(seconds=1) == 1 and desk.live() == []
    assert desk.incident("a")["state"] == {"acknowledge": "acknowledged", "resolve": "resolved", "reopen": "open"}[what]


def test_a_silence_is_ended_by_hand_once_and_replaced_by_another(desk: Desk) -> None:
    incident = desk.opened("a")
    first = desk.silence(incident, "doubles")
    second = desk.silence(incident, "fixed")
    assert [row["silence_id"] for row in desk.live()] == [second["silence_id"]]
    with pytest.raises(Conflict):
        desk.store.end_silence(first["silence_id"], "bob")
    ended = desk.store.end_silence(second["silence_id"], "bob", "enough")
    assert ended["end_reason"] == "bob ended it" and desk.incident("a")["state"] == "open"
    with pytest.raises(UnknownObject):
        desk.store.end_silence(999_999, "bob")


def test_a_matcher_catches_what_there_is_and_what_comes(desk: Desk) -> None:
    here, there = desk.opened("a", site="CERN"), desk.opened("b", site="BNL")
    desk.store.acknowledge(desk.opened("c", site="CERN"), "bob")
    end = START + timedelta(hours=2)
    made, caught = desk.store.silence_matching({"computing_site": "CERN"}, "time", end, "ann", "downtime")
    assert caught == [here, desk.incident("c")["incident_id"]]
    later = desk.opened("d", site="CERN")
    assert desk.wait(seconds=1) == 1
    assert [desk.incident(key)["state"] for key in "abcd"] == ["silenced", "open", "silenced", "silenced"]
    assert desk.incident("b")["incident_id"] == there and desk.changes(later) == ["opened", "silenced"]
    shown = ask(desk)
    (parent,) = [row for row in shown if row["incident_id"] is None]
    assert parent["silence_id"] == made["silence_id"] and parent["caught"] == 3
    assert parent["matcher"] == {"computing_site": "CERN"} and parent["growth"] is None
    assert {row["by_silence_id"] for row in shown if row["incident_id"]} == {made["silence_id"]}
    assert desk.wait(hours=2) == 1  # and with it what it made
    assert [desk.incident(key)["state"] for key in "abcd"] == ["open", "open", "acknowledged", "open"]
    assert desk.wait(seconds=1) == 0


def _written(desk: Desk, key: str) -> dict[str, Any]:
    """What is in the tables of an incident, but for what differs from one to another."""
    incident = desk.incident(key)
    identity = {"id": incident["incident_id"]}
    statements = {
        "incident": "SELECT * FROM incidents WHERE incident_id = %(id)s",
        "activity": "SELECT * FROM incident_activity WHERE incident_id = %(id)s ORDER BY activity_id",
        "changes": "SELECT * FROM incident_changes WHERE incident_id = %(id)s ORDER BY change_seq",
        "silences": "SELECT * FROM silences WHERE incident_id = %(id)s ORDER BY silence_id",
        "audit": "SELECT * FROM audit WHERE object_kind = 'incident' AND object_id = %(id)s::text ORDER BY audit_id",
    }
    own = {"incident_id", "fingerprint", "title", "activity_id", "silence_id", "audit_id", "change_id", "object_id"}
    own |= {"modification_time", "matcher", "fingerprint_words", "sample_panda_id"}
    bare = {"audit": own | {"time"}}  # the audit's own clock
    return {
        name: [
            {column: value for column, value in row.items() if column not in bare.get(name, own)}
            for row in desk.database.fetch(statement, identity)
        ]
        for name, statement in statements.items()
    }


def test_what_a_matcher_silences_is_written_as_if_each_had_been_silenced_alone(desk: Desk) -> None:
    end, act = START + timedelta(hours=2), Act("ann", "silence", "downtime", is_automatic=True)
    for key, site in (("alone", "BNL"), ("caught", "CERN")):
        incident = desk.opened(key, site=site)
        desk.store.acknowledge(incident, "bob")
        with desk.database.transaction() as transaction:  # one that was left behind
            transaction.execute(
                "INSERT INTO silences (incident_id, until_kind, until_time, who, start_time)"
                " VALUES (%(id)s, 'time', %(end)s, 'eve', %(now)s)",
                {"id": incident, "end": end, "now": START},
            )
    with desk.database.transaction() as transaction:
        silence(transaction, desk.incident("alone")["incident_id"], Until("time", end), act, desk.now)
    desk.store.silence_matching({"computing_site": "CERN"}, "time", end, "ann", "downtime")
    alone, caught = (orjson.dumps(_written(desk, key)).decode() for key in ("alone", "caught"))
    assert caught == alone.replace("BNL", "CERN")
    assert [row["ended_by"] for row in _written(desk, "caught")["silences"]] == ["ann", ""]
    assert _written(desk, "caught")["audit"][-1]["after"] == {"state": "silenced", "held_by": "ann"}


@pytest.mark.parametrize("owner", ["", "bob"])
@pytest.mark.parametrize("kind", ["time", "fixed"])
def test_silences_that_end_together_are_written_as_if_each_had_ended_alone(desk: Desk, owner: str, kind: str) -> None:
    moment, act = START + timedelta(hours=2) if kind == "time" else None, Act("server", "unsilence", is_automatic=True)
    for key, site in (("alone", "BNL"), ("together", "CERN")):
        incident = desk.opened(key, site=site)
        if owner:
            desk.store.acknowledge(incident, owner)
        desk.silence(incident, kind, moment)
    alone, together = desk.live()
    with desk.database.transaction() as transaction:
        end(transaction, alone["silence_id"], "its time is up", act, desk.now)
        ids = [together["silence_id"], alone["silence_id"]]
        assert end_all(transaction, ids, "its time is up", act, desk.now) == 1  # the other has ended
    one, other = (orjson.dumps(_written(desk, key)).decode() for key in ("alone", "together"))
    assert other == one.replace("BNL", "CERN")
    assert desk.incident("together")["state"] == ("acknowledged" if owner else "open")


def test_many_end_in_as_many_statements_as_few(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    fetch = Transaction.fetch

    def counting(self: Transaction, statement: str, parameters: Any = None) -> Any:
        counts[-1] += 1
        return fetch(self, statement, parameters)

    for number in (2, 50):
        for place in range(number):
            desk.silence(desk.opened(f"{number} {place}", task=place), "time", desk.now + timedelta(hours=1))
        with monkeypatch.context() as patch:
            patch.setattr(Transaction, "fetch", counting)
            counts.append(0)
            assert desk.wait(hours=2) == number
    assert counts[0] == counts[1] and desk.live() == []


def test_many_are_silenced_in_as_many_statements_as_few(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    run = Transaction.execute

    def counting(self: Transaction, statement: str, parameters: Any = None) -> int:
        counts[-1] += 1
        return run(self, statement, parameters)

    for number in (2, 50):
        desk.happen(*(event(f"{number} {place}", task=place, site=f"Q{number}") for place in range(number)))
        with monkeypatch.context() as patch:
            patch.setattr(Transaction, "execute", counting)
            counts.append(0)
            matcher = {"computing_site": f"Q{number}"}
            caught = desk.store.silence_matching(matcher, "time", START + timedelta(hours=2), "ann")[1]
        assert len(caught) == number
    assert counts[0] == counts[1]


def test_very_many_are_silenced_and_freed_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("silences", "silence_keeper"):
        monkeypatch.setattr(f"logger.{module}.AT_ONCE", 2)
    monkeypatch.setattr("logger.decisions._PAGES_OF_MATCHER", 2)
    desk.happen(*(event(f"many {number}", task=number) for number in range(9)))
    made, caught = desk.store.silence_matching({"kind": "failure_burst"}, "time", START + timedelta(hours=2), "ann")
    assert len(caught) == 4
    while desk.wait(seconds=1):
        pass
    assert {desk.incident(f"many {number}")["state"] for number in range(9)} == {"silenced"}
    desk.store.end_silence(made["silence_id"], "bob")
    assert len(desk.live()) == 7
    while desk.wait(seconds=1):
        pass
    rows = [desk.incident(f"many {number}") for number in range(9)]
    assert {(row["state"], row["held_by"]) for row in rows} == {("open", "")}
    assert {row["end_reason"] for row in ask(desk, ended="1") if row["silence_id"] >= made["silence_id"]} == {
        "bob ended it"
    }


def test_what_a_person_speaks_up_for_is_caught_no_more(desk: Desk) -> None:
    incident = desk.opened("a")
    desk.store.silence_matching({"kind": "failure_burst"}, "time", START + timedelta(hours=2), "ann")
    desk.store.reopen(incident, "bob", "this one is real")
    desk.wait(seconds=1)
    desk.wait(seconds=1)
    row = desk.incident("a")
    assert (row["state"], row["held_by"]) == ("open", "bob")


def test_the_end_of_a_matchers_silence_frees_what_it_caught(desk: Desk) -> None:
    desk.opened("a")
    made, _ = desk.store.silence_matching({"class": "!network"}, "time", START + timedelta(hours=2), "ann")
    desk.store.end_silence(made["silence_id"], "bob")
    assert desk.live() == [] and desk.incident("a")["state"] == "open"


def test_the_end_of_what_a_matcher_silenced_is_somebodys_wish_until_it_is_released(desk: Desk) -> None:
    desk.opened("a")
    desk.store.silence_matching({"kind": "failure_burst"}, "time", START + timedelta(hours=2), "ann")
    (child,) = [row for row in desk.live() if row["incident_id"]]
    desk.store.end_silence(child["silence_id"], "bob", "this one is real")
    desk.wait(seconds=1)
    row = desk.incident("a")
    assert (row["state"], row["held_by"]) == ("open", "bob")
    desk.store.release(row["incident_id"], "bob")
    desk.wait(seconds=1)
    assert desk.incident("a")["state"] == "silenced"


def test_what_a_matcher_catches_while_it_ends_is_heard_again(desk: Desk) -> None:
    made, _ = desk.store.silence_matching({"kind": "failure_burst"}, "time", START + timedelta(hours=2), "ann")
    desk.opened("a")
    with desk.database.transaction() as transaction:
        (matcher,) = transaction.fetch(MATCHERS)
        desk.store.end_silence(made["silence_id"], "bob")
        assert catch(transaction, matcher, desk.now)
    assert desk.incident("a")["state"] == "silenced"
    assert desk.wait(seconds=1) == 1 and desk.live() == []
    assert desk.incident("a")["state"] == "open"


def test_what_a_matcher_silenced_is_freed_in_the_order_in_which_the_fold_locks(desk: Desk) -> None:
    late, early = desk.opened("b"), desk.opened("a")
    made, caught = desk.store.silence_matching({"kind": "failure_burst"}, "time", START + timedelta(hours=2), "ann")
    assert caught == [early, late]
    desk.store.end_silence(made["silence_id"], "bob")
    freed = desk.database.fetch(
        "SELECT incident_id FROM incident_changes WHERE what = 'unsilenced' ORDER BY change_id DESC"
    )
    assert [row["incident_id"] for row in freed[:2]] == [late, early]


def test_one_silence_that_cannot_be_ended_keeps_no_other_silent(desk: Desk) -> None:
    for key in "ab":
        desk.silence(desk.opened(key), "time", START + timedelta(hours=1))
    stuck = desk.live()[0]
    desk.database.execute(
        "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stuck'; END $$;"
        "CREATE TRIGGER stuck BEFORE UPDATE ON silences FOR EACH ROW"
        f" WHEN (OLD.silence_id = {stuck['silence_id']}) EXECUTE FUNCTION stuck()"
    )
    try:
        assert desk.wait(hours=1) == 1
        assert [desk.incident(key)["state"] for key in "ab"] == ["silenced", "open"]
    finally:
        desk.database.execute("DROP TRIGGER stuck ON silences; DROP FUNCTION stuck()")
    assert desk.wait(seconds=1) == 1 and desk.incident("a")["state"] == "open"


def test_silences_that_people_begin_and_end_are_in_the_audit(desk: Desk) -> None:
    incident, end = desk.opened("a"), START + timedelta(hours=2)
    first = desk.silence(incident, "time", end)
    second = desk.silence(incident, "doubles")
    desk.store.end_silence(second["silence_id"], "bob", "enough")
    what = {"incident_id": incident}
    assert notes(desk, first) == [
        ("ann", "begin silence", {}, {**what, "until_kind": "time", "until_time": end.isoformat()}),
        ("ann", "end silence", what, {"end_reason": "another one took its place"}),
    ]
    assert notes(desk, second) == [
        ("ann", "begin silence", {}, {**what, "until_kind": "doubles"}),
        ("bob", "end silence", what, {"end_reason": "bob ended it"}),
    ]


def test_a_matcher_is_in_the_audit_from_its_beginning_to_its_end(desk: Desk) -> None:
    desk.opened("a")
    end, matcher = START + timedelta(hours=2), {"kind": "failure_burst"}
    made, _ = desk.store.silence_matching(matcher, "time", end, "ann", "downtime")
    (child,) = [row for row in desk.live() if row["incident_id"]]
    desk.wait(hours=2)
    desk.wait(seconds=1)
    assert notes(desk, made) == [
        ("ann", "begin silence", {}, {"matcher": matcher, "until_kind": "time", "until_time": end.isoformat()}),
        ("server", "end silence", {"matcher": matcher}, {"end_reason": "its time is up"}),
    ]
    assert notes(desk, child) == []  # the row of its incident says so


def notes(desk: Desk, silence: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What the audit says of a silence, in order."""
    rows = desk.database.fetch(
        "SELECT * FROM audit WHERE object_kind = 'silence' AND object_id = %(silence_id)s::text"
        " AND time >= (SELECT max(time) FROM audit WHERE object_kind = 'silence' AND action = 'begin silence'"
        " AND object_id = %(silence_id)s::text) ORDER BY audit_id",
        silence,
    )
    return [(row["who"], row["action"], row["before"], row["after"]) for row in rows]


def test_a_matcher_that_nobody_understands_any_more_ends_and_says_so(desk: Desk) -> None:
    desk.opened("a")
    end = START + timedelta(hours=2)
    made, _ = desk.store.silence_matching({"kind": "data"}, "time", end, "ann")
    desk.database.execute('UPDATE silences SET matcher = \'{"colour": "red"}\'')
    assert desk.wait(seconds=1) == 1 and desk.wait(seconds=1) == 0
    (row,) = ask(desk, ended="1")
    assert row["silence_id"] == made["silence_id"] and "colour" in row["end_reason"]


@pytest.mark.parametrize(
    ("kind", "moment", "field"),
    [
        ("time", None, "until"),
        ("time", START - timedelta(seconds=1), "until"),
        ("time", START + timedelta(days=91), "until"),
        ("doubles", START + timedelta(hours=1), "until"),
        ("forever", None, "until_kind"),
    ],
)
def test_an_end_that_is_none_is_refused(desk: Desk, kind: str, moment: datetime | None, field: str) -> None:
    incident = desk.opened("a")
    with pytest.raises(InvalidInput) as refused:
        desk.silence(incident, kind, moment)
    assert refused.value.field == field and refused.value.remedy
    assert desk.incident("a")["state"] == "open"


@pytest.mark.parametrize(
    ("matcher", "kind", "field"),
    [
        ({}, "time", "filter"),
        ({"colour": "red"}, "time", "colour"),
        ({"hours": "1"}, "time", "hours"),
        ({"code": "x"}, "time", "code"),
        ({"owner": "x" * 4000}, "time", "matcher"),
        ({"kind": "data"}, "doubles", "until_kind"),
    ],
)
def test_a_matcher_that_is_none_is_refused(desk: Desk, matcher: dict[str, str], kind: str, field: str) -> None:
    moment = START + timedelta(hours=1) if kind == "time" else None
    with pytest.raises(InvalidInput) as refused:
        desk.store.silence_matching(matcher, kind, moment, "ann")
    assert refused.value.field == field


def test_what_is_over_cannot_be_silenced(desk: Desk) -> None:
    incident = desk.opened("a")
    desk.store.resolve(incident, "ann")
    with pytest.raises(IllegalTransition):
        desk.silence(incident, "fixed")


def test_the_list_shows_age_and_growth(desk: Desk) -> None:
    desk.happen(*(event("a") for _ in range(4)))
    desk.silence(desk.incident("a")["incident_id"], "second_queue")
    desk.happen(*(event("a") for _ in range(5)))
    desk.now += timedelta(minutes=10)
    (row,) = ask(desk)
    assert (row["age_s"], row["growth"], row["who"], row["reason"]) == (
        600,
        {"events": 5, "factor": 2.25},
        "ann",
        "known",
    )
    desk.store.end_silence(row["silence_id"], "bob")
    assert ask(desk) == []
    (over,) = ask(desk, ended="1")
    assert over["ended_by"] == "bob" and over["growth"] is None


def ask(desk: Desk, **parameters: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = silence_list(
        desk.database, read_question(parameters.items(), SILENCE_GRAMMAR, desk.now)
    )["silences"]
    return rows


def test_the_list_comes_in_pages(desk: Desk) -> None:
    for number in range(5):
        desk.silence(desk.opened(f"k{number}"), "fixed")
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = read_question({"limit": "2", "cursor": cursor}.items(), SILENCE_GRAMMAR, desk.now)
        answer = silence_list(desk.database, asked)
        found += [row["title"] for row in answer["silences"]]
        cursor = answer["next_cursor"]
    assert found == ["k4", "k3", "k2", "k1", "k0"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30m", START + timedelta(minutes=30)),
        ("1d 12h", START + timedelta(hours=36)),
        ("18:00", START.replace(hour=18)),
        ("9:30", START.replace(day=5, hour=9, minute=30)),
        ("2026-03-05T08:00", datetime(2026, 3, 5, 8, tzinfo=UTC)),
        ("2026-03-05T08:00+01:00", datetime(2026, 3, 5, 7, tzinfo=UTC)),
        (" ", None),
    ],
)
def test_how_people_write_a_time(text: str, moment: datetime | None) -> None:
    assert read_moment(text, START) == moment


@pytest.mark.parametrize("text", ["soon", "9999d9999d", "2026-13-01", "5", "0001-01-01T00:00+20:00", "25:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_moment(text, START)


def test_shifts_change_at_their_times() -> None:
    changes = ("07:00", "15:00", "23:00")
    assert next_change(changes, START) == START.replace(hour=15)
    assert next_change(changes, START.replace(hour=15)) == START.replace(hour=23)
    assert next_change(changes, START.replace(hour=23, minute=30)) == START.replace(day=5, hour=7)
