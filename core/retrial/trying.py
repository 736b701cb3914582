"""Tries a rule on jobs that have failed already: how many it would have met. Changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from core.clock import Clock
from core.database import Database
from core.models.errors import ERROR_COMPONENTS
from core.patterns import users_patterns
from core.retrial.editing import check_rule
from core.retrial.patterns import MAX_MESSAGE, anchored
from core.wording import counted

MAX_DAYS = 90
JOBS_LOOKED_AT = 50_000
_LIMIT_S = 10.0
_EXAMPLES = 10

_CODES = ", ".join(
    f"('{component.name}', {'abs(j.pilot_error_code)' if component.name == 'pilot' else f'j.{component.code_column}'}, "
    + (f"left(j.{component.diag_column}, {MAX_MESSAGE}))" if component.diag_column else "'')")
    for component in ERROR_COMPONENTS
)

# ix_jobs_archive_status backwards: the newest failed jobs of the window, so many at most; tasks by primary key
_TRY = f"""
WITH looked_at AS (
    SELECT j.panda_id, j.jedi_task_id, j.computing_site, j.prod_user_name, j.state_change_time, e.source, e.code, e.diag,
           e.fits
    FROM (
        SELECT * FROM jobs_archive
        WHERE job_status = 'failed' AND state_change_time >= %(since)s AND (%(gshare)s = '' OR gshare = %(gshare)s)
        ORDER BY state_change_time DESC LIMIT %(limit)s
    ) j LEFT JOIN LATERAL (
        SELECT v.source, v.code, v.diag, true AS fits FROM (VALUES {_CODES}) AS v (source, code, diag)
        WHERE v.code <> 0 AND (%(source)s = '' OR v.source = %(source)s) AND (%(code)s = 0 OR v.code = %(code)s)
          AND (%(diag)s = '' OR v.diag ~ %(diag)s) LIMIT 1
    ) e ON true
), met AS (
    SELECT l.* FROM looked_at l WHERE l.fits AND (%(architecture)s = '' AND %(release)s = '' OR EXISTS (
        SELECT 1 FROM tasks t, LATERAL (SELECT t.parameters || t.split_rule AS p) x WHERE t.jedi_task_id = l.jedi_task_id
          AND (%(architecture)s = '' OR x.p ->> 'architecture' = %(architecture)s)
          AND (%(release)s = '' OR x.p ->> 'transUses' IN (%(release)s, 'Atlas-' || %(release)s)
               OR %(release)s IN (x.p ->> 'transHome', x.p ->> 'release'))))
)
SELECT (SELECT count(*) FROM looked_at) AS looked_at, (SELECT min(state_change_time) FROM looked_at) AS oldest,
       (SELECT count(*) FROM met) AS jobs, (SELECT count(DISTINCT jedi_task_id) FROM met) AS tasks,
       (SELECT count(DISTINCT computing_site) FROM met) AS queues, (SELECT count(DISTINCT prod_user_name) FROM met) AS users,
       (SELECT coalesce(jsonb_agg(to_jsonb(s) - 'fits'), '[]') FROM (
           SELECT * FROM met ORDER BY state_change_time DESC LIMIT {_EXAMPLES}) s) AS examples
"""


def try_rule(database: Database, given: dict[str, Any], *, days: float, clock: Clock) -> dict[str, Any]:
    """How many of the jobs that failed in the last `days` a rule would have met, with examples.

    At most the newest 50 000 failed jobs are looked at; `is_complete` says whether that was all. `given`: as of add_rule.
    Raises InvalidInput naming the field, as when the rule is made, and for an expression that is too slow.
    """
    rule = check_rule(database, given)
    values = {
        "since": clock() - timedelta(days=days),
        "limit": JOBS_LOOKED_AT,
        "source": rule["error_source"],
        "code": rule["error_code"],
        "diag": anchored(rule["error_diag"]) if rule["error_diag"] else "",
        **{name: rule[name] for name in ("gshare", "architecture", "release")},
    }
    with database.transaction() as transaction, users_patterns(transaction, "error_diag", _LIMIT_S):
        row = transaction.fetch(_TRY, values)[0]
    is_complete = row["looked_at"] < JOBS_LOOKED_AT
    scope = (
        f"of the {counted(row['looked_at'], 'job')} that failed in the last {'day' if days == 1 else f'{days:g} days'}"
    )
    if not is_complete:
        scope = f"of the last {counted(row['looked_at'], 'failed job')}"
    return {
        **row,
        "days": days,
        "is_complete": is_complete,
        "sentence": f"It would have matched {row['jobs']:,} {scope}, of {counted(row['tasks'], 'task')} at "
        f"{counted(row['queues'], 'queue')}.",
    }
