"""Ends requests that no task needs, and deletes the copies that the carousel made. Brings nothing.

A copy leaves the catalogue before it leaves the disk: no job is sent to a file that is being deleted.
"""

from __future__ import annotations

import logging
from pathlib import Path

from core.carousel.bringing import COMPONENT
from core.carousel.copying import remove
from core.database import Database, Row, Transaction
from core.dataservice import staging
from core.states import FINAL_TASK_STATUSES, StagingStatus
from core.workload_settings import CarouselSettings

log = logging.getLogger("panda.data_carousel")

_FINAL = sorted(status.value for status in FINAL_TASK_STATUSES)
_BATCH = 100
_FILES_PER_PAGE = 500

_UNUSED = """NOT EXISTS (SELECT 1 FROM data_carousel_relations r JOIN tasks t USING (jedi_task_id)
                WHERE r.request_id = q.request_id AND NOT t.status = ANY(%(final)s))"""
# ix_data_carousel_requests_status, primary keys
_TO_END = f"""
SELECT q.request_id FROM data_carousel_requests q
WHERE q.status IN ('queued', 'staging', 'done') AND {_UNUSED}
  AND (q.status <> 'done' OR q.unused_since IS NULL
       OR q.unused_since <= clock_timestamp() - make_interval(secs => %(release_s)s))
ORDER BY q.request_id LIMIT %(batch)s
"""
_NOTE = "UPDATE data_carousel_requests SET unused_since = clock_timestamp() WHERE request_id = %(id)s"
_IS_OVER = """
SELECT coalesce(unused_since <= clock_timestamp() - make_interval(secs => %(release_s)s), false) AS is_over
FROM data_carousel_requests WHERE request_id = %(id)s
"""
# ix_data_carousel_requests_copies, primary keys
_TO_CLEAN = f"""
SELECT q.* FROM data_carousel_requests q
WHERE q.holds_copies AND q.status IN ('cancelled', 'retired') AND {_UNUSED}
  AND (q.status = 'retired' OR q.end_time <= clock_timestamp() - make_interval(secs => %(release_s)s))
ORDER BY q.request_id LIMIT %(batch)s
"""
# ix_data_carousel_files_status
_COPIES = """
SELECT file_id, place FROM data_carousel_files
WHERE request_id = %(id)s AND status IN ('staged', 'waiting', 'failed') AND place <> '' ORDER BY file_id LIMIT %(page)s
"""
# primary keys
_FORGET = """
DELETE FROM replicas r USING unnest(%(ids)s::bigint[], %(places)s::text[]) AS v (file_id, place)
WHERE r.file_id = v.file_id AND r.endpoint = %(endpoint)s AND r.pfn = v.place
"""
_DELETING = """
UPDATE data_carousel_files SET status = 'deleting' WHERE request_id = %(id)s AND file_id = ANY(%(ids)s)
"""
# ix_data_carousel_files_status
_HALF_DELETED = """
SELECT c.request_id, c.file_id, c.place FROM data_carousel_requests q JOIN data_carousel_files c USING (request_id)
WHERE q.holds_copies AND c.status = 'deleting' ORDER BY c.request_id, c.file_id LIMIT %(page)s
"""
_RELEASED = """
UPDATE data_carousel_files SET status = 'released', place = ''
WHERE request_id = %(id)s AND file_id = ANY(%(ids)s) AND status = 'deleting'
"""
_HOLDS_NO_MORE = """
UPDATE data_carousel_requests q SET holds_copies = false
WHERE q.request_id = %(id)s AND NOT EXISTS (SELECT 1 FROM data_carousel_files c
    WHERE c.request_id = q.request_id AND c.status IN ('staged', 'waiting', 'failed', 'deleting') AND c.place <> '')
"""


def end_unused(database: Database, settings: CarouselSettings) -> int:
    """Cancel what no task waits for any more, and retire what was not used for long; returns how many changed."""
    values = {"final": _FINAL, "release_s": settings.release_after_s, "batch": _BATCH}
    return sum(_end(database, row["request_id"], settings) for row in database.fetch(_TO_END, values))


def _end(database: Database, request_id: int, settings: CarouselSettings) -> bool:
    with database.transaction() as transaction:
        request = staging.lock_request(transaction, request_id)
        if request is None or staging.live_tasks(transaction, request_id):
            return False
        if request["status"] in (StagingStatus.QUEUED, StagingStatus.STAGING):
            staging.change(transaction, request, StagingStatus.CANCELLED)
            return True
        if request["status"] != StagingStatus.DONE:
            return False
        if request["unused_since"] is None:
            transaction.execute(_NOTE, {"id": request_id})
            return settings.release_after_s == 0
        [row] = transaction.fetch(_IS_OVER, {"id": request_id, "release_s": settings.release_after_s})
        if row["is_over"]:
            staging.change(transaction, request, StagingStatus.RETIRED)
        return bool(row["is_over"])


def delete_copies(database: Database, settings: CarouselSettings) -> int:
    """Delete a page of copies of each request that nobody needs; returns how many."""
    values = {"final": _FINAL, "release_s": settings.release_after_s, "batch": _BATCH}
    for request in database.fetch(_TO_CLEAN, values):
        with database.transaction() as transaction:
            _forget(transaction, request)
    return finish_deleting(database)


def _forget(transaction: Transaction, request: Row) -> None:
    request_id = request["request_id"]
    locked = staging.lock_request(transaction, request_id)
    if locked is None or staging.live_tasks(transaction, request_id):
        return
    rows = transaction.fetch(_COPIES, {"id": request_id, "page": _FILES_PER_PAGE})
    if not rows:
        transaction.execute(_HOLDS_NO_MORE, {"id": request_id})
        return
    ids, places = [row["file_id"] for row in rows], [row["place"] for row in rows]
    transaction.execute(_FORGET, {"ids": ids, "places": places, "endpoint": locked["destination_endpoint"]})
    transaction.execute(_DELETING, {"id": request_id, "ids": ids})


def finish_deleting(database: Database) -> int:
    """Delete from disk what has left the catalogue; returns how many files. What cannot be deleted is told, and left."""
    rows = database.fetch(_HALF_DELETED, {"page": _FILES_PER_PAGE})
    gone: dict[int, list[int]] = {}
    left = 0
    for row in rows:
        if not remove(Path(row["place"])):
            left += 1
            log.warning("%s cannot be deleted: delete it by hand", row["place"], extra={"component": COMPONENT})
        gone.setdefault(row["request_id"], []).append(row["file_id"])
    for request_id, ids in gone.items():
        with database.transaction() as transaction:
            transaction.execute(_RELEASED, {"id": request_id, "ids": ids})
            transaction.execute(_HOLDS_NO_MORE, {"id": request_id})
    return len(rows)
