"""Begins shifts, takes notes, keeps the text of a handover, and has it signed by both: who goes and who comes.

Who comes is somebody else than who goes, and signs the text that was signed: it is frozen by its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import psycopg2.errors

from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from core.text import clean
from core.wording import moment
from logger import life
from logger.life import Act
from logger.shifts.calendar import is_overdue
from logger.shifts.draft import draft
from logger.shifts.facts import read_facts

NAME = "shift"
RUNNING, HANDED_OVER = "running", "handed_over"
MAX_NOTE = 4000
MAX_DRAFT = 200_000
MAX_PEOPLE = 20

# primary key
_ONE = "SELECT * FROM shifts WHERE shift_id = %(shift_id)s"
_LOCK = f"{_ONE} FOR UPDATE"
# uq_shifts_running
_RUNNING = "SELECT * FROM shifts WHERE name = %(name)s AND state = 'running'"
_BEGIN = """
INSERT INTO shifts (name, start_time, people, previous_id)
VALUES (%(name)s, %(now)s, %(people)s::jsonb, %(previous_id)s) RETURNING *
"""
_NOTE = """
INSERT INTO shift_notes (shift_id, time, who, text, incident_id)
VALUES (%(shift_id)s, %(now)s, %(who)s, %(text)s, %(incident_id)s) RETURNING *
"""
_INCIDENT = "SELECT 1 FROM incidents WHERE incident_id = %(incident_id)s"
_EDIT = """
UPDATE shifts SET draft = %(text)s, draft_time = %(now)s, is_edited = %(is_edited)s,
                  outgoing_by = '', outgoing_time = NULL, digest = ''
WHERE shift_id = %(shift_id)s RETURNING *
"""
_SIGN_OUT = """
UPDATE shifts SET draft = %(text)s, draft_time = %(now)s, outgoing_by = %(who)s, outgoing_time = %(now)s,
                  digest = %(digest)s
WHERE shift_id = %(shift_id)s RETURNING *
"""
_SIGN_IN = """
UPDATE shifts SET state = 'handed_over', end_time = %(now)s, incoming_by = %(who)s, incoming_time = %(now)s
WHERE shift_id = %(shift_id)s
"""
_CLOSE_UNSIGNED = """
UPDATE shifts SET state = 'handed_over', end_time = %(now)s, draft = CASE WHEN is_edited THEN draft ELSE %(text)s END,
                  draft_time = %(now)s
WHERE shift_id = %(shift_id)s
"""


def running_shift(database: Database | Transaction, name: str = NAME) -> Row | None:
    """The shift that has the watch; None when nobody has."""
    return database.fetch_one(_RUNNING, {"name": name})


def shift_row(database: Database | Transaction, shift_id: int) -> Row:
    """One shift. Raises UnknownObject."""
    row = database.fetch_one(_ONE, {"shift_id": shift_id})
    if row is None:
        raise UnknownObject(f"there is no shift {shift_id}", field="shift_id", remedy="see `panda shift show`")
    return row


class TextChanged(Conflict):
    """The text is not the one that was read, so that it is not signed."""

    code = "text_changed"


@dataclass(frozen=True)
class Written:
    """A handover as it would be written now. `digest`: of what it says, the same while only the clock and counts move on:
    at a busy site nobody could sign otherwise what was read a minute ago."""

    text: str
    digest: str


def written_now(database: Database, shift: Row, now: datetime) -> Written:
    """The handover of a shift as it would be written now, whatever somebody made of it."""
    facts = read_facts(database, shift, now)
    return Written(draft(facts), digest_of(draft(facts.at_rest())))


def draft_of(database: Database, shift_id: int, now: datetime) -> str:
    """The text of that."""
    return written_now(database, shift_row(database, shift_id), now).text


def start(
    database: Database, people: Sequence[str], act: Act, now: datetime, *, changes: Sequence[str], name: str = NAME
) -> Row:
    """Begin a shift where nobody has the watch. One that nobody handed over long after its time is closed unsigned.

    Raises InvalidInput, and Conflict while another is running: that one is handed over by signing.
    """
    names = _checked_people(people or [act.who])
    name = clean(name, 100).strip() or NAME
    present = running_shift(database, name)
    if present is not None and not is_overdue(present["start_time"], changes, now):
        raise _is_running(present, now)
    try:
        # what there is to be read for the handover is read before anything is locked
        text = draft_of(database, present["shift_id"], now) if present is not None else ""
        with database.transaction() as transaction:
            if present is not None:
                transaction.execute(_CLOSE_UNSIGNED, {"shift_id": present["shift_id"], "now": now, "text": text})
                life.note(
                    transaction,
                    act,
                    "shift",
                    present["shift_id"],
                    {"state": RUNNING},
                    {"state": HANDED_OVER},
                    "close shift",
                )
            return _begin(transaction, name, names, act, now, present["shift_id"] if present is not None else None)
    except psycopg2.errors.UniqueViolation as error:
        raise Conflict(
            "somebody began a shift at the same time", field="name", remedy="look who has the watch"
        ) from error


def note(database: Database, shift_id: int, text: str, act: Act, now: datetime, incident_id: int | None = None) -> Row:
    """Write something down for those who come. Raises InvalidInput, UnknownObject, Conflict when the shift is over."""
    words = clean(text, MAX_NOTE).strip()
    if not words:
        raise InvalidInput("nothing is said", field="text", remedy="write a sentence")
    with database.transaction() as transaction:
        _running(transaction, shift_id)
        if incident_id is not None and transaction.fetch_one(_INCIDENT, {"incident_id": incident_id}) is None:
            raise UnknownObject(
                f"there is no incident {incident_id}", field="incident_id", remedy="see `panda incidents state=*`"
            )
        values = {"shift_id": shift_id, "now": now, "who": act.who, "text": words, "incident_id": incident_id}
        made = transaction.fetch(_NOTE, values)[0]
        life.note(
            transaction, act, "shift", shift_id, {}, {"note_id": made["note_id"], "text": clean(words, 500)}, "note"
        )
        return made


def edit(database: Database, shift_id: int, text: str, act: Act, now: datetime, seen: datetime | None = None) -> Row:
    """Put a text of one's own in the place of the draft, or with an empty one the draft back in its place.

    `seen`: the `draft_time` that the editor began with; somebody else's edit since then is a Conflict. Whoever edits what
    was signed takes the signature away: it was of another text.
    """
    if len(text) > MAX_DRAFT:
        raise InvalidInput(f"{len(text):,} characters", field="draft", remedy=f"at most {MAX_DRAFT:,}")
    words = clean(text, MAX_DRAFT)
    with database.transaction() as transaction:
        row = _running(transaction, shift_id)
        if seen is not None and row["is_edited"] and row["draft_time"] != seen:
            raise Conflict(
                "somebody else has edited it meanwhile", field="draft", remedy="read it again and bring your words in"
            )
        values = {"shift_id": shift_id, "text": words, "now": now, "is_edited": bool(words.strip())}
        changed = transaction.fetch(_EDIT, values)[0]
        # the texts are long, and the audit is for ever: which they were is told by their digests
        before = {"is_edited": row["is_edited"], "text_sha256": digest_of(row["draft"])}
        after = {"is_edited": changed["is_edited"], "text_sha256": digest_of(words)}
        if row["outgoing_by"]:
            before |= {"outgoing_by": row["outgoing_by"], "digest": row["digest"]}
            after |= {"outgoing_by": "", "digest": ""}
        action = "edit signed draft" if row["outgoing_by"] else "edit draft"
        life.note(transaction, act, "shift", shift_id, before, after, action)
        return changed


def sign_out(database: Database, shift_id: int, act: Act, now: datetime, *, digest: str = "") -> Row:
    """Sign as one who goes: the text as it stands is what is handed over. To sign anew freezes it anew.

    `digest`: of the text that was read (`draft_digest` of the shift); when that says something else by now, TextChanged.
    """
    written = written_now(database, shift_row(database, shift_id), now)
    with database.transaction() as transaction:
        row = _running(transaction, shift_id)
        words = _read_and_standing(row, written, digest)
        values = {"shift_id": shift_id, "text": words, "now": now, "who": act.who, "digest": digest_of(words)}
        signed = transaction.fetch(_SIGN_OUT, values)[0]
        before = {"outgoing_by": row["outgoing_by"], "digest": row["digest"]}
        after = {"outgoing_by": act.who, "digest": signed["digest"]}
        life.note(transaction, act, "shift", shift_id, before, after, "sign out")
        return signed


def sign_in(
    database: Database, shift_id: int, act: Act, now: datetime, *, people: Sequence[str] = (), digest: str = ""
) -> Row:
    """Sign as one who comes, and begin the next shift, which is returned.

    `digest`: of the text that was read; another one that was signed meanwhile is a Conflict. Raises Conflict for the person
    who went, and while nobody has signed out.
    """
    names = _checked_people(people or [act.who])
    with database.transaction() as transaction:
        row = _running(transaction, shift_id)
        if not row["outgoing_by"]:
            raise Conflict(
                f"nobody has signed shift {shift_id} yet", field="shift_id", remedy="who goes signs out first"
            )
        if row["outgoing_by"] == act.who:
            raise Conflict(
                f"{act.who} has signed out: somebody else takes over", field="shift_id", remedy="let them sign in"
            )
        if digest and digest != row["digest"]:
            raise TextChanged(
                "the text was signed anew meanwhile", field="digest", remedy="read it again, and sign that"
            )
        transaction.execute(_SIGN_IN, {"shift_id": shift_id, "now": now, "who": act.who})
        after = {"state": HANDED_OVER, "incoming_by": act.who, "digest": row["digest"]}
        life.note(transaction, act, "shift", shift_id, {"state": RUNNING, "incoming_by": ""}, after, "sign in")
        return _begin(transaction, row["name"], names, act, now, shift_id)


def _read_and_standing(row: Row, written: Written, digest: str) -> str:
    """The text that is signed. Raises TextChanged when it is not the one that was read."""
    if row["outgoing_by"] and digest == row["digest"]:
        return str(row["draft"])
    standing = Written(row["draft"], digest_of(row["draft"])) if row["is_edited"] else written
    if digest and digest != standing.digest:
        what = "somebody has edited it" if row["is_edited"] else "more has happened"
        raise TextChanged(f"{what} since this text was read", field="digest", remedy="read it again, and sign that")
    return standing.text


def digest_of(text: str) -> str:
    """What both signatures are of: SHA-256 of the text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _begin(
    transaction: Transaction, name: str, people: list[str], act: Act, now: datetime, previous_id: int | None
) -> Row:
    values = {"name": name, "now": now, "people": orjson.dumps(people).decode(), "previous_id": previous_id}
    row = transaction.fetch(_BEGIN, values)[0]
    life.note(transaction, act, "shift", row["shift_id"], {}, {"name": name, "people": people}, "begin shift")
    return row


def _running(transaction: Transaction, shift_id: int) -> Row:
    row = transaction.fetch_one(_LOCK, {"shift_id": shift_id})
    if row is None:
        raise UnknownObject(f"there is no shift {shift_id}", field="shift_id", remedy="see `panda shift show`")
    if row["state"] != RUNNING:
        raise Conflict(f"shift {shift_id} was handed over", field="shift_id", remedy="the running one takes that")
    return row


def _is_running(row: Row, now: datetime) -> Conflict:
    people = ", ".join(row["people"])
    return Conflict(
        f"shift {row['shift_id']} of {people} has been running since {moment(row['start_time'], now)}",
        field="name",
        remedy="who goes signs out, who comes signs in: that begins the next",
    )


def _checked_people(people: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(clean(name, 100).strip() for name in people))
    if not names or not all(names) or len(names) > MAX_PEOPLE:
        raise InvalidInput("no list of people", field="people", remedy=f"1 to {MAX_PEOPLE} names")
    return names
