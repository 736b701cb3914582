"""Merges incidents, splits one, and takes both back: the link, what moves because of it, and what is said of it.

A person's decision that no rule makes or undoes. Knows incidents and links; how events follow links is in `links`, how
counts move in `moving`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from core.database import Row, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from core.models.errors import ERROR_COMPONENTS, primary_error
from core.states import IncidentState
from core.text import clean
from logger import life
from logger.events import short_title
from logger.life import Act
from logger.links import (
    DIMENSIONS,
    LOCK_LINKS,
    Links,
    add_link,
    check_link,
    end_link,
    link_row,
    live_links,
    read_links,
    resolve,
)
from logger.moving import (
    JOBS_OF,
    RECORDS_OF,
    Amount,
    all_of,
    move,
    move_all,
    of_jobs,
    of_records,
    values_of_job,
    values_of_record,
)
from logger.severity import worst

__all__ = ["DIMENSIONS", "Links", "live_links", "merge", "resolve", "split", "undo_link"]


def merge(transaction: Transaction, incident_id: int, into: int, act: Act, now: datetime) -> Row:
    """All of one incident goes to another, now and from now on; returns the link.

    Raises UnknownObject, InvalidInput for the incident itself, and Conflict when one of them is resolved, when the
    first was merged already, or when the link would make a circle.
    """
    if incident_id == into:
        raise InvalidInput("an incident cannot be merged into itself", field="into", remedy="name the one that stays")
    transaction.execute(LOCK_LINKS)
    both = _locked(transaction, [incident_id, into])
    source, target = both[incident_id], both[into]
    _must_live(source, "incident_id")
    _must_live(target, "into")
    links = read_links(transaction)
    taken = links.merges.get(source["fingerprint"])
    if taken is not None:
        raise Conflict(
            f"the trouble of incident {incident_id} is merged already, by link {taken.link_id}",
            field="incident_id",
            remedy=f"take link {taken.link_id} back first",
        )
    check_link(links, source["fingerprint"], target["fingerprint"])
    amount = all_of(transaction, source)
    # a person's judgement of the one that stays is not overruled by another incident
    severity = target["severity"] if target["held_by"] else worst(target["severity"], source["severity"])
    moved: dict[str, Any] = {
        "records": _of_records(transaction, source, amount) if source["record_count"] else None,
        "counts": dict(amount.counts),
        "before": {name: source[name] for name in ("state", "owner", "held_by", "inhibited_by")},
        "severity": [target["severity"], severity],
    }
    link = add_link(transaction, "merge", source, target["fingerprint"], into, act, now, moved=moved)
    move_all(transaction, source, into, amount, links.leading_to(source["fingerprint"]))
    comment = f"merged into incident {into}" + (f": {act.comment}" if act.comment else "")
    life.change(transaction, incident_id, IncidentState.RESOLVED, replace(act, comment=comment), now, merged_into=into)
    told = replace(act, comment=f"incident {incident_id} ({source['title']}) was merged into this one")
    if target["state"] == IncidentState.CANDIDATE and source["state"] != IncidentState.CANDIDATE:
        life.change(transaction, into, IncidentState.OPEN, told, now)  # what people know of does not vanish
    _raise_severity(transaction, target, severity, told, now)
    return link


# ix_log_records_incident
_LAST_RECORD = "SELECT coalesce(max(record_id), 0) AS last_id FROM log_records WHERE incident_id = %(incident_id)s"


def _of_records(transaction: Transaction, source: Row, amount: Amount) -> dict[str, Any]:
    """What its records count, of which not all need be there any more; `last_id`: records beyond it came later."""
    key = {"incident_id": source["incident_id"]}
    jobs = transaction.fetch(JOBS_OF, key) if source["job_count"] else []
    return {**(amount - of_jobs(jobs)).as_document(), **transaction.fetch(_LAST_RECORD, key)[0]}


def split(transaction: Transaction, incident_id: int, dimension: str, value: str, act: Act, now: datetime) -> Row:
    """Events of one value become a trouble of their own, with what is there of them; returns the link.

    `into_incident_id` of the link is the new incident. Raises UnknownObject, InvalidInput for a dimension that is none
    or a value that nothing has, and Conflict when the incident is resolved, when the value was split off already, or
    when nothing else would be left.
    """
    if dimension not in DIMENSIONS:
        raise InvalidInput(
            f"{dimension[:40]!r} is nothing to split by", field="dimension", remedy=f"one of {', '.join(DIMENSIONS)}"
        )
    transaction.execute(LOCK_LINKS)
    source = _locked(transaction, [incident_id])[incident_id]
    _must_live(source, "incident_id")
    key, links = source["fingerprint"], read_links(transaction)
    if (dimension, value) in links.splits.get(key, {}):
        raise Conflict(
            f"{dimension} {value} of incident {incident_id} is split off already",
            field="value",
            remedy=f"work on the incident with the fingerprint {links.splits[key][dimension, value].target}",
        )
    target_key = f"{key}|{dimension}={value}"
    jobs = [row for row in _jobs(transaction, incident_id, dimension) if values_of_job(row).get(dimension) == value]
    rows = transaction.fetch(RECORDS_OF, {"incident_id": incident_id}) if source["record_count"] else []
    records = [row for row in rows if values_of_record(row).get(dimension) == value]
    amount = of_jobs(jobs) + of_records(records)
    events = amount.counts["job_count"] + amount.counts["record_count"]
    if not value or not events:
        raise InvalidInput(
            f"nothing of incident {incident_id} has {dimension} {value[:80]!r}",
            field="value",
            remedy="take one of the values in its breakdown",
        )
    if events >= source["job_count"] + source["record_count"]:
        raise Conflict(
            f"all of incident {incident_id} has {dimension} {value}", field="value", remedy="there is nothing to split"
        )
    target_id = _open_split(transaction, source, target_key, dimension, value, act, now)
    link = add_link(transaction, "split", source, target_key, target_id, act, now, part=(dimension, value))
    move(transaction, source, target_id, jobs, records, amount, links.leading_to(key))
    told = f"{dimension} {value} was split off as incident {target_id}" + (f": {act.comment}" if act.comment else "")
    life.touch(transaction, incident_id, replace(act, comment=told), now)
    return link


def undo_link(transaction: Transaction, link_id: int, act: Act, now: datetime) -> Row:
    """As before: what came under the link goes back by its own fingerprint. Returns the link.

    Raises UnknownObject, and Conflict when it is undone already.
    """
    transaction.execute(LOCK_LINKS)
    link = link_row(transaction, link_id)
    if link is None:
        raise UnknownObject(f"there is no link {link_id}", field="link_id", remedy="see the links of the incident")
    if link["undone_time"] is not None:
        raise Conflict(f"link {link_id} is undone already", field="link_id", remedy="there is nothing to do")
    if link["kind"] == "merge":
        _end_merge(transaction, link, act, now)
    else:
        _end_split(transaction, link, act, now)
    end_link(transaction, link, act, now)
    return {**link, "undone_by": act.who, "undone_time": now}


# primary key
_STILL_THERE = "SELECT 1 FROM incidents WHERE incident_id = %(incident_id)s AND state <> 'resolved'"


def _end_merge(transaction: Transaction, link: Row, act: Act, now: datetime) -> None:
    rows = _involved(transaction, link)
    source, holder = rows[link["incident_id"]], rows[link["into_incident_id"]]
    while holder["merged_into"] in rows:  # it was merged further
        holder = rows[holder["merged_into"]]
    back = replace(act, action="undo merge", comment=f"link {link['link_id']} was undone. {act.comment}".strip())
    before = link["moved"]["before"]
    if holder["state"] == IncidentState.RESOLVED:
        life.touch(transaction, source["incident_id"], back, now, merged_into=None)
    else:
        state = IncidentState(before["state"])
        if state is IncidentState.SILENCED:  # its silence has ended with it
            state = IncidentState.ACKNOWLEDGED if before["owner"] else IncidentState.OPEN
        former = {name: before[name] for name in ("owner", "held_by")}
        if transaction.fetch_one(_STILL_THERE, {"incident_id": before["inhibited_by"]}):
            former["inhibited_by"] = before["inhibited_by"]  # whether it still explains this one is looked at at once
        life.restore(transaction, source["incident_id"], state, back, now, **former, merged_into=None)
    frozen = link["moved"]["records"]
    for row in rows.values():
        _send_back(transaction, link, row, frozen if row is holder else None)
    was, became = link["moved"]["severity"]
    columns = {"severity": was} if holder["severity"] == became and not holder["held_by"] else {}
    life.touch(transaction, holder["incident_id"], back, now, **columns)


def _end_split(transaction: Transaction, link: Row, act: Act, now: datetime) -> None:
    rows = _involved(transaction, link)
    back = replace(act, action="undo split", comment=f"link {link['link_id']} was undone. {act.comment}".strip())
    home = _home(transaction, link["fingerprint"], link)
    parts = [row for row in rows.values() if row["fingerprint"] == link["target"]]
    is_alive = any(row["state"] != IncidentState.RESOLVED for row in parts)
    for row in rows.values():
        _send_back(transaction, link, row, None)
    if is_alive and life.locked(transaction, home)["state"] == IncidentState.RESOLVED:
        life.change(transaction, home, IncidentState.REOPENED, back, now)
    else:
        life.touch(transaction, home, back, now)
    for row in parts:
        left = transaction.fetch_one(_LEFT, row) or {"events": 0}
        if row["state"] != IncidentState.RESOLVED and not left["events"]:
            life.change(transaction, row["incident_id"], IncidentState.RESOLVED, back, now, merged_into=home)


def _send_back(transaction: Transaction, link: Row, source: Row, frozen: dict[str, Any] | None) -> None:
    """What is in `source` because of the link goes where it goes without it.

    `frozen`: what the records counted that the link brought here (`_of_records`): not all need be there any more.
    """
    with_it, without = read_links(transaction), read_links(transaction, without=link["link_id"])

    def groups(rows: Sequence[Row], values: Callable[[Row], dict[str, str]], own: str) -> dict[str, list[Row]]:
        """By the key that each has without the link."""
        found: dict[str, list[Row]] = {}
        for row in rows:
            key, pairs = row[own] or source["fingerprint"], values(row)
            if any(step.link_id == link["link_id"] for step in with_it.way(key, pairs)):
                found.setdefault(without.key(key, pairs), []).append(row)
        return found

    key = {"incident_id": source["incident_id"]}
    jobs = transaction.fetch(JOBS_OF, key) if source["job_count"] else []
    records = transaction.fetch(RECORDS_OF, key) if source["record_count"] else []
    of_job = groups(jobs, values_of_job, "own_fingerprint")
    of_record = groups(records, values_of_record, "fingerprint")
    wanted = {*of_job, *of_record, *([link["fingerprint"]] if frozen else [])}
    is_all = len(wanted) == 1 and not frozen and [*of_job.values()] in ([], [jobs])
    is_all = is_all and [*of_record.values()] in ([], [records])
    for target in sorted(wanted - {source["fingerprint"]}):
        going, told = of_job.get(target, []), of_record.get(target, [])
        if is_all and len(going) == len(jobs) and len(told) == len(records):
            amount = all_of(transaction, source)  # with the records that are kept no longer
        elif frozen and target == link["fingerprint"]:
            later = of_records(row for row in told if row["record_id"] > frozen["last_id"])
            amount = of_jobs(going) + Amount.of_document(frozen) + later
        else:
            amount = of_jobs(going) + of_records(told)
        move(transaction, source, _home(transaction, target, link), going, told, amount)


# uq_incidents_unresolved, then ix_incidents_fingerprint for the newest that is over
_HOME = """
SELECT incident_id FROM incidents WHERE fingerprint = %(fingerprint)s
ORDER BY state <> 'resolved' DESC, incident_id = %(first)s DESC, incident_id DESC LIMIT 1
"""


def _home(transaction: Transaction, fingerprint: str, link: Row) -> int:
    """The incident to which events of a key go back."""
    found = transaction.fetch_one(_HOME, {"fingerprint": fingerprint, "first": link["incident_id"]})
    return int(found["incident_id"] if found else link["incident_id"])


_COLUMNS = """
    incident_id, fingerprint, kind, title, severity, state, owner, held_by, component, code, culprit_line, grouping, step,
    error_class, algorithm, fingerprint_words, rule_name, rule_version, job_count, record_count, lost_core_s, residue_count,
    residue_lost_core_s, first_seen, last_seen, inhibited_by, merged_into
"""
# primary key. Whoever locks several incidents does it in this order (folding, deeds)
_LOCK = f"""
SELECT {_COLUMNS} FROM incidents WHERE incident_id = ANY(%(ids)s::bigint[]) ORDER BY fingerprint, incident_id FOR UPDATE
"""
# primary key; ix_incidents_fingerprint for those that lived since the link was made
_INVOLVED = f"""
SELECT {_COLUMNS} FROM incidents WHERE incident_id = ANY(%(ids)s::bigint[])
    OR (fingerprint = ANY(%(keys)s::text[]) AND (state <> 'resolved' OR resolved_time >= %(time)s))
ORDER BY fingerprint, incident_id FOR UPDATE
"""
# primary key
_LEFT = "SELECT job_count + record_count AS events FROM incidents WHERE incident_id = %(incident_id)s"
# uq_incidents_unresolved: a key that is split off anew finds what lives of it
_OPEN_SPLIT = """
INSERT INTO incidents (fingerprint, kind, title, severity, component, code, culprit_line, grouping, step, error_class,
                       algorithm, fingerprint_words, rule_name, rule_version, first_seen, last_seen, opened_time, opened_by,
                       change_seq, previous_id)
VALUES (%(fingerprint)s, %(kind)s, %(title)s, %(severity)s, %(component)s, %(code)s, %(culprit_line)s, %(grouping)s,
        %(step)s, %(error_class)s, %(algorithm)s, %(words)s::jsonb, %(rule_name)s, %(rule_version)s, %(last_seen)s,
        %(first_seen)s, %(now)s, %(who)s, 1,
        (SELECT max(incident_id) FROM incidents p WHERE p.fingerprint = %(fingerprint)s AND p.opened_time IS NOT NULL))
ON CONFLICT (fingerprint) WHERE state <> 'resolved' DO UPDATE SET modification_time = clock_timestamp()
RETURNING incident_id, (xmax = 0) AS is_new
"""
# primary key of the archive in each partition; the codes are not kept with the incident's jobs
_CODES = f"""
SELECT panda_id, {", ".join(component.code_column for component in ERROR_COMPONENTS)} FROM jobs_archive
WHERE panda_id = ANY(%(panda_ids)s::bigint[])
"""


def _locked(transaction: Transaction, incident_ids: Sequence[int]) -> dict[int, Row]:
    rows = {row["incident_id"]: row for row in transaction.fetch(_LOCK, {"ids": list(incident_ids)})}
    for incident_id in incident_ids:
        if incident_id not in rows:
            raise life.no_incident(incident_id)
    return rows


def _involved(transaction: Transaction, link: Row) -> dict[int, Row]:
    """The incidents that may hold something because of a link, and where it came from."""
    links, keys = read_links(transaction), {link["fingerprint"]}
    beyond = {link["target"]}
    while beyond - keys:
        keys |= beyond
        beyond = {step.target for key in beyond for step in links.steps_from(key)}
    ids = [link["incident_id"], link["into_incident_id"]]
    rows = transaction.fetch(_INVOLVED, {"ids": ids, "keys": list(keys), "time": link["time"]})
    return {row["incident_id"]: row for row in rows}


def _must_live(row: Row, field_name: str) -> None:
    if row["state"] == IncidentState.RESOLVED:
        raise Conflict(
            f"incident {row['incident_id']} is resolved",
            field=field_name,
            remedy="reopen it first, or take a living one",
        )


def _jobs(transaction: Transaction, incident_id: int, dimension: str) -> list[Row]:
    rows = transaction.fetch(JOBS_OF, {"incident_id": incident_id})
    if dimension == "code":
        found = transaction.fetch(_CODES, {"panda_ids": [row["panda_id"] for row in rows]})
        codes = {row["panda_id"]: primary_error(row) for row in found}
        for row in rows:
            error = codes.get(row["panda_id"])
            row["code"] = "" if error is None else str(error.code)
    return rows


def _open_split(
    transaction: Transaction, source: Row, key: str, dimension: str, value: str, act: Act, now: datetime
) -> int:
    who = clean(act.who, 200)
    values = {
        **source,
        "fingerprint": key,
        "title": short_title(f"{source['title']} ({dimension} {value})"),
        "grouping": f"{source['grouping']} {who} split off those with {dimension} {value}.".strip(),
        "words": orjson.dumps(source["fingerprint_words"]).decode(),
        "who": who,
        "now": now,
    }
    made = transaction.fetch(_OPEN_SPLIT, values)[0]
    if made["is_new"]:
        reason = f"split off incident {source['incident_id']}" + (f": {act.comment}" if act.comment else "")
        opening = life.Opening(
            made["incident_id"], IncidentState.OPEN, source["severity"], who, reason, is_automatic=False
        )
        life.note_openings(transaction, [opening], now)
    return int(made["incident_id"])


def _raise_severity(transaction: Transaction, target: Row, severity: str, act: Act, now: datetime) -> None:
    is_worse = severity != target["severity"]
    columns = {"severity": severity} if is_worse else {}
    life.touch(transaction, target["incident_id"], act, now, "worse" if is_worse else "", **columns)
