"""Rules for failed jobs as monitors show them: what each did, the log, and what became of a job or a task.

Counts hold lines of the log that the agent has not counted yet (core/retrial/counting.py), so they are exact.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.database import Database, Row, Transaction
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read
from core.retrial.actions import ACTIONS
from core.retrial.classifying import classifier
from core.retrial.facts import failures_of
from core.shares.reading import read_tree
from core.shares.tagging import UNDEFINED
from core.shares.tree import ShareTree

_TASK_DEEDS = 5000
_CHANGES = 100

_DEED = """deed_id, time, panda_id, jedi_task_id, rule_id, error_source, error_code, error_diag, action, parameters,
           is_active, has_acted, effect"""

# the whole table, which people write; ix_retry_log_uncounted
_RULES = """
SELECT r.rule_id, r.error_source, r.error_code, r.error_diag, r.architecture, r.release, r.gshare, r.action, r.parameters,
       r.is_active, r.description, r.expiration_time, r.disabled_reason, r.modified_by, r.modification_time,
       r.n_matched + coalesce(u.matched, 0) AS n_matched, r.n_acted + coalesce(u.acted, 0) AS n_acted,
       greatest(r.last_matched, u.last) AS last_matched,
       r.is_active AND r.disabled_reason = '' AND coalesce(r.expiration_time > %(now)s, true)
           AND coalesce(a.is_active, true) AS acts
FROM retry_rules r LEFT JOIN retry_actions a ON a.name = r.action LEFT JOIN (
    SELECT rule_id, count(*) AS matched, count(*) FILTER (WHERE has_acted) AS acted, max(time) AS last
    FROM retry_log WHERE rule_id IS NOT NULL AND NOT is_counted GROUP BY rule_id
) u USING (rule_id) ORDER BY r.error_source, r.error_code, r.rule_id
"""
_ACTIONS = "SELECT name, is_active, description FROM retry_actions ORDER BY name"
_CLASSES = "SELECT * FROM error_classes ORDER BY error_source, error_code, class_id"
# primary key, backwards
_LAST_CHANGES = "SELECT * FROM retry_changes ORDER BY change_id DESC LIMIT %(limit)s"

# one of ix_retry_log_job, ix_retry_log_rule, ix_retry_log_task, backwards; without any the primary key
_LOG = f"""
SELECT {_DEED} FROM retry_log WHERE {{where}} AND deed_id < %(before)s ORDER BY deed_id DESC LIMIT %(limit)s
"""

# ix_retry_log_task backwards, at most so many lines
_OF_TASK = f"""
SELECT rule_id, action, error_source, error_code, count(*) AS n_matched, count(*) FILTER (WHERE has_acted) AS n_acted,
       max(time) AS last_matched, (array_agg(effect ORDER BY deed_id DESC))[1] AS effect
FROM (SELECT * FROM retry_log WHERE jedi_task_id = %(id)s ORDER BY deed_id DESC LIMIT {_TASK_DEEDS}) d
GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC
"""

# ix_jobs_live_parent, ix_jobs_archive_parent
_NEXT = """
SELECT panda_id, job_status, attempt_nr, min_ram_mb, core_count, computing_site FROM jobs_live WHERE parent_id = %(id)s
UNION ALL
SELECT panda_id, job_status, attempt_nr, min_ram_mb, core_count, computing_site FROM jobs_archive WHERE parent_id = %(id)s
ORDER BY panda_id LIMIT 10
"""
# ix_task_files_job
_HELD = """
SELECT count(*) AS n_files, max(attempt_nr) AS attempt_nr, max(max_attempt) AS max_attempt,
       max(failed_attempt) AS failed_attempt, max(max_failure) AS max_failure, max(ram_mb) AS ram_mb,
       count(*) FILTER (WHERE status = 'ready') AS n_ready, count(*) FILTER (WHERE status = 'failed') AS n_failed,
       count(*) FILTER (WHERE status = 'cancelled') AS n_cancelled
FROM task_files WHERE panda_id = ANY(%(ids)s)
"""
_OF_JOB = f"SELECT {_DEED} FROM retry_log WHERE panda_id = %(id)s ORDER BY deed_id LIMIT 100"


def rule_list(database: Database, as_of: datetime) -> dict[str, Any]:
    """All rules with what they did, the actions with their parameters, the classes, and the last changes."""
    actions = []
    for row in database.fetch(_ACTIONS):
        known = ACTIONS.get(row["name"])
        takes = (
            [{"name": p.name, "sentence": p.sentence, "default": p.default} for p in known.parameters] if known else []
        )
        actions.append({**row, "parameters": takes})
    rules = read(database, _RULES, {"now": as_of})
    return envelope(
        as_of,
        count=len(rules),
        warnings=_without_share(rules, read_tree(database)),
        rules=rules,
        actions=actions,
        classes=database.fetch(_CLASSES),
        changes=database.fetch(_LAST_CHANGES, {"limit": _CHANGES}),
    )


def _without_share(rules: list[Row], tree: ShareTree) -> list[str]:
    """Rules whose share was removed, or got children, after they were made."""
    served = {"", UNDEFINED, *(leaf.name for leaf in tree.leaves)}
    return [
        f"rule {row['rule_id']} matches nothing: there is no leaf {row['gshare']!r} in the tree of shares"
        for row in rules
        if tree.nodes and row["gshare"] not in served
    ]


def retry_log(
    database: Database, as_of: datetime, *, filters: dict[str, int], limit: int, cursor: str
) -> dict[str, Any]:
    """What rules did, newest first. `filters`: rule_id, jedi_task_id, panda_id. Raises InvalidInput for a foreign cursor."""
    names = [name for name in ("panda_id", "rule_id", "jedi_task_id") if name in filters]
    key = [[name, filters[name]] for name in names]
    before = decode_cursor(cursor, key, (int,))[0] if cursor else 2**63 - 1
    where = " AND ".join(f"{name} = %({name})s" for name in names) or "true"
    rows = read(database, _LOG.format(where=where), {**filters, "before": before, "limit": limit + 1})
    has_more, rows = len(rows) > limit, rows[:limit]
    return envelope(
        as_of,
        count=len(rows),
        next_cursor=encode_cursor(key, (rows[-1]["deed_id"],)) if has_more else None,
        deeds=rows,
    )


def retries_of_task(database: Database, jedi_task_id: int) -> list[Row]:
    """What rules did about the jobs of a task, rule by rule, of the newest 5000 lines of the log."""
    return read(database, _OF_TASK, {"id": jedi_task_id})


def retries_of_job(transaction: Transaction, job: Row) -> dict[str, Any] | None:
    """What rules did about a job, the jobs that took up its input, and one sentence; None for a job without a task."""
    if job["jedi_task_id"] is None:
        return None
    key, failures = {"id": job["panda_id"]}, failures_of(job)
    following = transaction.fetch(_NEXT, key)
    own = transaction.fetch(_HELD, {"ids": [job["panda_id"]]})[0]
    held = own
    if not own["n_files"] and following:
        held = transaction.fetch(_HELD, {"ids": [row["panda_id"] for row in following]})[0]
    return {
        "sentence": _sentence(job, held, own, following),
        "error_class": classifier(transaction, failures)(failures),
        "previous": job["parent_id"],
        "next": following,
        "deeds": transaction.fetch(_OF_JOB, key),
    }


def _sentence(job: Row, held: Row, own: Row, following: list[Row]) -> str:
    parts = [f"attempt {job['attempt_nr']} of {max(held['max_attempt'] or job['max_attempt'], job['attempt_nr'])}"]
    if held["n_files"]:
        parts.append(f"{held['failed_attempt']} of {held['max_failure']} failures")
    if job["job_status"] in ("failed", "closed", "cancelled"):
        parts.append(_what_next(job, own, following))
    return "; ".join(part for part in parts if part)


def _what_next(job: Row, own: Row, following: list[Row]) -> str:
    if following:
        first = following[0]
        memory = f" with {first['min_ram_mb']} MB" if first["min_ram_mb"] > job["min_ram_mb"] else ""
        more = f" and {len(following) - 1} more" if len(following) > 1 else ""
        return f"tried again{memory} as job {first['panda_id']}{more}"
    if own["n_ready"]:
        memory = f" with {own['ram_mb'] * max(1, job['core_count'])} MB" if own["ram_mb"] else ""
        return f"will be tried again{memory}"
    if own["n_failed"]:
        used_up = own["attempt_nr"] >= own["max_attempt"]
        return "not tried again: " + ("its attempts are used up" if used_up else "it has failed too often")
    return "not tried again: its input was given up" if own["n_cancelled"] else ""
