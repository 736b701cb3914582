"""Acknowledges, assigns, silences, resolves and reopens incidents, and puts each back as it was. Changes them only through
`logger.life` and `logger.silences`; knows no job and no queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg2.errors

from core.database import Row, Transaction
from core.errors import PandaError, UnknownObject
from core.monitor.reading import read
from core.states import IncidentState
from core.text import clean
from core.wording import are, counted, moment
from logger import life, silences
from logger.decisions import ENDINGS
from logger.deeds.base import (
    DONE,
    GONE,
    REFUSED,
    Actor,
    Consequence,
    DeedRow,
    Outcome,
    Selector,
    Superseded,
    Surroundings,
    Target,
)
from logger.deeds.selecting import check_size, chosen
from logger.deeds.silencing import silence_incident, take_back_silence
from logger.life import Act
from logger.selecting import INCIDENT_GRAMMAR, IS_SHOWN
from logger.texts import one_line

MOST_INCIDENTS = 2000

# primary key, or ix_incidents_shown; locked as the fold locks them, so that neither waits for the other for ever
_INCIDENTS = f"""
SELECT incident_id, state, owner, assigned_to, change_seq, fingerprint, merged_into FROM incidents
WHERE {IS_SHOWN} AND {{where}} ORDER BY fingerprint, incident_id LIMIT %(most)s
"""
# primary key, in the order of the fold
_LOCK = """
SELECT 1 FROM incidents WHERE incident_id = ANY(%(ids)s::bigint[]) ORDER BY fingerprint, incident_id FOR UPDATE
"""
# uq_incidents_unresolved
_TWINS = """
SELECT o.incident_id, t.incident_id AS twin FROM incidents o
JOIN incidents t ON t.fingerprint = o.fingerprint AND t.state <> 'resolved' AND t.incident_id <> o.incident_id
WHERE o.incident_id = ANY(%(ids)s::bigint[]) AND o.state = 'resolved'
"""
# primary key of incidents, ix_incident_activity_incident
_NEWEST = """
SELECT coalesce(max(activity_id), 0) AS newest FROM incident_activity WHERE incident_id = %(incident_id)s
"""
_LATER = """
SELECT time, who, action FROM incident_activity
WHERE incident_id = %(incident_id)s AND activity_id > %(activity_id)s
  AND jsonb_exists_any(after, %(columns)s::text[]) ORDER BY activity_id DESC LIMIT 1
"""
# primary keys
_SEEN = """
SELECT i.incident_id, i.state, i.owner, i.assigned_to, coalesce((
    SELECT sum(b.event_count) FROM incident_bins b
    WHERE b.incident_id = i.incident_id AND b.bin_time > %(now)s::timestamptz - interval '15 minutes'
      AND i.last_seen > %(now)s::timestamptz - interval '10 minutes'), 0)::bigint AS lately
FROM incidents i WHERE i.incident_id = ANY(%(ids)s::bigint[]) ORDER BY i.incident_id
"""
_ROUTES = "SELECT count(*) AS count FROM notice_routes WHERE is_active"

_FIXED = ("incident_id", "fingerprint", "change_seq", "computing_site")
"""Of the row that `life` reads, what no deed changes."""
_TIMES = frozenset({"acknowledged_time", "resolved_time", "opened_time"})

_CHOICES = {"incidents": "incident_id = ANY(%(incidents)s::bigint[])"}


class IncidentWork:
    """The actions on incidents."""

    page = 200

    def resolve(
        self, transaction: Transaction, action: str, selector: Selector, actor: Actor, *, lock: bool
    ) -> list[Target]:
        """The incidents that were meant; without a filter on their state, of a filter those that are not resolved."""
        where, values = chosen(selector, INCIDENT_GRAMMAR, "incident", _CHOICES)
        if not selector.incidents and not any(name.lower() == "state" for name, _ in selector.filter):
            where += " AND state NOT IN ('resolved', 'candidate')"
        statement = _INCIDENTS.format(where=where) + (" FOR UPDATE" if lock else "")
        rows = transaction.fetch(statement, {**values, "most": MOST_INCIDENTS + 1})
        check_size(len(rows), "incident", MOST_INCIDENTS)
        missing = set(selector.incidents) - {row["incident_id"] for row in rows}
        if missing and not selector.filter:
            raise UnknownObject(
                f"there is no incident {min(missing)}", field="incidents", remedy="see `panda incidents state=*`"
            )
        ids = {"ids": [row["incident_id"] for row in rows]}
        twins = (
            {row["incident_id"]: row["twin"] for row in transaction.fetch(_TWINS, ids)} if action == "reopen" else {}
        )
        ordered = sorted(rows, key=lambda row: int(row["incident_id"]))
        return [_target(row, action, actor, twins.get(row["incident_id"])) for row in ordered]

    def consequences(
        self, around: Surroundings, action: str, targets: Sequence[Target], parameters: Mapping[str, Any]
    ) -> list[Consequence]:
        """How many are concerned, whose they are, which still fail, and who would not be told."""
        ids = [int(target.key) for target in targets if not target.refusal]
        rows = read(around.database, _SEEN, {"ids": ids, "now": around.now}, limit_s=3.0)
        said = [Consequence("incidents", len(rows), f"{counted(len(rows), 'incident')}: {_DOING[action]}")]
        said += _whose(rows, action, around.actor, str(parameters.get("who", "")))
        failing = sum(1 for row in rows if row["lately"])
        if failing and action in ("resolve", "silence"):
            words = f"{are(failing, 'incident')} still growing (events in the last 10 min)"
            said.append(Consequence("still_failing", failing, words))
        if action == "silence":
            [routes] = read(around.database, _ROUTES, {}, limit_s=3.0)
            until = _until_words(parameters, around.now)
            said.append(Consequence("until", 1, f"silent {until}; then they are as before"))
            count = routes["count"]
            said.append(Consequence("routes", count, f"{counted(count, 'route')} of notices not told meanwhile"))
        ends = sum(1 for row in rows if row["state"] == "silenced")
        if ends and action != "assign":
            said.append(Consequence("silences_end", ends, f"{counted(ends, 'silence')} ended by this"))
        refused = [target for target in targets if target.refusal]
        for target in refused[:5]:
            said.append(Consequence("refused", 1, f"incident {target.key} left alone: it {target.refusal}"))
        if len(refused) > 5:
            said.append(Consequence("refused", len(refused) - 5, f"{len(refused) - 5} more left alone"))
        return said

    def carry_out(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str]) -> list[Outcome]:
        """Change incidents one by one; each that cannot be changed any more is left as it is, the others are not."""
        _lock(transaction, keys)
        return [self._one(transaction, deed, int(key)) for key in keys]

    def _one(self, transaction: Transaction, deed: DeedRow, incident_id: int) -> Outcome:
        before = life.locked(transaction, incident_id)
        if (why := _refusal(before, deed.action, deed.actor)) and deed.action != "reopen":
            return Outcome(str(incident_id), GONE, why)
        try:
            with transaction.savepoint():
                changed_silences = _change(transaction, deed, before)
        except psycopg2.errors.UniqueViolation:
            return Outcome(str(incident_id), REFUSED, life.twin_conflict(incident_id).detail)
        except PandaError as error:
            return Outcome(str(incident_id), REFUSED, error.detail)
        after = life.locked(transaction, incident_id)
        names = [name for name in before if name not in _FIXED and before[name] != after[name]]
        kept = {name: _plain(after[name]) for name in names}
        newest = transaction.fetch_one(_NEWEST, {"incident_id": incident_id})
        kept["activity_id"] = newest["newest"] if newest else 0
        changed = {"state": before["state"], **{name: _plain(before[name]) for name in names}}
        return Outcome(str(incident_id), DONE, "", {**changed, **changed_silences}, kept)

    def undo(self, transaction: Transaction, deed: DeedRow, keys: Sequence[str], changed: Mapping[str, Row]) -> None:
        """Put back every column that the deed changed, and the silences that it began or ended."""
        _lock(transaction, list(changed))
        for key in sorted(changed, key=int):
            before, after = dict(changed[key]["before"]), dict(changed[key]["after"])
            _check_untouched(transaction, int(key), after)
            ended, begun = before.pop("silence_ended", None), before.pop("silence_begun", None)
            if begun is not None:
                take_back_silence(transaction, begun, _act(deed), deed.now)
            if ended is not None:
                silences.revive(transaction, ended, _act(deed))
            state = IncidentState(before.pop("state"))
            columns = {name: _from_plain(name, value) for name, value in before.items()}
            try:
                with transaction.savepoint():
                    life.restore(transaction, int(key), state, _act(deed), deed.now, **columns)
            except psycopg2.errors.UniqueViolation as error:
                raise life.twin_conflict(int(key)) from error


def _lock(transaction: Transaction, keys: Sequence[str]) -> None:
    transaction.execute(_LOCK, {"ids": [int(key) for key in keys]})


def _change(transaction: Transaction, deed: DeedRow, row: Row) -> Row:
    """Carry out the action; returns which silence it ended or began, for the undo."""
    incident_id, state, act = int(row["incident_id"]), IncidentState(row["state"]), _act(deed)
    ended: int | None = None
    if state is IncidentState.SILENCED and deed.action in ("acknowledge", "resolve", "reopen", "silence"):
        ended = silences.close_live(transaction, incident_id, f"{deed.action} by {deed.who}", act, deed.now)
    noted: Row = {} if ended is None else {"silence_ended": ended}
    if deed.action == "assign":
        who = one_line(str(deed.parameters["who"]), 200).strip()
        told = replace(act, comment=": ".join(filter(None, (who or "nobody", act.comment))))
        life.touch(transaction, incident_id, told, deed.now, "assigned" if who else "", assigned_to=who)
    elif deed.action == "silence":
        noted["silence_begun"] = silence_incident(transaction, incident_id, deed.parameters, act, deed.now)
    elif deed.action == "acknowledge":
        _acknowledge(transaction, row, state, act, deed.now)
    elif deed.action == "resolve":
        words = (ENDINGS.get(str(deed.parameters.get("ending", "")), ""), act.comment)
        said = replace(act, comment=": ".join(filter(None, words)))
        life.change(transaction, incident_id, IncidentState.RESOLVED, said, deed.now)
    else:
        target = IncidentState.REOPENED if state is IncidentState.RESOLVED else IncidentState.OPEN
        held: dict[str, Any] = {"held_by": clean(act.who, 200)} if state is IncidentState.SILENCED else {}
        life.change(transaction, incident_id, target, act, deed.now, **held)
    return noted


def _acknowledge(transaction: Transaction, row: Row, state: IncidentState, act: Act, now: datetime) -> None:
    """Take an incident, also from somebody else; one that a central trouble explained stands for itself from then on."""
    if state is IncidentState.ACKNOWLEDGED:
        columns: dict[str, Any] = {"owner": clean(act.who, 200), "acknowledged_time": now, "inhibited_by": None}
        life.touch(transaction, row["incident_id"], act, now, "acknowledged", **columns)
        return
    free: dict[str, Any] = {"held_by": ""} if state is IncidentState.SILENCED else {}
    life.change(transaction, row["incident_id"], IncidentState.ACKNOWLEDGED, act, now, inhibited_by=None, **free)


def _act(deed: DeedRow) -> Act:
    return Act(
        deed.who,
        deed.action,
        deed.reason,
        via=deed.actor.via,
        roles=deed.actor.roles,
        deed_id=deed.deed_id,
    )


def _check_untouched(transaction: Transaction, incident_id: int, after: Row) -> None:
    """Raise Superseded when what the deed left is not there any more, or was put there again by somebody else."""
    row = life.locked(transaction, incident_id)
    names = [name for name in after if name != "activity_id"]
    values = {"incident_id": incident_id, "activity_id": after.get("activity_id", 0), "columns": names}
    later = transaction.fetch_one(_LATER, values)
    if later is None and all(_plain(row[name]) == after[name] for name in names):
        return
    by = f"{later['action']} by {later['who']} at {moment(later['time'])}" if later else "something else"
    raise Superseded(
        f"incident {incident_id} was changed later: {by}", field="deed_id", remedy="change it as it should be now"
    )


_DOING = {
    "acknowledge": "yours from now on",
    "assign": "assigned",
    "silence": "silenced",
    "resolve": "resolved; if one comes back it is a new incident",
    "reopen": "open again",
}


def _target(row: Row, action: str, actor: Actor, twin: int | None) -> Target:
    refusal = _refusal(row, action, actor)
    if twin is not None:
        refusal = f"has a newer one that is not resolved: incident {twin}"
    state = f"{row['state']}:{row['owner']}:{row['assigned_to']}:{row['change_seq']}"
    return Target(str(row["incident_id"]), state, refusal)


def _refusal(row: Row, action: str, actor: Actor) -> str:
    """Why an incident in this state is left alone by the action; empty when it is not."""
    state = IncidentState(row["state"])
    if state is IncidentState.RESOLVED:
        if action == "reopen" and row["merged_into"] is not None:
            return f"is part of incident {row['merged_into']}"
        return "" if action == "reopen" else "is resolved"
    if action == "reopen":
        return "is open" if state in (IncidentState.OPEN, IncidentState.REOPENED) else ""
    if action == "acknowledge" and state is IncidentState.ACKNOWLEDGED and row["owner"] == actor.user_name:
        return "is yours already"
    return ""


def _whose(rows: Sequence[Row], action: str, actor: Actor, who: str) -> list[Consequence]:
    """Of how many people they are taken."""
    name = "assigned_to" if action == "assign" else "owner"
    taker = who if action == "assign" else actor.user_name
    others = [row[name] for row in rows if row[name] and row[name] != taker]
    if not others or action == "silence":
        return []
    people = ", ".join(sorted(set(others))[:5])
    return [Consequence("of_others", len(others), f"{are(len(others), 'incident')} somebody's already: {people}")]


def _until_words(parameters: Mapping[str, Any], now: datetime) -> str:
    kind = str(parameters.get("until_kind", "time"))
    if kind in ("time", "shift"):
        end = moment(datetime.fromisoformat(str(parameters["until"])), now)
        return f"until {end}" if kind == "time" else f"until the shift ends, {end} by the plan"
    return {
        "doubles": "until its count doubles",
        "second_queue": "until a second queue shows it",
        "fixed": "until it ends by itself",
    }[kind]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _from_plain(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in _TIMES and isinstance(value, str) else value
