"""What people decide of incidents: one method for each, in one transaction, with the incident's row as its answer.

Knows the order of an incident's life and whose word counts; rules, records and failed jobs have other doors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from core.clock import Clock, utc_now
from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput
from core.states import IncidentState
from core.text import clean
from logger import grouping, life, silences
from logger.events import Severity
from logger.life import Act
from logger.manual import ManualIncident, open_manually
from logger.severity import SEVERITIES
from logger.showing import incident_row
from logger.silence_keeper import catch
from logger.texts import one_line

Ending = Literal["fixed", "not_a_problem", "duplicate", "moved", ""]
"""Why a person resolves an incident; empty: as the comment says."""

ENDINGS: dict[str, str] = {
    "fixed": "fixed",
    "not_a_problem": "not a problem",
    "duplicate": "a duplicate",
    "moved": "followed up elsewhere",
}
"""In words."""

MOST_LINKS = 20
_PAGES_OF_MATCHER = 10
_URL = re.compile(r"https?://[^\s<>\"']{1,2000}", re.IGNORECASE)


class Decisions:
    """What people may do to incidents. `act` says who does it, why and from where."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def acknowledge(self, incident_id: int, who: str | Act, comment: str = "") -> Row:
        """`who` takes the incident; one that a central trouble explained stands for itself from then on.

        Returns its row. Raises UnknownObject and IllegalTransition.
        """
        act = _act(who, "acknowledge", comment)

        def step(transaction: Transaction, now: datetime) -> None:
            state = life.locked(transaction, incident_id)["state"]
            free: dict[str, Any] = {"held_by": ""} if state == IncidentState.SILENCED else {}
            life.change(transaction, incident_id, IncidentState.ACKNOWLEDGED, act, now, inhibited_by=None, **free)

        return self._decide(incident_id, step)

    def resolve(self, incident_id: int, who: str | Act, comment: str = "", reason: Ending = "") -> Row:
        """The trouble is over; if it comes back it is a new incident. Returns the row; raises as `acknowledge`."""
        if reason not in get_args(Ending):
            wanted = ", ".join(ENDINGS)
            raise InvalidInput(
                f"{reason[:40]!r} is no reason", field="reason", remedy=f"one of {wanted}, or leave it out"
            )
        words = ": ".join(filter(None, (ENDINGS.get(reason, ""), _act(who, "", comment).comment)))
        act = _act(who, "resolve", words, replaces=True)
        return self._decide(
            incident_id,
            lambda transaction, now: life.change(transaction, incident_id, IncidentState.RESOLVED, act, now),
        )

    def reopen(self, incident_id: int, who: str | Act, comment: str = "") -> Row:
        """It was not over, nobody has it any more, or it is silenced no longer; a candidate becomes an incident.

        Automation neither ends nor silences it until it is released, unless it was only given back.
        Returns the row; raises as `acknowledge`, and Conflict when the same trouble has a newer incident.
        """
        act = _act(who, "reopen", comment)

        def step(transaction: Transaction, now: datetime) -> None:
            state = life.locked(transaction, incident_id)["state"]
            target = IncidentState.REOPENED if state == IncidentState.RESOLVED else IncidentState.OPEN
            held: dict[str, Any] = {"held_by": clean(act.who, 200)} if state == IncidentState.SILENCED else {}
            life.change(transaction, incident_id, target, act, now, **held)

        return self._decide(incident_id, step)

    def assign(self, incident_id: int, to: str, who: str | Act, comment: str = "") -> Row:
        """Ask somebody to look; an empty name asks nobody any more. Returns the row; raises UnknownObject and Conflict."""
        name = one_line(to, 200).strip()
        act = _act(who, "assign", comment)
        told = Act(
            act.who, act.action, ": ".join(filter(None, (name or "nobody", act.comment))), False, act.via, act.roles
        )
        return self._touch(incident_id, told, "assigned" if name else "", assigned_to=name)

    def comment(self, incident_id: int, who: str | Act, comment: str = "") -> Row:
        """Write down what is known of it. Returns the row; raises UnknownObject, and InvalidInput for nothing."""
        act = _act(who, "comment", comment)
        if not act.comment.strip():
            raise InvalidInput("there is nothing in it", field="comment", remedy="say something")
        return self._decide(incident_id, lambda transaction, now: life.touch(transaction, incident_id, act, now))

    def hold(self, incident_id: int, who: str | Act, comment: str = "") -> Row:
        """Automation neither ends it nor changes how severe it is, until it is released. Returns the row."""
        act = _act(who, "hold", comment)
        return self._touch(incident_id, act, held_by=clean(act.who, 200))

    def release(self, incident_id: int, who: str | Act, comment: str = "") -> Row:
        """Automation may end it again. One that a central trouble explains stands for itself instead, for good: it is
        held by whoever said so. Returns the row."""
        act = _act(who, "release", comment)

        def step(transaction: Transaction, now: datetime) -> None:
            row = life.locked(transaction, incident_id)
            _must_live(row)
            held = "" if row["inhibited_by"] is None else clean(act.who, 200)
            life.touch(transaction, incident_id, act, now, held_by=held, inhibited_by=None)

        return self._decide(incident_id, step)

    def set_severity(self, incident_id: int, severity: Severity, who: str | Act, comment: str = "") -> Row:
        """How severe it is by a person's judgement, which holds until it is released. Returns the row."""
        if severity not in SEVERITIES:
            wanted = ", ".join(SEVERITIES)
            raise InvalidInput(f"{severity[:40]!r} is no severity", field="severity", remedy=f"one of {wanted}")
        act = _act(who, "severity", comment)

        def step(transaction: Transaction, now: datetime) -> None:
            row = life.locked(transaction, incident_id)
            _must_live(row)
            is_worse = SEVERITIES.index(severity) < SEVERITIES.index(row["severity"])
            held = clean(act.who, 200)
            life.touch(transaction, incident_id, act, now, "worse" if is_worse else "", severity=severity, held_by=held)

        return self._decide(incident_id, step)

    def set_links(self, incident_id: int, links: Sequence[Mapping[str, str]], who: str | Act, comment: str = "") -> Row:
        """Where more is said of it: tickets, pages. Returns the row; raises InvalidInput for what is no web address."""
        if len(links) > MOST_LINKS:
            raise InvalidInput(f"{len(links)} links", field="links", remedy=f"keep {MOST_LINKS} at most")
        kept = []
        for place, link in enumerate(links):
            url = str(link.get("url", "")).strip()
            if not _URL.fullmatch(url):
                remedy = "an address that begins with http:// or https://"
                raise InvalidInput(f"{url[:80]!r} is no address", field=f"links.{place}.url", remedy=remedy)
            kept.append({"title": one_line(str(link.get("title", "")), 200) or url[:200], "url": url})
        act = _act(who, "links", comment)
        return self._decide(
            incident_id, lambda transaction, now: life.touch(transaction, incident_id, act, now, links=kept)
        )

    def silence(
        self,
        incident_id: int,
        kind: str,
        moment: datetime | None,
        who: str | Act,
        comment: str = "",
        *,
        changes: Sequence[str] = (),
    ) -> tuple[Row, Row]:
        """Nobody is told of it until a reason ends that (`silences.Until`); returns the incident and the silence.

        `changes`: when shifts change. Raises UnknownObject, IllegalTransition, and InvalidInput for such an end.
        """
        made: list[Row] = []

        def step(transaction: Transaction, now: datetime) -> None:
            until = silences.read_until(transaction, kind, moment, changes, now)
            made.append(silences.silence(transaction, incident_id, until, _act(who, "silence", comment), now))

        return self._decide(incident_id, step), made[0]

    def silence_matching(
        self,
        matcher: Mapping[str, str],
        kind: str,
        moment: datetime | None,
        who: str | Act,
        comment: str = "",
        *,
        changes: Sequence[str] = (),
    ) -> tuple[Row, list[int]]:
        """Nobody is told of what the filters find, now and until a time; returns the silence and the incidents.

        Two thousand of them at most, a page after the other so that nobody waits for their rows; the keeper goes on.
        """
        now, caught = self._clock(), list[int]()
        with self._database.transaction() as transaction:
            until = silences.read_until(transaction, kind, moment, changes, now)
            made = silences.silence_matching(transaction, matcher, until, _act(who, "silence", comment), now)
        for _ in range(_PAGES_OF_MATCHER):
            with self._database.transaction() as transaction:
                found = catch(transaction, made, now, is_new=True)
            if not found:
                break
            caught += found
        return made, caught

    def end_silence(self, silence_id: int, who: str | Act, comment: str = "") -> Row:
        """Somebody ends a silence before its time; returns it. Raises UnknownObject and Conflict."""
        act = _act(who, "end silence", comment)
        with self._database.transaction() as transaction:
            return silences.end(transaction, silence_id, f"{act.who} ended it", act, self._clock())

    def merge(self, incident_id: int, into: int, who: str | Act, comment: str = "") -> tuple[Row, Row]:
        """All of one goes to another, now and from now on; returns the one that stays, and the link (`grouping.merge`)."""
        act = _act(who, "merge", comment)
        with self._database.transaction() as transaction:
            link = grouping.merge(transaction, incident_id, into, act, self._clock())
        return incident_row(self._database, into, self._clock()), link

    def split(self, incident_id: int, dimension: str, value: str, who: str | Act, comment: str = "") -> tuple[Row, Row]:
        """What has one value becomes an incident of its own; returns that, and the link (`grouping.split`)."""
        act = _act(who, "split", comment)
        with self._database.transaction() as transaction:
            link = grouping.split(transaction, incident_id, dimension, value, act, self._clock())
        return incident_row(self._database, link["into_incident_id"], self._clock()), link

    def undo_link(self, link_id: int, who: str | Act, comment: str = "") -> tuple[Row, Row]:
        """Take a merge or split back; returns the incident that it was made of, and the link (`grouping.undo_link`)."""
        with self._database.transaction() as transaction:
            link = grouping.undo_link(transaction, link_id, _act(who, "undo", comment), self._clock())
        return incident_row(self._database, link["incident_id"], self._clock()), link

    def open_manually(self, draft: ManualIncident, who: str | Act) -> Row:
        """An incident that no rule saw (`manual.open_manually`); returns its row. Raises InvalidInput."""
        return open_manually(self._database, draft, who, self._clock)

    def _touch(self, incident_id: int, act: Act, what: str = "", **columns: Any) -> Row:
        def step(transaction: Transaction, now: datetime) -> None:
            _must_live(life.locked(transaction, incident_id))
            life.touch(transaction, incident_id, act, now, what, **columns)

        return self._decide(incident_id, step)

    def _decide(self, incident_id: int, step: Callable[[Transaction, datetime], Any]) -> Row:
        with self._database.transaction() as transaction:
            step(transaction, self._clock())
        return incident_row(self._database, incident_id, self._clock())


def _act(who: str | Act, action: str, comment: str, *, replaces: bool = False) -> Act:
    """`who` may bring its origin and its words along."""
    if isinstance(who, str):
        return Act(who, action, comment)
    words = comment if replaces else comment or who.comment
    return Act(who.who, action, words, False, who.via, who.roles, who.deed_id)


def _must_live(row: Row) -> None:
    if row["state"] == IncidentState.RESOLVED:
        raise Conflict(
            f"incident {row['incident_id']} is resolved", field="incident_id", remedy="reopen it first, or just comment"
        )
