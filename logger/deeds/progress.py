"""How far deeds are that wait for test jobs: `7 of 20 test jobs succeeded`. Knows queues and their tests; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from core.database import Database, Row
from core.queue_status import TEST_LABELS

# primary key of deeds; ix_jobs_archive_tests. Such a deed is on one queue
_PROGRESS = f"""
SELECT d.deed_id, d.revert_count AS wanted, c.key AS queue, t.finished, NOT t.last_is_good AS last_failed
FROM deeds d CROSS JOIN LATERAL jsonb_each(d.inverse_data) c CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE job_status = 'finished') AS finished,
           coalesce((array_agg(job_status ORDER BY state_change_time DESC, panda_id DESC))[1] = 'finished', true)
               AS last_is_good
    FROM jobs_archive
    WHERE computing_site = c.key AND prod_source_label IN ({", ".join(f"'{label}'" for label in TEST_LABELS)})
      AND job_status IN ('finished', 'failed') AND state_change_time > d.time
) t
WHERE d.deed_id = ANY(%(deed_ids)s::bigint[])
"""


def progress_of(database: Database, deeds: Sequence[Row]) -> dict[int, Row]:
    """By deed, of those that wait for test jobs: how many have `finished` of those `wanted` at its `queue`, whether the
    last one failed (then one more has to succeed), and the `sentence` for people."""
    waiting = [row["deed_id"] for row in deeds if row["revert_state"] == "waiting" and row["revert_kind"] == "tests"]
    rows = database.fetch(_PROGRESS, {"deed_ids": waiting}) if waiting else []
    return {row.pop("deed_id"): {**row, "sentence": _sentence(row)} for row in rows}


def _sentence(row: Row) -> str:
    wanted = f"{row['wanted']} test job{'' if row['wanted'] == 1 else 's'}"
    last = "; the last one failed, and one has to succeed after it" if row["last_failed"] else ""
    return f"{min(row['finished'], row['wanted'])} of {wanted} succeeded{last}"
