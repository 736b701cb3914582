"""Moves live jobs from state to state, checked against the table of transitions, with history in the same transaction.

Dispatch and heartbeat have statements of their own (one round trip each); everything else goes through here.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.database import Transaction
from core.states import JobStatus, job_statuses_before

# by primary key; the inner select locks in order of PandaID, so batches that share jobs cannot deadlock
_ADVANCE = """
WITH wanted AS (
    SELECT * FROM unnest(%(panda_ids)s::bigint[], %(sites)s::text[]) AS t (panda_id, computing_site)
), before AS (
    SELECT j.panda_id, j.job_status FROM jobs_live j JOIN wanted w USING (panda_id)
    WHERE j.job_status = ANY(%(sources)s) ORDER BY j.panda_id FOR UPDATE OF j
), changed AS (
    UPDATE jobs_live j SET
        job_status = %(target)s,
        computing_site = CASE WHEN w.computing_site <> '' THEN w.computing_site ELSE j.computing_site END,
        brokerage_error_code = 0, brokerage_error_diag = '',
        state_change_time = clock_timestamp(), modification_time = clock_timestamp()
    FROM before b JOIN wanted w USING (panda_id)
    WHERE j.panda_id = b.panda_id
    RETURNING j.panda_id, j.jedi_task_id, j.attempt_nr, b.job_status AS previous_status, j.computing_site,
              j.prod_source_label
), logged AS (
    INSERT INTO job_history (panda_id, jedi_task_id, attempt_nr, previous_status, job_status, computing_site,
                             prod_source_label, host, reason)
    SELECT panda_id, jedi_task_id, attempt_nr, previous_status, %(target)s, computing_site, prod_source_label, '',
           %(reason)s
    FROM changed
)
SELECT panda_id FROM changed
"""


def advance_jobs(
    transaction: Transaction, panda_ids: Sequence[int], target: JobStatus, *, reason: str, sites: Sequence[str] = ()
) -> list[int]:
    """Move jobs to `target` and return those that moved; `sites` gives each its queue where one was chosen."""
    if not panda_ids:
        return []
    rows = transaction.fetch(
        _ADVANCE,
        {
            "panda_ids": list(panda_ids),
            "sites": list(sites) if sites else [""] * len(panda_ids),
            "sources": list(job_statuses_before(target)),
            "target": target.value,
            "reason": reason,
        },
    )
    return [row["panda_id"] for row in rows]
