"""A request that brings input from tape, in words. Knows no task."""

from __future__ import annotations

from datetime import datetime

from core.carousel.turns import places_in_queue, queued
from core.database import Row, Transaction
from core.dataservice.staging import places_words
from core.wording import moment

# ix_data_carousel_relations_task, primary key
_REQUESTS = """
SELECT q.* FROM data_carousel_relations r JOIN data_carousel_requests q USING (request_id)
WHERE r.jedi_task_id = %(task)s AND q.status IN ('queued', 'staging', 'done') ORDER BY q.status = 'done', q.request_id LIMIT 20
"""


def requests_of(transaction: Transaction, task_id: int) -> list[Row]:
    """What is brought, or was, for a task; each with its `place` in the queue, if it is queued."""
    rows = transaction.fetch(_REQUESTS, {"task": task_id})
    waits = any(row["status"] == "queued" for row in rows)
    places = places_in_queue(queued(transaction)) if waits else {}
    return [{**row, "place": places.get(row["request_id"])} for row in rows]


def staging_words(request: Row, now: datetime) -> str:
    """What becomes of a dataset, and since when."""
    about = f"{request['dataset']} (request {request['request_id']}) {places_words(request)}"
    if request["status"] == "done":
        return f"{about} is through"
    if request["status"] == "queued":
        where = f"number {request['place']} in the queue of that tape" if request["place"] else "queued"
        if not request["is_listed"]:
            where = "its files are being listed"
        return f"{about}: {request['trouble'] or where}"
    came = request["progress_time"] if request["n_staged"] else None
    last = f", the last file came at {moment(came, now)}" if came else ""
    trouble = f", {request['trouble']}" if request["trouble"] else ""
    return f"{about}: {request['n_staged']:,} of {request['n_files']:,}{last}{trouble}"
