"""Jobs that have failed, written as the server leaves them: archive row, history row, kept logs."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from core.database import Database, Transaction

_ids = itertools.count(2_000_000)

_JOBS = """
INSERT INTO jobs_archive (panda_id, jedi_task_id, job_status, computing_site, prod_user_name, modification_host, core_count,
    transformation, pilot_error_code, pilot_error_diag, trans_exit_code, job_dispatcher_error_code,
    job_dispatcher_error_diag, task_buffer_error_code, start_time, end_time, state_change_time,
    pilot_timing)
SELECT %(first)s + n, %(task)s, %(status)s, %(site)s, %(user)s, %(host)s, %(cores)s, 'runShell', %(code)s, %(diag)s,
    %(exit_code)s, %(dispatcher_code)s, %(dispatcher_diag)s, %(buffer_code)s,
    clock_timestamp() - make_interval(secs => %(walltime_s)s + %(ago_s)s),
    clock_timestamp() - make_interval(secs => %(ago_s)s), clock_timestamp() - make_interval(secs => %(ago_s)s), %(timing)s
FROM generate_series(0, %(count)s - 1) n
"""
_HISTORY = """
INSERT INTO job_history (panda_id, jedi_task_id, previous_status, job_status, computing_site, modification_time)
SELECT %(first)s + n, %(task)s, %(before)s, %(status)s, %(site)s, clock_timestamp() - make_interval(secs => %(ago_s)s)
FROM generate_series(0, %(count)s - 1) n
"""
_LOGS = """
INSERT INTO job_logs (panda_id, name, text)
SELECT %(first)s + n, %(name)s, %(text)s FROM generate_series(0, %(count)s - 1) n
"""


def end_jobs(
    database: Database | Transaction,
    count: int = 1,
    *,
    status: str = "failed",
    before: str = "holding",
    site: str = "CERN",
    user: str = "ann",
    task: int | None = 10_000_001,
    host: str = "wn1",
    cores: int = 1,
    walltime_s: int = 0,
    code: int = 1305,
    diag: str = "Failed to execute payload: exit code 1",
    exit_code: int = 1,
    dispatcher_code: int = 0,
    dispatcher_diag: str = "",
    buffer_code: int = 0,
    ago_s: float = 0.0,
    timing: str = "",
    logs: dict[str, str] | None = None,
) -> range:
    """End `count` jobs alike, `ago_s` seconds ago, in three statements, and return their PandaIDs."""
    first = next(_ids)
    for _ in range(count - 1):
        next(_ids)
    values: dict[str, Any] = {key: value for key, value in locals().items() if key not in {"database", "logs", "_"}}
    database.execute(_JOBS, values)
    for name, text in (logs or {}).items():
        database.execute(_LOGS, {"first": first, "count": count, "name": name, "text": text})
    database.execute(_HISTORY, values)
    return range(first, first + count)


def record(message: str = "something broke", **fields: Any) -> dict[str, Any]:
    """A log record as a handler sends it."""
    return {
        "time": datetime.now(UTC).isoformat(),
        "level": "ERROR",
        "name": "core.agents.adder",
        "component": "adder",
        "message": message,
        "host": "node1",
        "process": 17,
        "file": "adder.py",
        "line": 3,
        "traceback": None,
        "fields": {},
        **fields,
    }
