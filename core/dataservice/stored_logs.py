"""Keeps the ends of the logs of jobs whose pilot sent none, out of the archives it stored. Knows job_logs; no state of a job."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.database import Transaction
from core.dataservice.log_archive import read_log_tails
from core.dispatch.update import LOG_TAIL_CHARACTERS
from core.text import clean_tail

READING_LIMIT_S = 5.0
"""For all archives of one call: accounting must go on when a storage is slow; what is not read then is not kept."""


@dataclass(frozen=True)
class StoredLog:
    """The log archive of a job, at an endpoint."""

    panda_id: int
    endpoint: str
    pfn: str


# both by primary key
_WITH_LOGS = "SELECT DISTINCT panda_id FROM job_logs WHERE panda_id = ANY(%(panda_ids)s) AND name LIKE 'payload.%%'"
_ENDPOINTS = "SELECT name, path FROM storage_endpoints WHERE name = ANY(%(names)s)"
_KEEP = """
INSERT INTO job_logs (panda_id, name, text, is_truncated) VALUES %s
ON CONFLICT (panda_id, name) DO UPDATE SET text = excluded.text, is_truncated = excluded.is_truncated
"""


def keep_stored_logs(transaction: Transaction, logs: Sequence[StoredLog]) -> int:
    """Keep what the archives hold, in the order given; returns of how many jobs. Only archives inside the directory of
    their endpoint are opened: a pilot may not make the server read anything else."""
    if not logs:
        return 0
    have = {row["panda_id"] for row in transaction.fetch(_WITH_LOGS, {"panda_ids": [log.panda_id for log in logs]})}
    paths = {
        row["name"]: row["path"]
        for row in transaction.fetch(_ENDPOINTS, {"names": sorted({log.endpoint for log in logs})})
    }
    deadline = time.monotonic() + READING_LIMIT_S
    rows: list[tuple[int, str, str, bool]] = []
    for log in logs:
        if log.panda_id in have or not _is_inside(log.pfn, paths.get(log.endpoint, "")):
            continue
        if time.monotonic() > deadline:
            break
        for name, text in read_log_tails(log.pfn, until=deadline).items():
            kept = clean_tail(text, LOG_TAIL_CHARACTERS)
            rows.append((log.panda_id, name, kept, len(kept) >= LOG_TAIL_CHARACTERS))
    transaction.insert_many(_KEEP, rows)
    return len({row[0] for row in rows})


def _is_inside(pfn: str, directory: str) -> bool:
    path = PurePosixPath(pfn)
    return bool(directory) and ".." not in path.parts and path.is_relative_to(directory)
