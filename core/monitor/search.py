"""From a piece of text to what it may name: jobs, tasks, incidents, queues, users. Knows no page but its address."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from core.database import Database, Row
from core.errors import InvalidInput
from core.monitor.filters import check_text, escape_value
from core.monitor.reading import envelope, read

_MOST_PER_KIND = 5
_LIMIT_S = 2.0
_LONGEST_TEXT = 500

# primary keys, the archive in each partition
_BY_NUMBER = """
SELECT 'job' AS kind, panda_id::text AS id, concat_ws(' ', job_status, nullif(job_name, '')) AS title
FROM (
    SELECT panda_id, job_status, job_name FROM jobs_live WHERE panda_id = %(number)s
    UNION ALL SELECT panda_id, job_status, job_name FROM jobs_archive WHERE panda_id = %(number)s
) jobs
UNION ALL
SELECT 'task', jedi_task_id::text, concat_ws(' ', status, nullif(task_name, '')) FROM tasks WHERE jedi_task_id = %(number)s
UNION ALL
SELECT 'incident', incident_id::text, title FROM incidents
WHERE incident_id = %(number)s AND opened_time IS NOT NULL
"""

# tables of people's size, read whole; jobs by name only while they are live
_BY_TEXT = """
(SELECT 'queue' AS kind, queue_name AS id, concat_ws(' ', queue_name, status) AS title
 FROM queues WHERE queue_name ILIKE %(pattern)s ORDER BY length(queue_name), queue_name LIMIT %(most)s)
UNION ALL
(SELECT 'task', jedi_task_id::text, concat_ws(' ', status, task_name)
 FROM tasks WHERE task_name ILIKE %(pattern)s ORDER BY jedi_task_id DESC LIMIT %(most)s)
UNION ALL
(SELECT 'incident', incident_id::text, title
 FROM incidents WHERE opened_time IS NOT NULL AND (title ILIKE %(pattern)s OR culprit_line ILIKE %(pattern)s)
 ORDER BY last_seen DESC LIMIT %(most)s)
UNION ALL
(SELECT 'user', user_name, user_name FROM users WHERE user_name ILIKE %(pattern)s
 ORDER BY length(user_name), user_name LIMIT %(most)s)
UNION ALL
(SELECT 'job', panda_id::text, concat_ws(' ', job_status, job_name)
 FROM jobs_live WHERE job_name ILIKE %(pattern)s ORDER BY panda_id DESC LIMIT %(most)s)
"""


def search(database: Database, text: str, as_of: datetime) -> dict[str, Any]:
    """What `text` may mean: a number is an id, anything else a part of a name; at most five of a kind.

    Raises InvalidInput without a text, TooSlow past two seconds.
    """
    wanted = text.strip()
    if not wanted or len(wanted) > _LONGEST_TEXT:
        raise InvalidInput(
            "what to search for?", field="q", remedy=f"an id or a part of a name, up to {_LONGEST_TEXT} signs"
        )
    check_text(wanted, "q")
    pattern = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    hits: list[Row] = []
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= 18:
        hits += read(database, _BY_NUMBER, {"number": int(wanted)}, limit_s=_LIMIT_S)
    hits += read(database, _BY_TEXT, {"pattern": f"%{pattern}%", "most": _MOST_PER_KIND}, limit_s=_LIMIT_S)
    return envelope(as_of, count=len(hits), hits=[{**hit, "address": _address(hit["kind"], hit["id"])} for hit in hits])


def _address(kind: str, name: str) -> str:
    """The page of a hit, as web monitor and console both understand it (docs/api.md)."""
    match kind:
        case "queue":
            return f"/jobs/?computing_site={quote(escape_value(name), safe='')}"
        case "user":
            return f"/jobs/?prod_user_name={quote(escape_value(name), safe='')}"
    return f"/{kind}/{name}/"
