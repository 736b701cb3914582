"""The rules of incidents that an installation begins with; frozen with revision 0011, and the operators' from then on.

What the parameters mean is said by the evaluators (logger/rules) and in docs/alarms.md.
"""

from __future__ import annotations

from typing import Any

AUTHOR = "pandascope"

_JOBS: dict[str, Any] = {
    "min_residue_jobs": 1,
    "residue_part_of_ended": 0.001,
    "min_lost_core_h": 10,
    "burst_jobs": 10,
    "burst_rate": 0.2,
    "quiet_s": 1800,
}

# name, evaluator, kind, severity floor, title, parameters
_ROWS: tuple[tuple[str, str, str, str, str, dict[str, Any]], ...] = (
    (
        *("failure_burst", "job", "failure_burst", "warning"),
        "Jobs fail in one way, and their work is lost after all retries, costs much, or they are many at one place.",
        {"classes": "!data|storage", **_JOBS},
    ),
    (
        *("data_failures", "job", "data", "warning"),
        "Jobs fail at their input or output: files missing or changed, storage full or away.",
        {"classes": "data|storage", **_JOBS},
    ),
    (
        *("service_errors", "record", "service", "warning"),
        "A component reported an error, or named a trouble itself.",
        {"level": "ERROR", "min_records": 1, "window_s": 600},
    ),
    (
        *("silent_queue", "silent_queue", "absence", "error"),
        "A queue has activated jobs and no pilot has asked for one.",
        {"limit_s": 600},
    ),
    (
        *("task_stalled", "task_stalled", "absence", "warning"),
        "Jobs of a task run and none has ended for much longer than usual.",
        {"limit_s": 3600, "times_usual": 10, "min_finished": 20, "for_s": 120},
    ),
    (
        *("throughput_low", "throughput_low", "absence", "error"),
        "Far fewer jobs finished in the last hour than in the same hour of last week, although work waits.",
        {"limit_part": 0.5, "min_jobs": 50, "z": 3, "min_waiting": 20, "for_s": 600},
    ),
    (
        *("long_wait", "long_wait", "backlog", "warning"),
        "Jobs have waited in one state for longer than its limit.",
        {"defined_s": 3600, "waiting_s": 21600, "assigned_s": 21600, "activated_s": 7200},
    ),
    (
        *("wait_percentile", "wait_percentile", "backlog", "warning"),
        "Nine of ten waiting jobs of a queue wait longer than several times what jobs there usually waited.",
        {"times_usual": 3, "floor_s": 1800, "min_jobs": 20, "days": 7, "for_s": 600},
    ),
    (
        *("agents_late", "agents_late", "service", "error"),
        "A loop of the server has not begun its round when it was due.",
        {"limit_s": 60},
    ),
    (
        *("database_slow", "database_slow", "service", "critical"),
        "The database answers slowly, or a lock keeps others waiting.",
        {"limit_s": 2, "for_s": 4},
    ),
    (
        *("clock_skew", "clock_skew", "service", "warning"),
        "The clock of a host that sends records is wrong.",
        {"limit_s": 120, "for_s": 60},
    ),
    (
        *("expiry", "expiry", "service", "warning"),
        "A certificate or a token that is in use expires soon.",
        {"limit_days": 14, "critical_days": 2, "token_hours": 24},
    ),
    (
        *("disk_full", "disk_full", "service", "error"),
        "A disk of the server is nearly full.",
        {"limit_mb": 1000, "critical_mb": 200},
    ),
    (
        *("transfer_stuck", "transfer_stuck", "data", "warning"),
        "Jobs stage files in or out for much longer than usual at that storage.",
        {"limit_s": 3600, "times_usual": 6, "min_jobs": 3},
    ),
)

RULES: tuple[dict[str, Any], ...] = tuple(
    {
        "name": name,
        "evaluator": evaluator,
        "kind": kind,
        "severity_floor": floor,
        "title": title,
        "parameters": parameters,
        "is_builtin": True,
        "modified_by": AUTHOR,
    }
    for name, evaluator, kind, floor, title, parameters in _ROWS
)
