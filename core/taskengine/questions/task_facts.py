"""What a job's task asks of the pilot beyond the job's own row, remembered for a minute. Knows no wire name of pilots.

Tasks have thousands of jobs, and their parameters may be long: reading them with every job would cost more than the job.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from core.database import Database
from core.taskengine.dialects.execution import optional_outputs

_AGE_S = 60.0
_MOST = 10_000

# primary key
_FACTS = """
SELECT t.nucleus, (
    SELECT coalesce(jsonb_object_agg(p.key, p.value), '{}')
    FROM jsonb_each(CASE WHEN jsonb_typeof(t.parameters) = 'object' THEN t.parameters ELSE '{}' END) AS p
    WHERE p.key = ANY(%(names)s)) AS facts
FROM tasks t WHERE t.jedi_task_id = %(id)s
"""
NAMES = ("multiStepExec", "useSecrets", "noLoopingCheck", "loopingCheck", "transferType", "jobParameters")
"""The keys of the task parameter dictionary that reach the pilot (client-wire.md 4.4)."""


class TaskFacts:
    """A small cache in front of the tasks; shared by the threads of one process."""

    def __init__(self, database: Database, age_s: float = _AGE_S) -> None:
        self._database = database
        self._age_s = age_s
        self._lock = threading.Lock()
        self._known: dict[int, tuple[float, dict[str, Any]]] = {}

    def of(self, task_id: int | None) -> dict[str, Any]:
        """Those of `NAMES` that the task sets; nothing for jobs without a task. Changes show within a minute.

        In the place of jobParameters: `optional_outputs`, the datasets whose files a job may leave out. With them
        `nucleus`, where its outputs are collected.
        """
        if task_id is None:
            return {}
        now = time.monotonic()
        known = self._known.get(task_id)
        if known is not None and now - known[0] < self._age_s:
            return known[1]
        row = self._database.fetch_one(_FACTS, {"id": task_id, "names": list(NAMES)})
        facts: dict[str, Any] = row["facts"] if row else {}
        facts["optional_outputs"] = optional_outputs(facts)
        facts["nucleus"] = row["nucleus"] if row else ""
        facts.pop("jobParameters", None)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[task_id] = (now, facts)
        return facts
