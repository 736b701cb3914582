"""The kept logs of a job, opened at the line that matters. Knows no page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.database import Database
from core.errors import UnknownObject
from core.monitor.reading import envelope

# job_logs by primary key
_NAMES = "SELECT name FROM job_logs WHERE panda_id = %(panda_id)s ORDER BY name"
_TEXT = "SELECT text, is_truncated FROM job_logs WHERE panda_id = %(panda_id)s AND name = %(name)s"
# incident_jobs by primary key
_CULPRIT = "SELECT culprit_log, culprit_line_number, culprit_line FROM incident_jobs WHERE panda_id = %(panda_id)s"
# both by primary key, the archive in each partition
_EXISTS = """
SELECT job_status FROM jobs_live WHERE panda_id = %(panda_id)s
UNION ALL SELECT job_status FROM jobs_archive WHERE panda_id = %(panda_id)s
"""

_PREFERRED = "payload.stderr"


def job_log(database: Database, panda_id: int, name: str, as_of: datetime) -> dict[str, Any]:
    """A kept log: the named one, else the one with the culprit line, else payload.stderr, else the first.

    Raises UnknownObject when there is no such job, no log of it yet, or none of that name.
    """
    names = [row["name"] for row in database.fetch(_NAMES, {"panda_id": panda_id})]
    if not names:
        raise _no_log(database, panda_id)
    culprit = database.fetch_one(_CULPRIT, {"panda_id": panda_id}) or {"culprit_log": "", "culprit_line_number": 0}
    chosen = name or next((known for known in (culprit["culprit_log"], _PREFERRED) if known in names), names[0])
    log = database.fetch_one(_TEXT, {"panda_id": panda_id, "name": chosen})
    if log is None:
        raise UnknownObject(
            f"job {panda_id} has no log {chosen[:60]!r}", field="name", remedy=f"one of {', '.join(names)}"
        )
    is_here = culprit["culprit_log"] == chosen and culprit["culprit_line_number"] > 0
    return envelope(
        as_of,
        count=1,
        name=chosen,
        names=names,
        text=log["text"],
        first_line_number=1,
        line_count=count_lines(log["text"]),
        truncated=log["is_truncated"],
        culprit={"line_number": culprit["culprit_line_number"], "text": culprit["culprit_line"]} if is_here else None,
    )


def count_lines(text: str) -> int:
    """How many lines a text has; a newline ends a line, nothing else does."""
    return text.count("\n") + (1 if text and not text.endswith("\n") else 0)


def _no_log(database: Database, panda_id: int) -> UnknownObject:
    found = database.fetch_one(_EXISTS, {"panda_id": panda_id})
    if found is None:
        return UnknownObject(
            f"there is no job {panda_id}", field="panda_id", remedy="see `panda jobs`, or GET /api/monitor/jobs"
        )
    remedy = f"logs come with the pilot's last report; the job is {found['job_status']}"
    return UnknownObject(f"no log of job {panda_id} was kept", field="panda_id", remedy=remedy)
