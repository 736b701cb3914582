"""What operators do to requests of the data carousel: another tape, another disk, at once, no longer (server-api.md 1.9).

All or nothing, written into the audit. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Collection

from core import audit
from core.carousel.choosing import Chosen, choose_destination, choose_source, tapes_of
from core.carousel.turns import set_places
from core.database import Database, Row, Transaction
from core.dataservice import staging
from core.dataservice.catalogue import find_dataset
from core.errors import Conflict, InvalidInput, UnknownObject
from core.states import StagingStatus
from core.wording import counted

OBJECT_KIND = "staging request"
_BEFORE_THE_END = frozenset({StagingStatus.QUEUED, StagingStatus.STAGING})

# primary key
_BY_ID = "SELECT * FROM data_carousel_requests WHERE request_id = %(id)s FOR UPDATE"
# uq_data_carousel_requests_dataset
_BY_DATASET = """
SELECT * FROM data_carousel_requests WHERE dataset_id = %(id)s AND status IN ('queued', 'staging', 'done') FOR UPDATE
"""
_FORCE = "UPDATE data_carousel_requests SET is_forced = true WHERE request_id = %(id)s"
_MAKE = """
INSERT INTO data_carousel_requests (dataset_id, dataset, takes_any)
SELECT dataset_id, dataset, takes_any FROM data_carousel_requests WHERE request_id = %(id)s RETURNING *
"""
_SAME_TASKS = """
INSERT INTO data_carousel_relations (request_id, jedi_task_id, is_master)
SELECT %(new)s, jedi_task_id, is_master FROM data_carousel_relations WHERE request_id = %(id)s
"""
_SAME_FILES = """
INSERT INTO data_carousel_files (request_id, file_id)
SELECT %(new)s, file_id FROM data_carousel_files WHERE request_id = %(id)s AND status IN ('waiting', 'failed')
"""
_LISTED = "UPDATE data_carousel_requests SET is_listed = true WHERE request_id = %(id)s AND %(is_listed)s"
# ix_data_carousel_files_status
_TRY_AGAIN = """
UPDATE data_carousel_files SET n_attempts = 0, next_try_time = NULL, error = '' WHERE request_id = %(id)s AND status = 'waiting'
"""


def change_destination(database: Database, request_id: int | None, dataset: str | None, *, who: str) -> tuple[Row, int]:
    """Bring what is still to come to another disk: the request is cancelled and a new one made; the old row, the new id.

    Copies that are at the first disk stay until the tasks have ended. Raises InvalidInput, UnknownObject, and Conflict when
    the request is through or there is no other disk.
    """
    with database.transaction() as transaction:
        request = _find(transaction, request_id, dataset)
        _check_status(request, _BEFORE_THE_END, "is brought to another disk only before it is there")
        if not staging.live_tasks(transaction, request["request_id"]):
            raise _conflict(request, "no task needs it any more", "leave it, it is cancelled by itself")
        before = {request["destination_endpoint"]} - {""}
        destination = choose_destination(transaction, request, exclude=before)
        if not destination.name:
            raise _conflict(request, destination.why, "set another queue or storage online first")
        staging.change(transaction, request, StagingStatus.CANCELLED)
        [new] = transaction.fetch(_MAKE, {"id": request["request_id"]})
        pair = {"id": request["request_id"], "new": new["request_id"]}
        transaction.execute(_SAME_TASKS, pair)
        transaction.execute(_SAME_FILES, pair)
        transaction.execute(_LISTED, {"id": new["request_id"], "is_listed": request["is_listed"]})
        staging.recount(transaction, new["request_id"])
        set_places(transaction, new, Chosen(request["source_endpoint"], "as before"), destination)
        changes = {"request_id": new["request_id"], "destination_endpoint": destination.name}
        _note(transaction, who, "change staging destination", request, changes)
        return request, int(new["request_id"])


def change_source(
    database: Database, request_id: int | None, dataset: str | None, source: str | None, *, who: str
) -> Row:
    """Bring a dataset from another tape: `source`, or the one that holds most of the rest; the changed row.

    What is still to come is tried from there at once. Raises InvalidInput, UnknownObject for a tape that does not exist,
    and Conflict when the request is through or no such tape holds anything of it.
    """
    with database.transaction() as transaction:
        request = _find(transaction, request_id, dataset)
        _check_status(request, _BEFORE_THE_END, "comes from another tape only before it is there")
        if source:
            chosen = _named_tape(transaction, request, source, who)
        else:
            chosen = choose_source(transaction, request, exclude={request["source_endpoint"]})
            if not chosen.name:
                raise _conflict(request, "no other tape that is online holds any of its files", "see `panda staging`")
        place = Chosen(request["destination_endpoint"], "as before")
        set_places(transaction, request, chosen, place)
        transaction.execute(_TRY_AGAIN, {"id": request["request_id"]})
        staging.say(transaction, request["request_id"], "")
        _note(transaction, who, "change staging source", request, {"source_endpoint": chosen.name})
        return {**request, "source_endpoint": chosen.name}


def force(database: Database, request_id: int | None, dataset: str | None, *, who: str) -> Row:
    """Begin a queued request at once, past the limits of its tape; the changed row.

    Raises InvalidInput, UnknownObject, and Conflict when it is not queued or has no place to go from or to.
    """
    with database.transaction() as transaction:
        request = _find(transaction, request_id, dataset)
        _check_status(request, frozenset({StagingStatus.QUEUED}), "only what is queued can be put before others")
        if not request["destination_endpoint"] or not (request["source_endpoint"] or request["takes_any"]):
            why = request["trouble"] or "its source and destination are not chosen yet"
            raise _conflict(request, why, "see `panda staging`, and try again then")
        transaction.execute(_FORCE, {"id": request["request_id"]})
        staging.change(transaction, request, StagingStatus.STAGING)
        _note(transaction, who, "force to staging", request, {"status": StagingStatus.STAGING.value})
        return {**request, "status": StagingStatus.STAGING.value}


def retire(database: Database, request_id: int | None, dataset: str | None, *, who: str) -> Row:
    """Have the copies of a request that is done deleted now; the changed row.

    Raises InvalidInput, UnknownObject, and Conflict while it is not done or a task still uses it.
    """
    with database.transaction() as transaction:
        request = _find(transaction, request_id, dataset)
        _check_status(request, frozenset({StagingStatus.DONE}), "only what is done can be retired")
        tasks = staging.live_tasks(transaction, request["request_id"])
        if tasks:
            some = ", ".join(str(task) for task in tasks[:3]) + (", ..." if len(tasks) > 3 else "")
            raise _conflict(
                request, f"{counted(len(tasks), 'task')} still under way: {some}", "wait until they have ended"
            )
        staging.change(transaction, request, StagingStatus.RETIRED)
        _note(transaction, who, "retire staging", request, {"status": StagingStatus.RETIRED.value})
        return {**request, "status": StagingStatus.RETIRED.value}


def _find(transaction: Transaction, request_id: int | None, dataset: str | None) -> Row:
    if (request_id is None) == (not dataset):
        raise InvalidInput("name a request or a dataset, not both", field="request_id", remedy="see `panda staging`")
    if request_id is not None:
        row = transaction.fetch_one(_BY_ID, {"id": request_id})
        if row is None:
            raise UnknownObject(f"there is no request {request_id}", field="request_id", remedy="see `panda staging`")
        return row
    assert dataset is not None
    found = find_dataset(transaction, dataset)
    if found is None:
        raise UnknownObject(f"there is no dataset {dataset[:200]!r}", field="dataset", remedy="see `panda staging`")
    row = transaction.fetch_one(_BY_DATASET, {"id": found["dataset_id"]})
    if row is None:
        raise UnknownObject(
            f"nobody brings dataset {dataset[:200]!r} from tape", field="dataset", remedy="see `panda staging`"
        )
    return row


def _named_tape(transaction: Transaction, request: Row, source: str, who: str) -> Chosen:
    row = transaction.fetch_one("SELECT kind, state FROM storage_endpoints WHERE name = %(name)s", {"name": source})
    if row is None:
        raise UnknownObject(
            f"there is no storage endpoint {source[:100]!r}",
            field="source_rse",
            remedy="see GET /api/control/endpoints",
        )
    if row["kind"] != "tape":
        raise InvalidInput(f"{source} is no tape", field="source_rse", remedy=_tapes_words(transaction, request))
    if row["state"] != "online":
        raise Conflict(f"{source} is {row['state']}", field="source_rse", remedy=_tapes_words(transaction, request))
    if source not in tapes_of(transaction, request):
        raise Conflict(
            f"{source} holds no file of what is left", field="source_rse", remedy=_tapes_words(transaction, request)
        )
    return Chosen(source, f"{source} was named by {who}")


def _tapes_words(transaction: Transaction, request: Row) -> str:
    tapes = tapes_of(transaction, request)
    return f"it is on {', '.join(tapes[:5])}" if tapes else "no tape that is online holds any of it"


def _check_status(request: Row, legal: Collection[StagingStatus], why: str) -> None:
    if request["status"] not in legal:
        raise _conflict(request, f"it is {request['status']}: {why}", "see `panda staging`")


def _conflict(request: Row, why: str, remedy: str) -> Conflict:
    return Conflict(
        f"request {request['request_id']} of {request['dataset']}: {why}", field="request_id", remedy=remedy
    )


def _note(transaction: Transaction, who: str, action: str, request: Row, after: Row) -> None:
    before = {name: request[name] for name in after}
    key = str(request["request_id"])
    audit.note(transaction, who, action, OBJECT_KIND, key, before, after, via=audit.via_now())
