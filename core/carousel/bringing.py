"""Brings the files of a request, bunch by bunch: lists them, copies what it can see, takes note of what arrived.

Every step is a transaction of its own that can be done again: whoever is killed between two loses nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from core.carousel.copying import OWN_DIRECTORY, CopyFailed, bring, exists, is_visible, lies_below, local_path
from core.database import Database, Row, Transaction
from core.dataservice import staging
from core.dataservice.activation import record_replicas
from core.dataservice.places import place
from core.dataservice.staging import ON_DISK, ON_TAPE
from core.states import StagingStatus
from core.taskengine import tape
from core.text import clean
from core.wording import counted, named
from core.workload_settings import CarouselSettings

log = logging.getLogger("panda.data_carousel")

COMPONENT = "data_carousel"
_FILES_PER_PAGE = 5000
_LOCAL_MOVERS = frozenset({"cp", "symlink"})

# ix_files_dataset; primary keys
_LIST = f"""
WITH page AS (
    SELECT file_id FROM files WHERE dataset_id = %(dataset)s AND file_id > %(after)s ORDER BY file_id LIMIT %(page)s
), missing AS (
    SELECT f.file_id FROM page f WHERE NOT {ON_DISK} AND (%(any)s OR {ON_TAPE})
), listed AS (
    INSERT INTO data_carousel_files (request_id, file_id) SELECT %(id)s, file_id FROM missing
    ON CONFLICT (request_id, file_id) DO UPDATE SET status = 'waiting', n_attempts = 0, next_try_time = NULL, error = ''
    WHERE data_carousel_files.status IN ('staged', 'released', 'deleting')
)
SELECT count(*) AS n_read, coalesce(max(file_id), %(after)s) AS last FROM page
"""
# primary key
_LISTED = """
UPDATE data_carousel_requests SET list_cursor = %(last)s, is_listed = %(is_listed)s, modification_time = clock_timestamp()
WHERE request_id = %(id)s
"""
# ix_data_carousel_files_status; primary keys
_ARRIVED = f"""
WITH page AS (
    SELECT file_id FROM data_carousel_files
    WHERE request_id = %(id)s AND status = 'waiting' AND file_id > %(after)s
      AND (%(ids)s::bigint[] IS NULL OR file_id = ANY(%(ids)s))
    ORDER BY file_id LIMIT %(page)s
)
SELECT f.file_id, o.lfn, {ON_DISK} AS is_there FROM page f JOIN files o USING (file_id) ORDER BY f.file_id
"""
_CHECKED = "UPDATE data_carousel_requests SET check_cursor = %(after)s WHERE request_id = %(id)s"
_STAGED = """
UPDATE data_carousel_files SET status = 'staged', error = '', next_try_time = NULL
WHERE request_id = %(id)s AND file_id = ANY(%(ids)s) AND status = 'waiting' RETURNING file_id
"""
_PROGRESS = """
UPDATE data_carousel_requests SET progress_time = clock_timestamp(), n_asked = 0, trouble = '' WHERE request_id = %(id)s
"""
# ix_data_carousel_files_status, primary keys; the chosen tape before others
_TO_COPY = """
SELECT c.file_id, c.place, c.n_attempts, f.lfn, f.size_bytes, f.checksum, d.scope, d.name AS dataset,
       s.pfn, s.endpoint, s.mover, s.path
FROM (SELECT * FROM data_carousel_files WHERE request_id = %(id)s AND status = 'waiting'
        AND (next_try_time IS NULL OR next_try_time <= clock_timestamp()) ORDER BY file_id LIMIT %(limit)s) c
JOIN files f USING (file_id) JOIN datasets d USING (dataset_id)
JOIN LATERAL (
    SELECT r.pfn, r.endpoint, e.mover, e.path FROM replicas r JOIN storage_endpoints e ON e.name = r.endpoint
    WHERE r.file_id = c.file_id AND e.kind = 'tape' AND e.state = 'online'
    ORDER BY (r.endpoint = %(source)s) DESC, r.endpoint LIMIT 1) s ON true
ORDER BY c.file_id
"""
_ENDPOINT = "SELECT name, mover, path, state, kind, is_deterministic FROM storage_endpoints WHERE name = %(name)s"
_BEGIN = """
UPDATE data_carousel_files c SET place = v.place FROM unnest(%(ids)s::bigint[], %(places)s::text[]) AS v (file_id, place)
WHERE c.request_id = %(id)s AND c.file_id = v.file_id
"""
_HOLDS = "UPDATE data_carousel_requests SET holds_copies = true WHERE request_id = %(id)s AND NOT holds_copies"
_FAILED = """
UPDATE data_carousel_files c SET n_attempts = c.n_attempts + 1, error = v.error,
    next_try_time = clock_timestamp() + make_interval(secs => %(retry_s)s),
    status = CASE WHEN c.n_attempts + 1 >= %(most)s THEN 'failed' ELSE c.status END
FROM unnest(%(ids)s::bigint[], %(errors)s::text[]) AS v (file_id, error)
WHERE c.request_id = %(id)s AND c.file_id = v.file_id AND c.status = 'waiting'
RETURNING c.file_id, c.status
"""
_WAITS = "SELECT 1 FROM data_carousel_files WHERE request_id = %(id)s AND status = 'waiting' LIMIT 1"


class MoreTasksCame(Exception):
    """Tasks joined a request while its tasks were being locked: the next cycle has them."""


@dataclass(frozen=True)
class _Failure:
    file_id: int
    lfn: str
    error: str


def list_files(database: Database, request: Row) -> int:
    """List a page of what has no copy on disk; returns how many files were looked at."""
    with database.transaction() as transaction:
        found = staging.lock_request(transaction, request["request_id"])
        if found is None or found["is_listed"] or found["status"] not in (StagingStatus.QUEUED, StagingStatus.STAGING):
            return 0
        values = {"id": found["request_id"], "dataset": found["dataset_id"], "after": found["list_cursor"]}
        [page] = transaction.fetch(_LIST, {**values, "any": found["takes_any"], "page": _FILES_PER_PAGE})
        is_listed = page["n_read"] < _FILES_PER_PAGE
        transaction.execute(_LISTED, {"id": found["request_id"], "last": page["last"], "is_listed": is_listed})
        staging.recount(transaction, found["request_id"])
    return int(page["n_read"]) or 1


def take_arrivals(database: Database, request: Row, *, only: list[int] | None = None) -> int:
    """Let go the waiting files of a request that are on disk by now (`only`: of these); returns how many.

    A page at each call, from where the last call ended. A request of which nothing waits is done.
    """
    request_id = request["request_id"]
    values = {"id": request_id, "page": _FILES_PER_PAGE, "ids": only}
    after = request["check_cursor"] if only is None else 0
    page = database.fetch(_ARRIVED, {**values, "after": after})
    arrived = [row for row in page if row["is_there"]]
    if not arrived and (page or after):
        # from the beginning again once the last page was not full
        cursor = page[-1]["file_id"] if len(page) >= _FILES_PER_PAGE else 0
        if cursor != after and only is None:
            database.execute(_CHECKED, {"id": request_id, "after": cursor})
        return 0
    with database.transaction() as transaction:
        tasks = _lock(transaction, request_id)
        locked = staging.lock_request(transaction, request_id)
        if locked is None or locked["status"] != StagingStatus.STAGING:
            return 0
        _check_tasks(transaction, request_id, tasks)
        count = _let_go(transaction, locked, tasks, arrived)
        if locked["is_listed"] and transaction.fetch_one(_WAITS, {"id": request_id}) is None:
            staging.change(transaction, locked, StagingStatus.DONE)
    if count and request["n_asked"]:
        told = {"component": COMPONENT, "over": stuck_key(request)}
        log.info("request %d: files of %s arrive again", request_id, request["dataset"], extra=told)
    return count


def _let_go(transaction: Transaction, request: Row, tasks: list[int], arrived: list[Row]) -> int:
    if not arrived:
        return 0
    values = {"id": request["request_id"], "ids": [row["file_id"] for row in arrived]}
    moved = {row["file_id"] for row in transaction.fetch(_STAGED, values)}
    files = [row for row in arrived if row["file_id"] in moved]
    tape.release(transaction, tasks, files)
    transaction.execute(_PROGRESS, {"id": request["request_id"]})
    staging.recount(transaction, request["request_id"])
    return len(files)


def _lock(transaction: Transaction, request_id: int) -> list[int]:
    tasks = staging.live_tasks(transaction, request_id)
    tape.lock_tasks(transaction, tasks)
    return tasks


def _check_tasks(transaction: Transaction, request_id: int, tasks: list[int]) -> None:
    if set(staging.live_tasks(transaction, request_id)) - set(tasks):
        raise MoreTasksCame


def copy_files(database: Database, request: Row, settings: CarouselSettings, limit: int) -> int:
    """Copy up to `limit` files of a request, where this machine sees both storages; returns how many were tried."""
    destination = database.fetch_one(_ENDPOINT, {"name": request["destination_endpoint"]})
    if destination is None or not _is_seen(destination) or destination["state"] != "online":
        return 0
    values = {"id": request["request_id"], "source": request["source_endpoint"], "limit": limit}
    files = [row for row in database.fetch(_TO_COPY, values) if _is_seen(row) and local_path(row["pfn"]) is not None]
    if not files:
        return 0
    targets = {row["file_id"]: row["place"] or _place(request, destination, row) for row in files}
    _begin(database, request, files, targets)
    copied: list[tuple[int, str, str]] = []
    failures: list[_Failure] = []
    for row in files:
        target, source = Path(targets[row["file_id"]]), local_path(row["pfn"])
        assert source is not None
        try:
            _check_is_of_the_tape(source, row)
            bring(source, target, row["size_bytes"], row["checksum"], may_replace=bool(row["place"]))
        except CopyFailed as error:
            failures.append(_Failure(row["file_id"], row["lfn"], str(error)))
        else:
            copied.append((row["file_id"], destination["name"], str(target)))
    if copied:
        with database.transaction() as transaction:
            record_replicas(transaction, copied)
        take_arrivals(database, request, only=[file_id for file_id, _, _ in copied])
    if failures:
        _fail(database, request, failures, settings)
    return len(files)


def _check_is_of_the_tape(source: Path, file: Row) -> None:
    """Users say where their files lie, and may read less than an agent: it takes files of the tape alone, and says nothing
    of others. Raises CopyFailed."""
    if not lies_below(source, file["path"]):
        raise CopyFailed(f"{source} is not in the directory of {file['endpoint']}")


def _is_seen(endpoint: Row) -> bool:
    return endpoint["mover"] in _LOCAL_MOVERS and is_visible(endpoint["path"])


def _place(request: Row, destination: Row, file: Row) -> str:
    if destination["is_deterministic"]:
        return place(destination["path"], file["scope"], file["lfn"])
    dataset = file["dataset"].replace("/", "_")
    return f"{destination['path'].rstrip('/')}/{dataset}/{OWN_DIRECTORY}{request['request_id']}/{file['lfn']}"


def _begin(database: Database, request: Row, files: list[Row], targets: dict[int, str]) -> None:
    """Note which copies will be ours before they are: what is there already is somebody else's, and is never deleted."""
    own = [row["file_id"] for row in files if not row["place"] and not exists(Path(targets[row["file_id"]]))]
    if own:
        with database.transaction() as transaction:
            transaction.execute(_HOLDS, {"id": request["request_id"]})
            places = [targets[file_id] for file_id in own]
            transaction.execute(_BEGIN, {"id": request["request_id"], "ids": own, "places": places})
    for row in files:
        if row["file_id"] in own:
            row["place"] = targets[row["file_id"]]


def _fail(database: Database, request: Row, failures: list[_Failure], settings: CarouselSettings) -> None:
    request_id = request["request_id"]
    with database.transaction() as transaction:
        tasks = _lock(transaction, request_id)
        locked = staging.lock_request(transaction, request_id)
        if locked is None or locked["status"] != StagingStatus.STAGING:
            return
        _check_tasks(transaction, request_id, tasks)
        values = {"ids": [one.file_id for one in failures], "errors": [clean(one.error, 500) for one in failures]}
        limits = {"retry_s": settings.retry_s, "most": settings.max_attempts}
        rows = transaction.fetch(_FAILED, {"id": request_id, **values, **limits})
        lost = {row["file_id"] for row in rows if row["status"] == "failed"}
        gone = [one for one in failures if one.file_id in lost]
        tape.give_up(transaction, tasks, [{"file_id": one.file_id, "lfn": one.lfn} for one in gone])
        staging.recount(transaction, request_id)
        first = failures[0]
        said = f"{counted(len(failures), 'file')} failed, {named([one.lfn for one in failures[:3]], len(failures))}: "
        staging.say(transaction, request_id, said + first.error)
        if locked["is_listed"] and transaction.fetch_one(_WAITS, {"id": request_id}) is None:
            staging.change(transaction, locked, StagingStatus.DONE)
            staging.say(transaction, request_id, said + first.error)
    _tell_failures(request, failures, gone)


def _tell_failures(request: Row, failures: list[_Failure], gone: list[_Failure]) -> None:
    words = staging.places_words(request)
    if not gone:
        one = failures[0]
        extra = {"component": COMPONENT}
        log.warning(
            "request %d: %s was not brought %s: %s", request["request_id"], one.lfn, words, one.error, extra=extra
        )
        return
    fingerprint = f"files are not brought from tape:{request['source_endpoint']}"
    log.error(
        "request %d: %s of %s given up, not brought %s: %s: %s",
        *(request["request_id"], counted(len(gone), "file"), request["dataset"], words),
        *(named([one.lfn for one in gone[:3]], len(gone)), gone[0].error),
        extra={"component": COMPONENT, "kind": "data", "fingerprint": fingerprint},
    )


def stuck_key(request: Row) -> str:
    """Under which the incident store gathers what is told of requests that stand still."""
    return f"staging stands still:{request['source_endpoint'] or request['dataset']}"
