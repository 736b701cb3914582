"""The shift log: a draft from real deeds, an edit that is kept, signatures by two people, and Markdown nobody can forge."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest

from core import audit
from core.database import Database
from core.errors import Conflict, InvalidInput, UnknownObject
from core.states import IncidentState
from logger import life, silences
from logger.deeds import undo
from logger.life import Act
from logger.reading.shifts import shift_detail, shift_markdown
from logger.shifts import signing
from logger.shifts.calendar import is_overdue, watch_at
from logger.shifts.signing import TextChanged, digest_of
from logger.silences import Until
from logger.store import IncidentStore
from tests.logger.builders import end_jobs
from tests.logger.deeds.builders import OLGA, HeldClock, audit_of, do, make_incident
from tests.support.builders import activate, make_queue

CHANGES = ("07:00", "15:00", "23:00")
GOES = Act("olga", "", via="cli", roles=frozenset({"operator"}))
COMES = Act("otto", "", via="web", roles=frozenset({"operator"}))


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def begin(database: Database, clock: HeldClock, *people: str) -> int:
    clock.advance(-0.001)
    row = signing.start(database, people, GOES, clock(), changes=CHANGES)
    clock.advance(0.001)
    return int(row["shift_id"])


def test_the_draft_is_made_of_what_was_done(database: Database, clock: HeldClock) -> None:
    for name in ("CERN", "BNL"):
        make_queue(database, name)
    shift = begin(database, clock, "olga", "ann")
    key = make_incident(database, title="disk full at CERN", severity="critical", verdict="site", verdict_value="CERN")
    quiet = make_incident(database, title="slow at BNL", severity="warning")
    clock.advance(60)
    do(database, "acknowledge", OLGA, clock, incidents=[key], reason="looking at it")
    silence = do(database, "silence", OLGA, clock, {"until_kind": "doubles"}, incidents=[quiet], reason="known")
    drain = do(database, "drain", OLGA, clock, {"until": "2h"}, queues=["CERN"], incidents=[])
    offline = do(database, "offline", OLGA, clock, queues=["BNL"])
    undo(database, offline["deed_id"], OLGA, "wrong one", clock)
    jobs = activate(database, 3, queue="BNL", user="alice")
    do(database, "kill", OLGA, clock, jobs=jobs, reason="runaway")
    over = make_incident(database, title="old trouble")
    with database.transaction() as transaction:
        life.change(transaction, over, IncidentState.RESOLVED, Act("ann", "resolve", "fixed the cable"), clock())
    signing.note(database, shift, "cooling is being repaired", GOES, clock(), incident_id=key)
    clock.advance(60)
    text = signing.draft_of(database, shift, clock())
    for words in (
        f"**critical** incident {key} disk full at CERN; acknowledged; site CERN; with olga",
        f"olga: drain queue CERN, until {drain['revert_time']:%Y-%m-%d %H:%M} UTC (deed {drain['deed_id']})",
        f"olga: undid deed {offline['deed_id']} queue BNL",
        f"(deed {offline['deed_id']}); undone by olga",
        "olga: kill job",
        "runaway",
        f"incident {quiet} slow at BNL: until its count doubles, by olga: known",
        f"CERN: drain by olga ends {drain['revert_time']:%Y-%m-%d %H:%M} UTC",
        f"incident {over} old trouble resolved by ann: fixed the cable",
        f"olga (incident {key}): cooling is being repaired",
        "by olga, ann",
    ):
        assert words in text, words
    assert text.index("disk full at CERN; acknowledged") < text.index("slow at BNL; silenced")  # worst first
    assert silence["deed_id"] and "## Open now, worst first" in text


def test_what_is_done_to_an_incident_is_said_once(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock, "olga")
    one, other = (make_incident(database, title=title, job_count=1) for title in ("this", "that"))
    store = IncidentStore(database, clock)
    store.silence(one, "doubles", None, Act("olga", ""), "known")
    store.merge(one, other, Act("olga", ""), "same cause")
    store.silence_matching({"kind": "data"}, "time", clock() + timedelta(hours=1), Act("olga", ""), "downtime")
    done = signing.draft_of(database, shift, clock() + timedelta(seconds=1)).split("## Done\n")[1].split("\n## ")[0]
    lines = [line for line in done.splitlines() if line.startswith("- ")]
    assert [line.split(": ")[1].split(" (")[0] for line in lines] == [
        f"silence incident {one}",
        f"merge incident {one}",
        f"merge incident {other}",
        lines[3].split(": ")[1].split(" (")[0],
    ]
    assert "begin silence" in lines[3] and "data" in lines[3]


def test_what_was_changed_directly_is_said_in_words(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock, "olga")
    after = {"hold_until": "2026-11-27T02:50:47.288404+00:00", "comment": "", "groups": ["higgs", "top"]}
    with database.transaction() as transaction:
        audit.note(transaction, "olga", "set account", "user", "bob", {}, after)
    clock.advance(60)
    text = signing.draft_of(database, shift, clock())
    assert "set account user bob (groups higgs, top, hold until 2026-11-27 02:50 UTC)" in text


@pytest.mark.parametrize("words", ["", "All quiet.\n\n---\n\nNothing else, and no line at its end"])
def test_the_digest_of_the_document_is_that_of_the_text_above_its_line(
    database: Database, clock: HeldClock, words: str
) -> None:
    shift = begin(database, clock, "olga")
    signing.edit(database, shift, words, GOES, clock())
    signing.sign_out(database, shift, GOES, clock())
    clock.advance(60)
    signing.note(database, shift, "one more thing", GOES, clock())
    document = shift_markdown(database, shift, clock())
    above, _, below = document.rpartition("\n\n---\n")
    assert f"`{signing.digest_of(above)}`" in below and "one more thing" in below and "one more thing" not in above


def test_notes_and_edits_are_in_the_audit(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock, "olga")
    made = signing.note(database, shift, "cooling is being repaired", GOES, clock())
    signing.edit(database, shift, "In my words.", COMES, clock())
    _, note, edit = audit_of(database, "shift", shift)
    assert (note["who"], note["action"], note["via"]) == ("olga", "note", "cli")
    assert note["after"] == {"note_id": made["note_id"], "text": "cooling is being repaired"}
    assert (edit["who"], edit["action"]) == ("otto", "edit draft")
    assert edit["after"] == {"is_edited": True, "text_sha256": signing.digest_of("In my words.")}


def test_what_was_before_the_shift_is_not_in_it(database: Database, clock: HeldClock) -> None:
    key = make_incident(database)
    do(database, "acknowledge", OLGA, clock, incidents=[key], reason="before")
    clock.advance(60)
    shift = begin(database, clock)
    text = signing.draft_of(database, shift, clock())
    assert "before" not in text.split("## Done")[1] and f"incident {key}" in text.split("## Opened")[0]


def test_an_edit_is_kept_and_what_happened_since_is_shown_beside_it(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock)
    written = signing.edit(database, shift, "# My words\n", GOES, clock())
    make_queue(database, "CERN")
    clock.advance(10)
    do(database, "offline", OLGA, clock, queues=["CERN"], reason="it burns")
    clock.advance(10)
    answer = shift_detail(database, shift, clock(), CHANGES)
    assert answer["draft"] == "# My words\n" and answer["shift"]["is_edited"]
    assert any("it burns" in line for line in answer["difference"] if line.startswith("+"))
    with pytest.raises(Conflict, match="edited it meanwhile"):
        signing.edit(database, shift, "mine", COMES, clock(), seen=written["draft_time"] - timedelta(seconds=5))
    signing.edit(database, shift, "ours", COMES, clock(), seen=written["draft_time"])
    signing.edit(database, shift, "", GOES, clock())  # back to what is made of the deeds
    answer = shift_detail(database, shift, clock(), CHANGES)
    assert "it burns" in answer["draft"] and answer["difference"] == []


def test_who_comes_is_somebody_else_and_begins_the_next_shift(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock, "olga")
    with pytest.raises(Conflict, match="nobody has signed"):
        signing.sign_in(database, shift, COMES, clock())
    clock.advance(3600)
    signed = signing.sign_out(database, shift, GOES, clock())
    assert signed["digest"] == signing.digest_of(signed["draft"]) and signed["state"] == "running"
    with pytest.raises(Conflict, match="somebody else takes over"):
        signing.sign_in(database, shift, GOES, clock())
    with pytest.raises(Conflict, match="signed anew"):
        signing.sign_in(database, shift, COMES, clock(), digest="0" * 64)
    clock.advance(60)
    following = signing.sign_in(database, shift, COMES, clock(), people=["otto", "ann"], digest=signed["digest"])
    assert (following["previous_id"], following["people"], following["state"]) == (shift, ["otto", "ann"], "running")
    row = signing.shift_row(database, shift)
    assert (row["state"], row["outgoing_by"], row["incoming_by"]) == ("handed_over", "olga", "otto")
    assert row["draft"] == signed["draft"] and row["end_time"] == clock()
    actions = [entry["action"] for entry in audit_of(database, "shift", shift)]
    assert actions == ["begin shift", "sign out", "sign in"]
    with pytest.raises(Conflict, match="was handed over"):
        signing.note(database, shift, "late", GOES, clock())
    with pytest.raises(Conflict, match="was handed over"):
        signing.edit(database, shift, "late", GOES, clock())
    with pytest.raises(Conflict, match="was handed over"):
        signing.sign_out(database, shift, GOES, clock())
    with pytest.raises(Conflict, match="was handed over"):
        signing.sign_in(database, shift, COMES, clock())


def test_who_goes_signs_the_text_that_was_read_or_nothing(database: Database, clock: HeldClock) -> None:
    make_queue(database, "CERN")
    shift = begin(database, clock)
    key = make_incident(database, title="slow tape", record_count=3)
    with database.transaction() as transaction:
        until = Until("doubles")
        silences.silence(transaction, make_incident(database, record_count=20), until, Act("olga", "silence"), clock())
    clock.advance(60)  # the rows of the audit have the time of the database
    read = shift_detail(database, shift, clock(), CHANGES)
    # only the clock and the counts go on: that is still what was read
    clock.advance(90)
    end_jobs(database, 5)
    database.execute("UPDATE incidents SET record_count = record_count + 40, lost_core_s = incident_id")
    moved = shift_detail(database, shift, clock(), CHANGES)
    assert moved["draft"] != read["draft"] and moved["draft_digest"] == read["draft_digest"]
    clock.advance(1)
    do(database, "offline", OLGA, clock, queues=["CERN"], reason="it burns")
    clock.advance(1)
    with pytest.raises(TextChanged, match="more has happened") as caught:
        signing.sign_out(database, shift, GOES, clock(), digest=read["draft_digest"])
    assert (caught.value.code, caught.value.field) == ("text_changed", "digest")
    assert signing.shift_row(database, shift)["outgoing_by"] == "" and len(audit_of(database, "shift", shift)) == 1
    again = shift_detail(database, shift, clock(), CHANGES)
    assert f"incident {key}" in again["draft"] and "it burns" in again["draft"]
    clock.advance(30)
    signed = signing.sign_out(database, shift, GOES, clock(), digest=again["draft_digest"])
    assert "it burns" in signed["draft"] and signed["digest"] == digest_of(signed["draft"])
    assert shift_detail(database, shift, clock(), CHANGES)["draft_digest"] == signed["digest"]


@pytest.mark.parametrize("change", ["note", "resolve", "verdict", "severity"])
def test_whatever_else_is_said_is_another_text(database: Database, clock: HeldClock, change: str) -> None:
    shift = begin(database, clock)
    key = make_incident(database)
    read = shift_detail(database, shift, clock(), CHANGES)["draft_digest"]
    clock.advance(1)
    if change == "note":
        signing.note(database, shift, "one thing more", COMES, clock())
    elif change == "resolve":
        with database.transaction() as transaction:
            life.change(transaction, key, IncidentState.RESOLVED, Act("ann", "resolve"), clock())
    else:
        value = {"verdict": "central", "severity": "critical"}[change]
        database.execute(
            f"UPDATE incidents SET {change} = %(value)s WHERE incident_id = %(key)s", {"value": value, "key": key}
        )
    clock.advance(1)
    with pytest.raises(TextChanged):
        signing.sign_out(database, shift, GOES, clock(), digest=read)


def test_an_edited_text_is_signed_as_it_was_read_or_not_at_all(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock)
    fresh = shift_detail(database, shift, clock(), CHANGES)["draft_digest"]
    signing.edit(database, shift, "# My words\n", GOES, clock())
    with pytest.raises(TextChanged, match="edited"):
        signing.sign_out(database, shift, GOES, clock(), digest=fresh)
    mine = shift_detail(database, shift, clock(), CHANGES)["draft_digest"]
    signing.note(database, shift, "what happens beside it is not in it", GOES, clock())
    assert signing.sign_out(database, shift, GOES, clock(), digest=mine)["draft"] == "# My words\n"
    signing.edit(database, shift, "# Our words\n", COMES, clock())
    with pytest.raises(TextChanged):
        signing.sign_out(database, shift, GOES, clock(), digest=mine)
    signing.edit(database, shift, "", COMES, clock())
    with pytest.raises(TextChanged):
        signing.sign_out(database, shift, GOES, clock(), digest=digest_of("# Our words\n"))


def test_to_sign_anew_what_was_signed_signs_that_text(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock)
    signed = signing.sign_out(database, shift, GOES, clock())
    clock.advance(60)
    signing.note(database, shift, "and then the pumps failed", GOES, clock())
    again = signing.sign_out(database, shift, Act("ann", ""), clock(), digest=signed["digest"])
    assert (again["draft"], again["outgoing_by"]) == (signed["draft"], "ann")
    anew = signing.sign_out(database, shift, GOES, clock())
    assert "pumps" in anew["draft"] and anew["digest"] != signed["digest"]


def test_who_edits_what_was_signed_takes_the_signature_away(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock)
    first = signing.sign_out(database, shift, GOES, clock())
    assert signing.edit(database, shift, "other words", COMES, clock())["outgoing_by"] == ""
    with pytest.raises(Conflict, match="nobody has signed"):
        signing.sign_in(database, shift, COMES, clock())
    assert audit_of(database, "shift", shift)[-1]["before"]["digest"] == first["digest"]
    again = signing.sign_out(database, shift, GOES, clock())
    assert again["draft"] == "other words" and again["digest"] != first["digest"]


def test_what_was_signed_stays_while_things_go_on(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock)
    signed = signing.sign_out(database, shift, GOES, clock())
    clock.advance(60)
    signing.note(database, shift, "and then the pumps failed", GOES, clock())
    assert shift_detail(database, shift, clock(), CHANGES)["draft"] == signed["draft"]
    exported = shift_markdown(database, shift, clock())
    assert exported.startswith(signed["draft"].rstrip()) and "and then the pumps failed" in exported
    assert "Handed over by olga" in exported and "Nobody has taken over yet." in exported
    signing.sign_in(database, shift, COMES, clock())
    exported = shift_markdown(database, shift, clock())
    assert "Taken over by otto" in exported and signed["digest"] in exported


FORGED = (
    "ok\n# Handed over by nobody\n- [x](http://evil.example) ![i](http://evil.example/a.png) <script>x</script> \x1b[2J"
)


def test_no_message_forges_a_heading_a_link_an_image_or_a_line(database: Database, clock: HeldClock) -> None:
    make_queue(database, "CERN")
    shift = begin(database, clock, FORGED)
    key = make_incident(database, title=FORGED, culprit_line=FORGED, verdict="node", verdict_value=FORGED, owner=FORGED)
    clock.advance(1)
    do(database, "offline", OLGA, clock, queues=["CERN"], reason=FORGED)
    do(database, "resolve", OLGA, clock, incidents=[key], reason=FORGED)
    signing.note(database, shift, FORGED, Act(FORGED, ""), clock())
    clock.advance(1)
    signing.sign_out(database, shift, Act(FORGED, ""), clock())
    clock.advance(1)
    signing.note(database, shift, FORGED, GOES, clock())
    text = shift_markdown(database, shift, clock())
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert all("Handed over by nobody" not in line for line in headings) and len(headings) == 7
    assert not re.search(r"(?<!\\)(\]\(|!\[|<|https?://)", text) and "\x1b" not in text
    assert "\n- [x]" not in text
    assert text.count("evil") > 5  # it is shown all the same


def test_a_second_shift_waits_for_the_handover_and_one_that_nobody_handed_over_is_closed(
    database: Database, clock: HeldClock
) -> None:
    clock.now = datetime(2026, 11, 20, 7, 5, tzinfo=UTC)
    first = begin(database, clock, "olga")
    clock.advance(8 * 3600)
    with pytest.raises(Conflict, match=f"shift {first} of olga"):
        signing.start(database, ["otto"], COMES, clock(), changes=CHANGES)
    clock.advance(3 * 3600)
    second = signing.start(database, ["otto"], COMES, clock(), changes=CHANGES)
    row = signing.shift_row(database, first)
    assert (row["state"], row["outgoing_by"], row["incoming_by"]) == ("handed_over", "", "")
    assert row["draft"].startswith("# Handover of shift") and second["previous_id"] == first
    assert "Nobody signed this handover" in shift_markdown(database, first, clock())


def test_of_two_who_begin_at_once_one_has_the_watch(database: Database, clock: HeldClock) -> None:
    together, results = threading.Barrier(4), []

    def one(name: str) -> None:
        together.wait()
        try:
            results.append(signing.start(database, [name], Act(name, ""), clock(), changes=CHANGES)["state"])
        except Conflict:
            results.append("conflict")

    threads = [threading.Thread(target=one, args=(f"p{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["conflict"] * 3 + ["running"]


def test_of_two_who_sign_in_at_once_one_takes_over(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock)
    signing.sign_out(database, shift, GOES, clock())
    together, results = threading.Barrier(4), []

    def one(name: str) -> None:
        together.wait()
        try:
            results.append(signing.sign_in(database, shift, Act(name, ""), clock())["people"][0])
        except Conflict:
            results.append("")

    threads = [threading.Thread(target=one, args=(f"p{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(bool, results)) == [False, False, False, True]
    assert len(database.fetch("SELECT 1 FROM shifts WHERE state = 'running'")) == 1


def test_what_makes_no_sense_is_refused(database: Database, clock: HeldClock) -> None:
    shift = begin(database, clock)
    with pytest.raises(InvalidInput, match="nothing is said"):
        signing.note(database, shift, " \x00 ", GOES, clock())
    with pytest.raises(UnknownObject, match="no incident"):
        signing.note(database, shift, "x", GOES, clock(), incident_id=10**12)
    with pytest.raises(UnknownObject, match="no shift"):
        signing.note(database, shift + 1000, "x", GOES, clock())
    with pytest.raises(InvalidInput, match="people"):
        signing.start(database, ["", " "], GOES, clock(), changes=CHANGES, name="other")


@pytest.mark.parametrize(
    ("hour", "minute", "begins", "ends"),
    [(7, 0, 7, 15), (14, 59, 7, 15), (15, 0, 15, 23), (23, 30, 23, 31), (3, 0, -1, 7)],
)
def test_the_watch_that_a_moment_is_in(hour: int, minute: int, begins: int, ends: int) -> None:
    day = datetime(2026, 11, 26, tzinfo=UTC)
    start, end = watch_at(CHANGES, day + timedelta(hours=hour, minutes=minute))
    assert (start, end) == (day + timedelta(hours=begins), day + timedelta(hours=ends))


def test_who_comes_early_has_the_watch_after_the_change() -> None:
    start = datetime(2026, 11, 26, 6, 45, tzinfo=UTC)
    assert not is_overdue(start, CHANGES, start + timedelta(hours=10))
    assert is_overdue(start, CHANGES, start + timedelta(hours=10, minutes=30))
