"""The built-in data catalogue: datasets, files with size and checksum, replicas at endpoints (domain.md 4.1 a)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from core.database import Database, Row, Transaction
from core.errors import Conflict, InvalidInput, NotAllowed, UnknownObject
from core.names import check_dataset_name, check_file_name
from core.taskbuffer.submission import new_guid

_CHECKSUM = re.compile(r"ad:[0-9a-f]{8}|md5:[0-9a-f]{32}")
MAX_FILES_PER_DATASET = 200_000


@dataclass
class NewReplica:
    """Where a copy of a file lies."""

    endpoint: str
    pfn: str


@dataclass
class NewCatalogueFile:
    """A file to register: the facts every copy must match."""

    lfn: str
    size_bytes: int
    checksum: str
    guid: str = ""
    replicas: list[NewReplica] = field(default_factory=list)


def register_dataset(
    database: Database, *, name: str, scope: str, kind: str, owner: str, vo: str, files: list[NewCatalogueFile]
) -> Row:
    """Make a dataset of files. Raises InvalidInput for bad files, Conflict when the name is taken."""
    _check(name, files)
    with database.transaction() as transaction:
        _check_endpoints(transaction, {replica.endpoint for file in files for replica in file.replicas})
        dataset_id = _new_dataset(transaction, name, scope, kind, owner, vo, None)
        if dataset_id is None:
            raise Conflict(f"dataset {name!r} exists", field="name", remedy="choose another name")
        rows = transaction.insert_returning(
            "INSERT INTO files (dataset_id, lfn, guid, size_bytes, checksum) VALUES %s RETURNING file_id, lfn",
            [(dataset_id, file.lfn, file.guid or new_guid(), file.size_bytes, file.checksum) for file in files],
        )
        file_ids = {row["lfn"]: row["file_id"] for row in rows}
        transaction.insert_many(
            "INSERT INTO replicas (file_id, endpoint, pfn) VALUES %s",
            [(file_ids[file.lfn], copy.endpoint, copy.pfn) for file in files for copy in file.replicas],
        )
        transaction.execute("UPDATE datasets SET status = 'closed' WHERE dataset_id = %(id)s", {"id": dataset_id})
    return {"dataset": name, "n_files": len(files), "total_bytes": sum(file.size_bytes for file in files)}


def ensure_dataset(
    transaction: Transaction,
    *,
    name: str,
    scope: str,
    kind: str,
    owner: str,
    vo: str,
    jedi_task_id: int | None,
    field_name: str,
) -> None:
    """Make an output or log dataset unless the owner has it already.

    Raises NotAllowed naming `field_name` when it is somebody else's, Conflict when it is input: its files are facts.
    """
    check_dataset_name(name, field_name)
    if _new_dataset(transaction, name, scope, kind, owner, vo, jedi_task_id) is not None:
        return
    present = transaction.fetch_one("SELECT owner, kind FROM datasets WHERE name = %(name)s", {"name": name})
    if present is not None and present["owner"] != owner:
        raise NotAllowed(
            f"dataset {name!r} belongs to {present['owner']}", field=field_name, remedy="choose another name"
        )
    if present is not None and present["kind"] not in ("output", "log"):
        raise Conflict(
            f"dataset {name!r} holds {present['kind']} files", field=field_name, remedy="choose another name"
        )


_NEW_DATASET = """
INSERT INTO datasets (name, scope, kind, owner, vo, jedi_task_id)
VALUES (%(name)s, %(scope)s, %(kind)s, %(owner)s, %(vo)s, %(jedi_task_id)s)
ON CONFLICT (name) DO NOTHING RETURNING dataset_id
"""


def _new_dataset(
    transaction: Transaction, name: str, scope: str, kind: str, owner: str, vo: str, jedi_task_id: int | None
) -> int | None:
    row = transaction.fetch_one(
        _NEW_DATASET,
        {"name": name, "scope": scope, "kind": kind, "owner": owner, "vo": vo, "jedi_task_id": jedi_task_id},
    )
    return row["dataset_id"] if row else None


def dataset_files(transaction: Transaction | Database, name: str, field_name: str) -> list[Row]:
    """The files of a dataset in the order of registration. Raises UnknownObject naming `field_name`."""
    dataset = transaction.fetch_one("SELECT dataset_id, scope FROM datasets WHERE name = %(name)s", {"name": name})
    if dataset is None:
        raise UnknownObject(
            f"there is no dataset {name[:200]!r}",
            field=field_name,
            remedy="register it with POST /api/control/datasets",
        )
    # uq_files_dataset_lfn
    return transaction.fetch(
        "SELECT file_id, lfn, guid, size_bytes, checksum, panda_id, %(scope)s AS scope FROM files "
        "WHERE dataset_id = %(id)s ORDER BY file_id",
        {"id": dataset["dataset_id"], "scope": dataset["scope"]},
    )


def describe_dataset(database: Database, name: str) -> Row:
    """A dataset with its files and their replicas. Raises UnknownObject."""
    files = dataset_files(database, name, "name")
    replicas: dict[int, list[Row]] = {}
    for row in database.fetch(
        "SELECT file_id, endpoint, pfn FROM replicas WHERE file_id = ANY(%(ids)s) ORDER BY endpoint",
        {"ids": [file["file_id"] for file in files]},
    ):
        replicas.setdefault(row["file_id"], []).append({"endpoint": row["endpoint"], "pfn": row["pfn"]})
    listed = [
        {
            **{key: value for key, value in file.items() if key != "file_id"},
            "replicas": replicas.get(file["file_id"], []),
        }
        for file in files
    ]
    return {"dataset": name, "files": listed}


def check_owner(database: Database, name: str, user_name: str, *, is_manager: bool) -> None:
    """Raise NotAllowed unless `user_name` owns the dataset or manages all."""
    dataset = database.fetch_one("SELECT owner FROM datasets WHERE name = %(name)s", {"name": name})
    if dataset is not None and not is_manager and dataset["owner"] != user_name:
        raise NotAllowed(f"dataset {name!r} belongs to {dataset['owner']}", field="dataset", remedy="ask its owner")


def check_pfn(pfn: str, field: str) -> None:
    """Raise InvalidInput naming `field` unless `pfn` says where a copy lies, whatever directory a mover works in."""
    if not (pfn.startswith("/") or "://" in pfn) or "\x00" in pfn:
        raise InvalidInput(f"{pfn[:100]!r} is no place", field=field, remedy="an absolute path, or a URL")


def _check(name: str, files: list[NewCatalogueFile]) -> None:
    check_dataset_name(name, "name")
    if not files:
        raise InvalidInput("a dataset needs at least one file", field="files", remedy="list its files")
    if len(files) > MAX_FILES_PER_DATASET:
        raise InvalidInput(f"more than {MAX_FILES_PER_DATASET} files", field="files", remedy="use several datasets")
    seen: set[str] = set()
    for position, file in enumerate(files):
        where = f"files.{position}"
        check_file_name(file.lfn, f"{where}.lfn")
        if file.lfn in seen:
            raise InvalidInput(f"{file.lfn!r} twice", field=f"{where}.lfn", remedy="names are unique in a dataset")
        if file.size_bytes < 0:
            raise InvalidInput("negative", field=f"{where}.size_bytes", remedy="the size in bytes")
        if not _CHECKSUM.fullmatch(file.checksum):
            raise InvalidInput(
                f"{file.checksum[:50]!r} is no checksum",
                field=f"{where}.checksum",
                remedy="ad: and 8 lower-case hexadecimal digits (adler32), or md5: and 32",
            )
        for copy in file.replicas:
            check_pfn(copy.pfn, f"{where}.replicas.pfn")
        seen.add(file.lfn)


def _check_endpoints(transaction: Transaction, names: set[str]) -> None:
    known = {row["name"] for row in transaction.fetch("SELECT name FROM storage_endpoints")}
    for name in sorted(names - known):
        raise UnknownObject(
            f"there is no storage endpoint {name!r}", field="replicas.endpoint", remedy="see GET /api/control/endpoints"
        )
