"""A database with a queue, and trees and jobs put into it quickly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from core.database import Database
from core.shares.editing import replace_tree
from core.shares.ranking import Ranking
from core.shares.usage import refresh
from tests.support.builders import make_queue


@pytest.fixture
def site(database: Database) -> Database:
    """A fresh database with the queue Q."""
    make_queue(database)
    return database


def plant(database: Database, *shares: dict[str, Any]) -> None:
    """The tree that is made of these shares, and nothing else."""
    replace_tree(database, shares, who="olga")


_PUT = """
INSERT INTO jobs_live (panda_id, job_status, gshare, computing_site, prod_user_name, current_priority, core_count,
                       prod_source_label, min_ram_mb)
SELECT nextval('panda_id_seq'), %(status)s, %(share)s, %(queue)s, 'alice', %(priority)s, %(cores)s, %(label)s, %(ram_mb)s
FROM generate_series(1, %(count)s) RETURNING panda_id
"""


def put_jobs(
    database: Database,
    share: str,
    count: int = 1,
    *,
    status: str = "activated",
    queue: str = "Q",
    priority: int = 1000,
    cores: int = 1,
    label: str = "user",
    ram_mb: int = 0,
) -> list[int]:
    """Bare jobs of a share, without files: dispatch asks for nothing else."""
    values = {"status": status, "share": share, "queue": queue, "priority": priority, "cores": cores}
    rows = database.fetch(_PUT, {**values, "label": label, "ram_mb": ram_mb, "count": count})
    return sorted(row["panda_id"] for row in rows)


def strict(database: Database) -> Ranking:
    """The order of the shares as they are counted now, and nothing by age."""
    refresh(database)
    return Ranking(sloppy=0.0)


def flat(names: Sequence[str], label: str = "user") -> list[dict[str, Any]]:
    """Equal leaves below the top, told apart by the working group of the same name."""
    return [{"name": name, "value": 1, "working_group": name, "prod_source_label": label} for name in names]
