"""Which queues the submitters of tasks want and do not want. Knows the parameters of tasks, no queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from core.brokerage.candidates import Request
from core.database import Transaction

# primary key; what was changed since the submission wins
_WISHES = """
SELECT jedi_task_id, coalesce(split_rule->'site', parameters->'site') AS site,
       coalesce(split_rule->'includedSite', parameters->'includedSite') AS included,
       coalesce(split_rule->'excludedSite', parameters->'excludedSite') AS excluded
FROM tasks WHERE jedi_task_id = ANY(%(ids)s)
"""


@dataclass(frozen=True)
class QueueWishes:
    """Names and patterns of queues."""

    included: tuple[str, ...]
    excluded: tuple[str, ...]

    def added_to(self, request: Request) -> Request:
        """The request of jobs of this submitter."""
        return replace(request, included=self.included, excluded=self.excluded)


def queue_wishes(transaction: Transaction, task_ids: Iterable[int]) -> dict[int, QueueWishes]:
    """The wishes of those of the tasks that have any, by jediTaskID."""
    wishes = {}
    for row in transaction.fetch(_WISHES, {"ids": sorted(task_ids)}):
        sites = _names(row["site"])
        included = _names(row["included"]) or (sites if len(sites) > 1 else ())
        excluded = _names(row["excluded"])
        if included or excluded:
            wishes[row["jedi_task_id"]] = QueueWishes(included, excluded)
    return wishes


def _names(value: Any) -> tuple[str, ...]:
    """Lists at submission, text with commas at a retry (client-wire.md 5.3); anything else names nothing."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        return ()
    return tuple(part.strip() for part in parts if isinstance(part, str) and part.strip())
