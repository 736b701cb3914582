"""Gives requests their turn: so many datasets and files of one tape at a time, the most urgent first. Brings nothing."""

from __future__ import annotations

import logging
from collections import defaultdict

from core.carousel.choosing import Chosen, choose_destination, choose_source
from core.database import Database, Row, Transaction
from core.dataservice import staging
from core.states import FINAL_TASK_STATUSES, StagingStatus
from core.text import clean
from core.workload_settings import CarouselSettings

log = logging.getLogger("panda.data_carousel")

_FINAL = sorted(status.value for status in FINAL_TASK_STATUSES)
_BATCH = 100

# ix_data_carousel_requests_status; the most urgent task of each by primary keys
QUEUED = """
SELECT q.*, p.priority FROM data_carousel_requests q CROSS JOIN LATERAL (
    SELECT max(t.current_priority) AS priority FROM data_carousel_relations r JOIN tasks t USING (jedi_task_id)
    WHERE r.request_id = q.request_id AND NOT t.status = ANY(%(final)s)) p
WHERE q.status = 'queued'
ORDER BY q.is_forced DESC, p.priority DESC NULLS LAST, q.creation_time, q.request_id
"""
"""All that are queued, in the order of their turns."""
# ix_data_carousel_requests_status
_UNDER_WAY = """
SELECT source_endpoint, count(*) AS requests, sum(n_files - n_staged - n_failed)::bigint AS files
FROM data_carousel_requests WHERE status = 'staging' GROUP BY source_endpoint
"""
# ix_data_carousel_requests_status
_WITHOUT_PLACE = """
SELECT request_id FROM data_carousel_requests
WHERE status = 'queued' AND is_listed AND (source_endpoint = '' OR destination_endpoint = '')
  AND (next_try_time IS NULL OR next_try_time <= clock_timestamp())
ORDER BY next_try_time NULLS FIRST, request_id LIMIT %(batch)s
"""
# primary key
_PLACE = """
UPDATE data_carousel_requests SET source_endpoint = %(source)s, destination_endpoint = %(destination)s, reason = %(reason)s,
    next_try_time = CASE WHEN %(retry_s)s::float IS NULL THEN NULL
                         ELSE clock_timestamp() + make_interval(secs => %(retry_s)s) END,
    modification_time = clock_timestamp()
WHERE request_id = %(id)s
"""


def queued(database: Database | Transaction) -> list[Row]:
    """The queued requests in the order of their turns."""
    return database.fetch(QUEUED, {"final": _FINAL})


def find_places(database: Database, settings: CarouselSettings) -> int:
    """Choose source and destination of requests that lack one; returns how many have both now."""
    rows = database.fetch(_WITHOUT_PLACE, {"batch": _BATCH})
    return sum(_find_place(database, row["request_id"], settings) for row in rows)


def _find_place(database: Database, request_id: int, settings: CarouselSettings) -> bool:
    with database.transaction() as transaction:
        request = staging.lock_request(transaction, request_id)
        if request is None or request["status"] != StagingStatus.QUEUED:
            return False
        source = Chosen(request["source_endpoint"], "")
        if not source.name:
            source = choose_source(transaction, request)
        destination = choose_destination(transaction, request)
        # what nobody has on tape is brought by somebody else: the task asked to wait for it
        has_source = bool(source.name) or request["takes_any"]
        trouble = (
            ""
            if destination.name and has_source
            else "; ".join(
                chosen.why
                for chosen, missing in ((source, not has_source), (destination, not destination.name))
                if missing
            )
        )
        set_places(transaction, request, source, destination, retry_s=settings.retry_s if trouble else None)
        staging.say(transaction, request_id, trouble)
        return not trouble


def set_places(
    transaction: Transaction, request: Row, source: Chosen, destination: Chosen, *, retry_s: float | None = None
) -> None:
    """Write down what was chosen; `retry_s`: when it is looked for again."""
    reason = "; ".join(chosen.why for chosen in (source, destination) if chosen.name and chosen.why)
    values = {"source": source.name, "destination": destination.name, "reason": clean(reason, 500)}
    transaction.execute(_PLACE, {"id": request["request_id"], **values, "retry_s": retry_s})


def give_turns(database: Database, settings: CarouselSettings) -> int:
    """Start as many queued requests as their sources allow; returns how many."""
    requests: dict[str, int] = defaultdict(int)
    files: dict[str, int] = defaultdict(int)
    for row in database.fetch(_UNDER_WAY):
        requests[row["source_endpoint"]] += row["requests"]
        files[row["source_endpoint"]] += row["files"]
    started = 0
    closed: set[str] = set()
    for row in queued(database):
        source, size = row["source_endpoint"], row["n_files"] - row["n_staged"] - row["n_failed"]
        if not row["is_listed"] or not row["destination_endpoint"] or not (source or row["takes_any"]):
            continue
        is_full = requests[source] >= settings.requests_per_source or (
            requests[source] > 0 and files[source] + size > settings.files_per_source
        )
        if not row["is_forced"] and (is_full or source in closed):
            # smaller ones do not pass a large one for ever
            closed.add(source)
            continue
        if start(database, row["request_id"]):
            requests[source] += 1
            files[source] += size
            started += 1
    return started


def start(database: Database, request_id: int) -> bool:
    """Begin to bring a request that is still queued."""
    with database.transaction() as transaction:
        request = staging.lock_request(transaction, request_id)
        if request is None or request["status"] != StagingStatus.QUEUED:
            return False
        staging.change(transaction, request, StagingStatus.STAGING)
    return True


def places_in_queue(rows: list[Row]) -> dict[int, int]:
    """The place of each queued request among those of its source, from 1; `rows` in the order of their turns."""
    counts: dict[str, int] = {}
    places = {}
    for row in rows:
        counts[row["source_endpoint"]] = counts.get(row["source_endpoint"], 0) + 1
        places[row["request_id"]] = counts[row["source_endpoint"]]
    return places
