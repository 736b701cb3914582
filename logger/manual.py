"""Incidents that people open by hand: what no rule saw. Knows their draft and the jobs it names; knows no rule."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.clock import Clock, utc_now
from core.database import Database, Row, Transaction
from core.errors import InvalidInput
from core.states import IncidentState
from core.text import clean
from logger import life
from logger.events import Severity, short_title
from logger.life import Act
from logger.moving import JOBS_OF, give, of_jobs
from logger.nodes import node_value
from logger.severity import SEVERITIES
from logger.showing import incident_row
from logger.whose import WHOSE_SQL

MOST_JOBS = 1000


@dataclass(frozen=True)
class ManualIncident:
    """What a person says: a title, and what it is about. `text`: the first thing in its activity."""

    title: str
    severity: Severity = "error"
    computing_site: str = ""
    jedi_task_id: int | None = None
    text: str = ""
    panda_ids: Sequence[int] = ()


_ADD = """
INSERT INTO incidents (fingerprint, kind, title, severity, computing_site, jedi_task_id, first_seen, last_seen, opened_time,
                       opened_by, change_seq, grouping, held_by)
VALUES (%(fingerprint)s, 'manual', %(title)s, %(severity)s, %(computing_site)s, %(jedi_task_id)s, %(now)s, %(now)s, %(now)s,
        %(who)s, 1, %(grouping)s, %(who)s)
RETURNING incident_id
"""
# primary key in each partition; the primary key of incident_jobs for those that an incident covers already
_JOBS = f"""
SELECT j.panda_id, j.job_status, j.computing_site, j.jedi_task_id, {WHOSE_SQL} AS user_name, j.modification_host, j.attempt_nr,
    coalesce(j.end_time, j.state_change_time) AS time, c.incident_id,
    (greatest(j.core_count, 1) * greatest(extract(epoch FROM j.end_time - j.start_time), 0))::bigint AS lost_core_s
FROM jobs_archive j LEFT JOIN incident_jobs c USING (panda_id) WHERE j.panda_id = ANY(%(panda_ids)s::bigint[])
"""
_COVER = """
INSERT INTO incident_jobs (panda_id, incident_id, time, computing_site, jedi_task_id, user_name, host, lost_core_s,
                           attempt_nr, is_residue, own_fingerprint)
VALUES %s ON CONFLICT (panda_id) DO NOTHING
"""


def open_manually(database: Database, draft: ManualIncident, who: str | Act, clock: Clock = utc_now) -> Row:
    """An incident by a person, with a key of its own and the jobs that no incident covers yet; returns its row.

    It is held by its author, so that no rule ends it. Jobs that belong to another incident stay there, and the activity
    says so. Raises InvalidInput naming what is wrong with the draft.
    """
    act = who if isinstance(who, Act) else Act(who, "open")
    title = short_title(draft.title)
    if not title:
        raise InvalidInput("an incident needs a title", field="title", remedy="say in a few words what is wrong")
    if draft.severity not in SEVERITIES:
        wanted = ", ".join(SEVERITIES)
        raise InvalidInput(f"{draft.severity[:40]!r} is no severity", field="severity", remedy=f"one of {wanted}")
    if len(draft.panda_ids) > MOST_JOBS:
        raise InvalidInput(f"{len(draft.panda_ids)} jobs", field="panda_ids", remedy=f"name {MOST_JOBS} at most")
    with database.transaction() as transaction:
        incident_id = _open(transaction, draft, title, act, clock())
    return incident_row(database, incident_id, clock())


def _open(transaction: Transaction, draft: ManualIncident, title: str, act: Act, now: datetime) -> int:
    who, fingerprint = clean(act.who, 200), f"v1:manual:{uuid.uuid4()}"
    jobs = _jobs(transaction, draft.panda_ids)
    values = {
        **{"fingerprint": fingerprint, "title": title, "severity": draft.severity, "now": now, "who": who},
        "computing_site": clean(draft.computing_site, 200),
        "jedi_task_id": draft.jedi_task_id,
        "grouping": f"{who} opened it by hand.",
    }
    incident_id = int(transaction.fetch(_ADD, values)[0]["incident_id"])
    opening = life.Opening(incident_id, IncidentState.OPEN, draft.severity, who, draft.text, is_automatic=False)
    life.note_openings(transaction, [opening], now)
    after = {"title": title, "severity": draft.severity}
    life.note(transaction, replace(act, comment=draft.text), "incident", incident_id, {}, after, "open")
    free = [job for job in jobs if job["incident_id"] is None]
    rows = [
        (
            *(job["panda_id"], incident_id, job["time"], job["computing_site"], job["jedi_task_id"]),
            *(
                job["user_name"],
                node_value(job["computing_site"], job["modification_host"]),
                job["lost_core_s"] or 0,
            ),
            *(job["attempt_nr"] or 1, job["job_status"] == "failed", fingerprint),
        )
        for job in sorted(free, key=lambda job: job["panda_id"])
    ]
    transaction.insert_many(_COVER, rows)
    if rows:
        give(transaction, incident_id, of_jobs(transaction.fetch(JOBS_OF, {"incident_id": incident_id})))
    elsewhere = sorted({job["incident_id"] for job in jobs if job["incident_id"] is not None})
    if elsewhere:
        named = ", ".join(map(str, elsewhere[:20]))
        told = f"{len(jobs) - len(free)} of its jobs belong to incidents {named}"
        life.touch(transaction, incident_id, Act(who, "comment", told, False, act.via, act.roles), now)
    return incident_id


def _jobs(transaction: Transaction, panda_ids: Sequence[int]) -> list[Row]:
    """The jobs that a draft names. Raises InvalidInput for one that has not ended, or that there is none of."""
    wanted = sorted(set(panda_ids))
    rows = transaction.fetch(_JOBS, {"panda_ids": wanted}) if wanted else []
    missing = [panda_id for panda_id in wanted if panda_id not in {row["panda_id"] for row in rows}]
    if missing:
        raise InvalidInput(
            f"there is no job {missing[0]} that has ended", field="panda_ids", remedy="name jobs that have ended"
        )
    return rows
