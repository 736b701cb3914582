"""Whose work a job is, as accounts count it: the working group's when it is done for one, else the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WHOSE_SQL = "coalesce(nullif(working_group, ''), prod_user_name)"
"""Of a row of jobs, in SQL."""


def whose(job: Mapping[str, Any]) -> str:
    """The name, of a row of jobs."""
    return str(job.get("working_group") or job["prod_user_name"])
