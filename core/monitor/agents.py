"""The agents as monitors show them: last and next run, how long a cycle took, what went wrong last. Knows no page."""

from __future__ import annotations

from typing import Any

from core.database import Database
from core.monitor.question import Grammar, Question
from core.monitor.reading import envelope

AGENT_GRAMMAR = Grammar(filters={})
LATE_AFTER_S = 60
"""An agent that is due for longer than this is late: it hangs, works on something long, or no process runs it."""

# agent_runs whole: some thirty rows; its cursor is the agent's own affair
_AGENTS = """
SELECT name, host, process_id, last_run, next_run, duration_ms, cycle_count, last_error, last_error_time,
       coalesce(next_run < %(now)s - make_interval(secs => %(late_s)s), false) AS is_late
FROM agent_runs ORDER BY name
"""


def agent_list(database: Database, question: Question) -> dict[str, Any]:
    """Every agent that ever ran; `last_error` is of the last run that was noted and empty when it went well."""
    rows = database.fetch(_AGENTS, {"now": question.as_of, "late_s": LATE_AFTER_S})
    return envelope(question.as_of, count=len(rows), warnings=question.warnings, agents=rows)
