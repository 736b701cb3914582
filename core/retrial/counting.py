"""Adds what rules did to the counts of their rows. Runs beside the endings, which would wait for each other there."""

from __future__ import annotations

from core.database import Database

_AT_ONCE = 20_000

# ix_retry_log_uncounted; rules by primary key, in order
_COUNT = """
WITH taken AS (
    UPDATE retry_log SET is_counted = true WHERE deed_id IN (
        SELECT deed_id FROM retry_log WHERE rule_id IS NOT NULL AND NOT is_counted
        ORDER BY rule_id, deed_id LIMIT %(at_once)s FOR UPDATE SKIP LOCKED
    ) RETURNING rule_id, has_acted, time
), counts AS (
    SELECT rule_id, count(*) AS matched, count(*) FILTER (WHERE has_acted) AS acted, max(time) AS last FROM taken GROUP BY 1
), locked AS (
    SELECT r.rule_id FROM retry_rules r JOIN counts USING (rule_id) ORDER BY r.rule_id FOR UPDATE OF r
), changed AS (
    UPDATE retry_rules r SET n_matched = r.n_matched + c.matched, n_acted = r.n_acted + c.acted,
                             last_matched = greatest(r.last_matched, c.last)
    FROM counts c JOIN locked USING (rule_id) WHERE r.rule_id = c.rule_id
)
SELECT count(*) AS n FROM taken
"""


def count_deeds(database: Database) -> int:
    """Count what is in the log and was not counted yet, each line once; returns how many lines."""
    return int(database.fetch(_COUNT, {"at_once": _AT_ONCE})[0]["n"])
