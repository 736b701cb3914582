"""Tasks: the list, and one task with its jobs by state, its datasets and its history. Knows no page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.errors import UnknownObject
from core.monitor.filters import number_column, text_column
from core.monitor.measured import measured_in_words
from core.monitor.question import Grammar, Question
from core.monitor.reading import decode_cursor, encode_cursor, envelope, read
from core.monitor.retries import retries_of_task
from core.monitor.selection import contains_text
from core.taskengine.questions.columns import TASK_COLUMNS

TASK_GRAMMAR = Grammar(
    filters={
        **{name: text_column(name) for name in ("task_name", "status", "vo", "working_group", "prod_source_label")},
        **{name: text_column(name) for name in ("user_name", "processing_type", "site", "gshare", "nucleus")},
        "prod_user_name": text_column("prod_user_name", "user_name"),
        "jedi_task_id": number_column("jedi_task_id"),
        **{name: number_column(name) for name in ("task_priority", "req_id", "parent_tid")},
        "q": contains_text(("task_name", "user_name", "error_dialog")),
    },
    identities=frozenset({"jedi_task_id"}),
    default_hours=7 * 24,
    sorts=("jedi_task_id-descending", "jedi_task_id-ascending"),
)

_ROW = f"""
    jedi_task_id, task_name, status, user_name, vo, prod_source_label, creation_time, modification_time, end_time, n_jobs,
    n_finished, n_failed, n_cancelled, greatest(n_jobs - n_finished - n_failed - n_cancelled, 0) AS n_active,
    n_input_files, error_dialog, {TASK_COLUMNS["superStatus"].expression} AS super_status, n_files, n_files_finished,
    n_files_failed, req_id, parent_tid, gshare, site, nucleus
"""

# primary key
_TASK = f"SELECT {_ROW}, n_pieces, goal, next_try_time, parameters, measured FROM tasks t WHERE jedi_task_id = %(jedi_task_id)s"
# primary key; tasks from before it was kept have none
_COST = """
SELECT wall_core_s / 3600 AS core_hours, failed_wall_core_s / 3600 AS failed_core_hours,
       power_s / 3600 AS power_hours, failed_power_s / 3600 AS failed_power_hours
FROM task_costs WHERE jedi_task_id = %(jedi_task_id)s
"""
# ix_brokerage_decisions_task
_DESTINATION = """
SELECT time, chosen, candidate_count, binding_step, is_temporary, weights, funnel FROM brokerage_decisions
WHERE jedi_task_id = %(jedi_task_id)s AND kind = 'nucleus' ORDER BY decision_id DESC LIMIT 1
"""
# ix_jobs_live_task, ix_jobs_archive_task
_JOBS = """
SELECT job_status, count(*) AS count FROM (
    SELECT job_status FROM jobs_live WHERE jedi_task_id = %(jedi_task_id)s
    UNION ALL SELECT job_status FROM jobs_archive WHERE jedi_task_id = %(jedi_task_id)s
) jobs GROUP BY 1
"""
# ix_task_datasets_task, ix_task_files_dataset; what was made stands in the catalogue: datasets_name_key, ix_files_dataset
_DATASETS = """
SELECT d.name, d.container, d.stream, d.type, d.is_master, d.status,
       f.n_files + made.n_files AS n_files, f.n_finished + made.n_files AS n_finished, f.n_failed
FROM (
    SELECT * FROM task_datasets WHERE jedi_task_id = %(jedi_task_id)s ORDER BY dataset_id LIMIT 200
) d CROSS JOIN LATERAL (
    SELECT count(*) AS n_files, count(*) FILTER (WHERE status = 'finished') AS n_finished,
           count(*) FILTER (WHERE status = 'failed') AS n_failed
    FROM task_files f WHERE f.dataset_id = d.dataset_id
) f CROSS JOIN LATERAL (
    SELECT count(*) AS n_files FROM datasets c JOIN files USING (dataset_id)
    WHERE d.type IN ('output', 'log') AND c.name = d.name
) made ORDER BY d.dataset_id
"""
# ix_task_history_task; the last steps, in order
_HISTORY = """
SELECT * FROM (
    SELECT time, previous_status, status, who, reason, history_id FROM task_history
    WHERE jedi_task_id = %(jedi_task_id)s ORDER BY history_id DESC LIMIT 200
) h ORDER BY history_id
"""
# ix_incident_jobs_task
_INCIDENTS = """
SELECT i.incident_id, i.title, i.state, i.severity, c.job_count
FROM (
    SELECT incident_id, count(*) AS job_count FROM incident_jobs WHERE jedi_task_id = %(jedi_task_id)s GROUP BY 1
) c JOIN incidents i USING (incident_id) WHERE i.opened_time IS NOT NULL
ORDER BY i.state <> 'resolved' DESC, c.job_count DESC
"""


def task_list(database: Database, question: Question) -> dict[str, Any]:
    """A page of tasks. The window cuts ended tasks by the time they ended; those under way always count."""
    conditions = [question.where()]
    window = question.window
    if window is not None:
        conditions.append("(end_time IS NULL OR end_time >= %(window_start)s)")
        if not window.reaches_now:
            conditions.append("creation_time < %(window_end)s")
    bounds = {"window_start": window.start if window else None, "window_end": window.end if window else None}
    where = " AND ".join(conditions)
    direction, comparison = ("ASC", ">") if question.sortby.endswith("ascending") else ("DESC", "<")
    key = (question.raw_filters, question.sortby)
    if question.cursor:
        after, count = decode_cursor(question.cursor, key, (int, int))
        page = f"{where} AND jedi_task_id {comparison} %(after)s"
    else:
        after, page = None, where
        # as many rows as there are tasks in the window; ix_tasks_status or ix_tasks_user when filtered by them
        counted: Row = read(
            database, f"SELECT count(*) AS n FROM tasks WHERE {where}", {**question.parameters, **bounds}
        )[0]
        count = counted["n"]
    # primary key, walked in its order
    statement = f"SELECT {_ROW} FROM tasks t WHERE {page} ORDER BY jedi_task_id {direction} LIMIT %(limit)s"
    rows = read(database, statement, {**question.parameters, **bounds, "after": after, "limit": question.limit + 1})
    has_more = len(rows) > question.limit
    rows = rows[: question.limit]
    return envelope(
        question.as_of,
        window=window,
        count=count,
        next_cursor=encode_cursor(key, (rows[-1]["jedi_task_id"], count)) if has_more else None,
        warnings=question.warnings,
        tasks=rows,
    )


def task_detail(database: Database, jedi_task_id: int, as_of: datetime) -> dict[str, Any]:
    """One task with its jobs by state, datasets and history. Raises UnknownObject when there is none of this id."""
    key = {"jedi_task_id": jedi_task_id}
    task = database.fetch_one(_TASK, key)
    if task is None:
        raise UnknownObject(
            f"there is no task {jedi_task_id}",
            field="jedi_task_id",
            remedy="see `panda tasks`, or GET /api/monitor/tasks",
        )
    parameters = task.pop("parameters")
    jobs = {row["job_status"]: row["count"] for row in read(database, _JOBS, key)}
    incidents = database.fetch(_INCIDENTS, key)
    return envelope(
        as_of,
        count=1,
        task=task,
        parameters=parameters,
        measured=measured_in_words(task.pop("measured")),
        cost=database.fetch_one(_COST, key),
        destination=database.fetch_one(_DESTINATION, key),
        jobs=jobs,
        incidents=incidents,
        datasets=read(database, _DATASETS, key),
        retries=retries_of_task(database, jedi_task_id),
        history=[{name: row[name] for name in row if name != "history_id"} for row in database.fetch(_HISTORY, key)],
    )
