"""The built-in data catalogue: datasets, files with size and checksum, replicas at endpoints (domain.md 4.1 a)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from core.database import Database, Row, Transaction
from core.dataservice.endpoints import endpoint_named, known_endpoints
from core.errors import Conflict, InvalidInput, NotAllowed, UnknownObject
from core.names import MAX_NAME_BYTES, check_dataset_name, check_file_name, check_line
from core.taskbuffer.submission import new_guid

_CHECKSUM = re.compile(r"ad:[0-9a-f]{8}|md5:[0-9a-f]{32}")
MAX_FILES_PER_DATASET = 200_000
_MAX_GUID = 64
_MAX_BOUNDARY = 255
_MAX_SCOPE_BYTES = len("user.") + MAX_NAME_BYTES
"""Everybody has a scope of their own."""


@dataclass
class NewReplica:
    """Where a copy of a file lies; at a deterministic endpoint the place may be left out."""

    endpoint: str
    pfn: str = ""


@dataclass
class NewCatalogueFile:
    """A file to register: the facts every copy must match."""

    lfn: str
    size_bytes: int
    checksum: str
    guid: str = ""
    replicas: list[NewReplica] = field(default_factory=list)
    n_events: int | None = None
    """Events in it, if that is known."""
    boundary_id: str = ""
    """What it must not be mixed across (luminosity block, run, ...), for tasks with respectLB or groupBoundaryID."""


def register_dataset(
    database: Database,
    *,
    name: str,
    scope: str,
    kind: str,
    owner: str,
    vo: str,
    files: list[NewCatalogueFile],
    is_open: bool = False,
) -> Row:
    """Make a dataset of files; `is_open`: more will be added, it may begin empty.

    Raises InvalidInput for bad files, Conflict when the name is taken.
    """
    check_dataset_name(name, "name")
    check_line(scope, "scope")
    if len(scope.encode("utf-8", "surrogatepass")) > _MAX_SCOPE_BYTES:
        raise InvalidInput("too long", field="scope", remedy=f"at most {_MAX_SCOPE_BYTES} bytes")
    if not files and not is_open:
        raise InvalidInput(
            "a dataset needs at least one file", field="files", remedy="list its files, or leave it open (is_open)"
        )
    check_files(files)
    with database.transaction() as transaction:
        dataset_id = _new_dataset(transaction, name, scope, kind, owner, vo, None)
        if dataset_id is None:
            raise Conflict(f"dataset {name!r} exists", field="name", remedy="choose another name")
        insert_files(transaction, dataset_id, scope, files)
        if not is_open:
            transaction.execute("UPDATE datasets SET status = 'closed' WHERE dataset_id = %(id)s", {"id": dataset_id})
    return {"dataset": name, "n_files": len(files), "total_bytes": sum(file.size_bytes for file in files)}


_INSERT_FILES = """
INSERT INTO files (dataset_id, lfn, guid, size_bytes, checksum, n_events, boundary_id) VALUES %s RETURNING file_id, lfn
"""


def insert_files(transaction: Transaction, dataset_id: int, scope: str, files: list[NewCatalogueFile]) -> None:
    """Add files, which were checked, and their copies to a dataset. Raises InvalidInput, UnknownObject for the copies."""
    places = _places(transaction, scope, files)
    rows = transaction.insert_returning(
        _INSERT_FILES,
        [
            (
                *(dataset_id, file.lfn, file.guid or new_guid(), file.size_bytes, file.checksum),
                *(file.n_events, file.boundary_id),
            )
            for file in files
        ],
    )
    file_ids = {row["lfn"]: row["file_id"] for row in rows}
    transaction.insert_many(
        "INSERT INTO replicas (file_id, endpoint, pfn) VALUES %s",
        [(file_ids[lfn], endpoint, pfn) for lfn, endpoint, pfn in places],
    )


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
    """Make a dataset of what jobs make (output, log or lib) unless the owner has it already.

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
    if present is not None and present["kind"] not in ("output", "log", "lib"):
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


# uq datasets.name; what the caller typed wins over other readings of it
_FIND_DATASET = """
SELECT d.dataset_id, d.name, d.scope, d.kind, d.status, d.owner, d.vo, d.jedi_task_id
FROM unnest(%(names)s::text[], %(scopes)s::text[]) WITH ORDINALITY AS wanted (name, scope, position)
JOIN datasets d ON d.name = wanted.name AND (wanted.scope IS NULL OR d.scope = wanted.scope)
ORDER BY wanted.position LIMIT 1
"""


def find_dataset(transaction: Transaction | Database, name: str) -> Row | None:
    """The dataset that clients call `name`: with or without its scope before a colon, with or without a slash behind."""
    names = _with_and_without_slash(name)
    scopes: list[str | None] = [None] * len(names)
    scope, colon, rest = name.partition(":")
    if colon:
        names += _with_and_without_slash(rest)
        scopes += [scope, scope]
    return transaction.fetch_one(_FIND_DATASET, {"names": names, "scopes": scopes})


def _with_and_without_slash(name: str) -> list[str]:
    other = name[:-1] if name.endswith("/") else f"{name}/"
    return [name, other]


def dataset_files(transaction: Transaction | Database, name: str, field_name: str) -> list[Row]:
    """The files of a dataset, named in any way `find_dataset` takes, in the order of registration.

    Raises UnknownObject naming `field_name`.
    """
    dataset = find_dataset(transaction, name)
    if dataset is None:
        raise UnknownObject(
            f"there is no dataset {name[:200]!r}",
            field=field_name,
            remedy="register it with POST /api/control/datasets",
        )
    # uq_files_dataset_lfn
    return transaction.fetch(
        "SELECT file_id, lfn, guid, size_bytes, checksum, n_events, boundary_id, panda_id, %(scope)s AS scope FROM files "
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
    dataset = find_dataset(database, name)
    if dataset is not None and not is_manager and dataset["owner"] != user_name:
        raise NotAllowed(f"dataset {name!r} belongs to {dataset['owner']}", field="dataset", remedy="ask its owner")


def check_files(files: list[NewCatalogueFile]) -> None:
    """Raise InvalidInput naming the fact of a file (`files.3.checksum`) that cannot be."""
    if len(files) > MAX_FILES_PER_DATASET:
        raise InvalidInput(
            f"more than {MAX_FILES_PER_DATASET} files",
            field="files",
            remedy="use several datasets, or add them in parts",
        )
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
        check_line(file.guid, f"{where}.guid")
        if len(file.guid) > _MAX_GUID:
            raise InvalidInput(
                "too long", field=f"{where}.guid", remedy=f"at most {_MAX_GUID} characters, or leave it out"
            )
        check_line(file.boundary_id, f"{where}.boundary_id")
        if len(file.boundary_id) > _MAX_BOUNDARY:
            raise InvalidInput(
                "too long", field=f"{where}.boundary_id", remedy=f"at most {_MAX_BOUNDARY} characters, or leave it out"
            )
        endpoints: set[str] = set()
        for number, copy in enumerate(file.replicas):
            if copy.endpoint in endpoints:
                raise InvalidInput(
                    f"{copy.endpoint[:100]!r} twice",
                    field=f"{where}.replicas.{number}.endpoint",
                    remedy="an endpoint has one copy of a file",
                )
            endpoints.add(copy.endpoint)
        seen.add(file.lfn)


def _places(transaction: Transaction, scope: str, files: list[NewCatalogueFile]) -> list[tuple[str, str, str]]:
    """File, endpoint and place of every copy."""
    known = known_endpoints(transaction) if any(file.replicas for file in files) else {}
    places = []
    for position, file in enumerate(files):
        for number, copy in enumerate(file.replicas):
            where = f"files.{position}.replicas.{number}"
            endpoint = endpoint_named(known, copy.endpoint, f"{where}.endpoint")
            places.append((file.lfn, endpoint.name, endpoint.pfn_of(scope, file.lfn, copy.pfn, f"{where}.pfn")))
    return places
