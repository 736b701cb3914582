"""What the tests of why ask: the whole answer at a moment, with fresh counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.clock import utc_now
from core.configuration import Settings
from core.database import Database
from core.monitor.why import why_job, why_task
from core.why.explaining import Explainer


def explainer(**settings: Any) -> Explainer:
    """One that counts anew for every question."""
    return Explainer(Settings(data="/tmp/panda-why", **settings), load_kept_s=0.0)


def about_job(database: Database, panda_id: int, as_of: datetime | None = None, **settings: Any) -> dict[str, Any]:
    """The answer for a job."""
    return why_job(database, explainer(**settings), panda_id, as_of or utc_now())


def about_task(database: Database, task_id: int, as_of: datetime | None = None, **settings: Any) -> dict[str, Any]:
    """The answer for a task."""
    return why_task(database, explainer(**settings), task_id, as_of or utc_now())


def first(answer: dict[str, Any]) -> tuple[str, str]:
    """The id and the sentence of the first reason."""
    assert answer["reason"], answer
    return answer["reason"]["id"], answer["reason"]["sentence"]
