"""Repairs requests that stand still: asks for them again, and tells people. Knows no file by name."""

from __future__ import annotations

import logging

from core.carousel.bringing import COMPONENT, stuck_key
from core.database import Database, Row
from core.dataservice.staging import places_words
from core.wording import counted, duration_words
from core.workload_settings import CarouselSettings

log = logging.getLogger("panda.data_carousel")

_BATCH = 100

# ix_data_carousel_requests_status
_STILL = """
SELECT *, extract(epoch FROM clock_timestamp() - coalesce(start_time, creation_time))::float AS age_s
FROM data_carousel_requests
WHERE (status = 'staging' OR status = 'queued' AND trouble <> '')
  AND coalesce(progress_time, creation_time) < clock_timestamp() - make_interval(secs => %(stuck_s)s)
ORDER BY request_id LIMIT %(batch)s
"""
# primary key, ix_data_carousel_files_status
_ASK_AGAIN = """
UPDATE data_carousel_requests SET n_asked = n_asked + 1, progress_time = clock_timestamp(), next_try_time = NULL,
       check_cursor = 0, modification_time = clock_timestamp()
WHERE request_id = %(id)s
"""
_TRY_AGAIN = """
UPDATE data_carousel_files SET next_try_time = NULL
WHERE request_id = %(id)s AND status = 'waiting' AND next_try_time IS NOT NULL
"""


def ask_again(database: Database, settings: CarouselSettings) -> int:
    """Ask again for requests of which nothing arrived for long; returns how many."""
    rows = database.fetch(_STILL, {"stuck_s": settings.stuck_s, "batch": _BATCH})
    for row in rows:
        with database.transaction() as transaction:
            transaction.execute(_ASK_AGAIN, {"id": row["request_id"]})
            transaction.execute(_TRY_AGAIN, {"id": row["request_id"]})
        _tell(row, settings)
    return len(rows)


def _tell(row: Row, settings: CarouselSettings) -> None:
    left = row["n_files"] - row["n_staged"] - row["n_failed"]
    trouble = f": {row['trouble']}" if row["trouble"] else ""
    log.error(
        "request %d: no file of %s has come %s for %s, %s still to come%s; asked again",
        *(row["request_id"], row["dataset"], places_words(row), duration_words(settings.stuck_s)),
        *(counted(left, "file"), trouble),
        extra={"component": COMPONENT, "kind": "data", "fingerprint": stuck_key(row)},
    )
