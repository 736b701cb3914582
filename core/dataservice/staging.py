"""Requests to bring datasets from tape to disk: made, shared, taken up again, changed (domain.md 4.9). Knows no task rule.

Whoever works on a request locks its tasks first, then the request, then its files, so that nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.database import Database, Row, Transaction
from core.dataservice.catalogue import find_dataset
from core.states import FINAL_TASK_STATUSES, STAGING_TRANSITIONS, StagingStatus, check_transition
from core.text import clean

HELD = "staging"
"""Status of a file of a task that waits for its copy on disk."""
_FINAL = sorted(status.value for status in FINAL_TASK_STATUSES)
_NO_INPUT = ("sandbox", "lib")

# a short table
_ANY_TAPE = "SELECT 1 FROM storage_endpoints WHERE kind = 'tape' LIMIT 1"

ON_DISK = """EXISTS (SELECT 1 FROM replicas r JOIN storage_endpoints e ON e.name = r.endpoint
        WHERE r.file_id = f.file_id AND e.kind = 'disk')"""
ON_TAPE = """EXISTS (SELECT 1 FROM replicas r JOIN storage_endpoints e ON e.name = r.endpoint
        WHERE r.file_id = f.file_id AND e.kind = 'tape')"""

# ix_files_dataset, primary keys of replicas and endpoints; each question ends with the first file that answers it
_WHERE_IT_IS = f"""
SELECT EXISTS (SELECT 1 FROM files f WHERE f.dataset_id = %(id)s AND {ON_DISK}) AS is_begun,
       EXISTS (SELECT 1 FROM files f WHERE f.dataset_id = %(id)s AND NOT {ON_DISK} AND {ON_TAPE}) AS is_on_tape,
       EXISTS (SELECT 1 FROM files f WHERE f.dataset_id = %(id)s AND NOT {ON_DISK}) AS is_incomplete
"""
# primary keys
_TO_BE_HELD = f"""
SELECT f.file_id FROM files f WHERE f.file_id = ANY(%(ids)s) AND NOT {ON_DISK} AND (%(any)s OR {ON_TAPE})
"""
# uq_data_carousel_requests_dataset, ix_data_carousel_requests_copies
_CONCERNED = """
SELECT * FROM data_carousel_requests
WHERE dataset_id = ANY(%(ids)s) AND (status IN ('queued', 'staging', 'done') OR holds_copies)
ORDER BY request_id FOR UPDATE
"""
_LIVING = """
SELECT * FROM data_carousel_requests
WHERE dataset_id = %(id)s AND status IN ('queued', 'staging', 'done') FOR UPDATE
"""
_MAKE = """
INSERT INTO data_carousel_requests (dataset_id, dataset, takes_any) VALUES (%(id)s, %(name)s, %(any)s)
ON CONFLICT (dataset_id) WHERE status IN ('queued', 'staging', 'done') DO NOTHING
"""
_RELATE = """
INSERT INTO data_carousel_relations (request_id, jedi_task_id, is_master) VALUES (%(request)s, %(task)s, %(master)s)
ON CONFLICT (request_id, jedi_task_id) DO UPDATE SET is_master = data_carousel_relations.is_master AND excluded.is_master
"""
# primary keys
_IN_USE = "UPDATE data_carousel_requests SET unused_since = NULL WHERE request_id = ANY(%(ids)s)"
_AGAIN = """
UPDATE data_carousel_requests SET is_listed = false, list_cursor = 0, check_cursor = 0, takes_any = takes_any OR %(any)s,
    next_try_time = NULL, start_time = NULL, end_time = NULL, progress_time = NULL, trouble = '', is_forced = false
WHERE request_id = %(id)s
"""
# ix_data_carousel_files_status
_FAILED_AGAIN = """
UPDATE data_carousel_files SET status = 'waiting', n_attempts = 0, next_try_time = NULL, error = ''
WHERE request_id = %(id)s AND status = 'failed'
"""
# primary key; what is waited for by a task is waited for by the request, whatever had become of it
_HAND_OVER = """
INSERT INTO data_carousel_files (request_id, file_id) SELECT %(id)s, unnest(%(ids)s::bigint[])
ON CONFLICT (request_id, file_id) DO UPDATE SET status = 'waiting', n_attempts = 0, next_try_time = NULL, error = ''
WHERE data_carousel_files.status <> 'waiting'
"""
_TAKES_ANY = "UPDATE data_carousel_requests SET takes_any = takes_any OR %(any)s WHERE request_id = %(id)s"
# ix_data_carousel_files_status, primary key of files
_RECOUNT = """
UPDATE data_carousel_requests q SET n_files = c.files, n_staged = c.staged, n_failed = c.failed, n_bytes = c.bytes,
       n_bytes_staged = c.bytes_staged, modification_time = clock_timestamp()
FROM (
    SELECT count(*) AS files, count(*) FILTER (WHERE s.status = 'staged') AS staged,
           count(*) FILTER (WHERE s.status = 'failed') AS failed, coalesce(sum(f.size_bytes), 0)::bigint AS bytes,
           coalesce(sum(f.size_bytes) FILTER (WHERE s.status = 'staged'), 0)::bigint AS bytes_staged
    FROM data_carousel_files s JOIN files f USING (file_id)
    WHERE s.request_id = %(id)s AND s.status IN ('waiting', 'staged', 'failed')
) c WHERE q.request_id = %(id)s
RETURNING q.n_files, q.n_staged, q.n_failed
"""
# primary key
_CHANGE = """
UPDATE data_carousel_requests SET status = %(status)s, modification_time = clock_timestamp(),
    start_time = CASE WHEN %(status)s = 'staging' THEN clock_timestamp() ELSE start_time END,
    progress_time = CASE WHEN %(status)s = 'staging' THEN clock_timestamp() ELSE progress_time END,
    end_time = CASE WHEN %(status)s IN ('done', 'cancelled', 'retired') THEN clock_timestamp() END,
    trouble = CASE WHEN %(status)s IN ('done', 'cancelled', 'retired') THEN '' ELSE trouble END
WHERE request_id = %(id)s
"""
_LOCK = "SELECT * FROM data_carousel_requests WHERE request_id = %(id)s FOR UPDATE"
# primary keys
_LIVE_TASKS = """
SELECT t.jedi_task_id FROM data_carousel_relations r JOIN tasks t USING (jedi_task_id)
WHERE r.request_id = %(id)s AND NOT t.status = ANY(%(final)s) ORDER BY t.jedi_task_id
"""


@dataclass(frozen=True)
class Wanted:
    """A dataset of the catalogue that a task reads."""

    dataset_id: int
    name: str
    is_master: bool


@dataclass(frozen=True)
class Places:
    """Where the files of a dataset are."""

    is_begun: bool
    """Some file has a copy on disk."""
    is_on_tape: bool
    """Some file has copies on tape only."""
    is_incomplete: bool
    """Some file has no copy on disk."""


def has_tape(transaction: Transaction | Database) -> bool:
    """Whether there is any storage on tape; without one nothing of this concerns anybody."""
    return transaction.fetch_one(_ANY_TAPE) is not None


def wanted_datasets(transaction: Transaction, names: Mapping[str, bool]) -> list[Wanted]:
    """Those of the named datasets that exist and hold data, in order of their ids; the values say which are master input."""
    found: dict[int, Wanted] = {}
    for name, is_master in names.items():
        row = find_dataset(transaction, name)
        if row is not None and row["kind"] not in _NO_INPUT:
            before = found.get(row["dataset_id"])
            master = is_master and (before is None or before.is_master)
            found[row["dataset_id"]] = Wanted(row["dataset_id"], row["name"], master)
    return [found[key] for key in sorted(found)]


def places_of(transaction: Transaction, dataset_id: int) -> Places:
    """Where the files of a dataset are."""
    [row] = transaction.fetch(_WHERE_IT_IS, {"id": dataset_id})
    return Places(**row)


def use(transaction: Transaction, task_id: int, datasets: Sequence[Wanted]) -> None:
    """Keep the copies of datasets that were brought from tape as long as a task reads them."""
    master = {wanted.dataset_id: wanted.is_master for wanted in datasets}
    requests = transaction.fetch(_CONCERNED, {"ids": sorted(master)})
    for row in requests:
        values = {"request": row["request_id"], "task": task_id, "master": master[row["dataset_id"]]}
        transaction.execute(_RELATE, values)
    transaction.execute(_IN_USE, {"ids": [row["request_id"] for row in requests]})


def want(
    transaction: Transaction, task_id: int, wanted: Wanted, *, takes_any: bool = False, file_ids: Collection[int] = ()
) -> int:
    """Have a dataset brought for a task: by the request that does so already, or a new one; returns its id.

    `takes_any`: files without any copy are waited for too. `file_ids`: files that the task waits for from now on. The
    caller holds the task, if others can see it.
    """
    request = transaction.fetch_one(_LIVING, {"id": wanted.dataset_id})
    if request is None:
        transaction.execute(_MAKE, {"id": wanted.dataset_id, "name": wanted.name, "any": takes_any})
        [request] = transaction.fetch(_LIVING, {"id": wanted.dataset_id})
    elif request["status"] == StagingStatus.DONE:
        change(transaction, request, StagingStatus.QUEUED)
        transaction.execute(_AGAIN, {"id": request["request_id"], "any": takes_any})
        transaction.execute(_FAILED_AGAIN, {"id": request["request_id"]})
        recount(transaction, request["request_id"])
    elif takes_any and not request["takes_any"]:
        again = _AGAIN if request["status"] == StagingStatus.QUEUED else _TAKES_ANY
        transaction.execute(again, {"id": request["request_id"], "any": True})
    request_id = int(request["request_id"])
    transaction.execute(_RELATE, {"request": request_id, "task": task_id, "master": wanted.is_master})
    transaction.execute(_IN_USE, {"ids": [request_id]})
    if file_ids:
        transaction.execute(_HAND_OVER, {"id": request_id, "ids": sorted(file_ids)})
        recount(transaction, request_id)
    return request_id


def to_be_held(transaction: Transaction, file_ids: Sequence[int], *, takes_any: bool = False) -> set[int]:
    """Those of some files of the catalogue that must come from tape (`takes_any`: from anywhere) before a job reads them."""
    rows = transaction.fetch(_TO_BE_HELD, {"ids": list(file_ids), "any": takes_any})
    return {row["file_id"] for row in rows}


# primary key
_GIVEN_UP = """
SELECT c.file_id FROM data_carousel_files c JOIN data_carousel_requests q USING (request_id)
WHERE q.dataset_id = %(dataset)s AND q.status IN ('queued', 'staging', 'done') AND c.status = 'failed'
  AND c.file_id = ANY(%(ids)s)
"""


def given_up(transaction: Transaction, dataset_id: int, file_ids: Collection[int]) -> set[int]:
    """Those of some files of a dataset that could not be brought."""
    rows = transaction.fetch(_GIVEN_UP, {"dataset": dataset_id, "ids": sorted(file_ids)})
    return {row["file_id"] for row in rows}


def lock_request(transaction: Transaction, request_id: int) -> Row | None:
    """The row of a request, locked; None when there is none."""
    return transaction.fetch_one(_LOCK, {"id": request_id})


def change(transaction: Transaction, request: Row, target: StagingStatus) -> None:
    """Bring a request, which is locked, to another status. Raises IllegalTransition (core/states.py)."""
    check_transition(STAGING_TRANSITIONS, StagingStatus(request["status"]), target)
    transaction.execute(_CHANGE, {"id": request["request_id"], "status": target.value})


def recount(transaction: Transaction, request_id: int) -> Row:
    """Bring the counts of a request up to date; n_files, n_staged and n_failed."""
    [row] = transaction.fetch(_RECOUNT, {"id": request_id})
    return row


def live_tasks(transaction: Transaction | Database, request_id: int) -> list[int]:
    """The tasks of a request that have not ended, in order."""
    rows = transaction.fetch(_LIVE_TASKS, {"id": request_id, "final": _FINAL})
    return [row["jedi_task_id"] for row in rows]


# primary key
_SAY = """
UPDATE data_carousel_requests SET trouble = %(text)s, modification_time = clock_timestamp()
WHERE request_id = %(id)s AND trouble <> %(text)s
"""


def say(transaction: Transaction, request_id: int, trouble: str) -> None:
    """Write down what keeps a request from going on; nothing when it goes on."""
    transaction.execute(_SAY, {"id": request_id, "text": clean(trouble, 500)})


def places_words(row: Mapping[str, Any]) -> str:
    """From where to where, as people read it."""
    return f"from {row['source_endpoint'] or 'a tape to be chosen'} to {row['destination_endpoint'] or 'a disk to be chosen'}"
