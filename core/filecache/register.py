"""The list of the files in the cache: whose they are, what is in them, when they were last wanted. Knows no disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.database import Database, Row, Transaction
from core.errors import Conflict
from core.states import FINAL_TASK_STATUSES

# An entry of another owner is never taken over by a replacement. One whose file has gone may be by a new file: whether the
# name is free on this machine's disk is for the disk to say, and of another machine's we cannot know.
_LIST = """
INSERT INTO cache_files (file_name, user_name, size_bytes, checksum, host)
VALUES (%(file_name)s, %(user_name)s, %(size_bytes)s, %(checksum)s, %(host)s)
ON CONFLICT (file_name) DO UPDATE SET
    user_name = excluded.user_name, size_bytes = excluded.size_bytes, checksum = excluded.checksum, host = excluded.host,
    creation_time = clock_timestamp(), touch_time = clock_timestamp()
WHERE CASE WHEN %(replace)s THEN cache_files.user_name = excluded.user_name ELSE cache_files.host = excluded.host END
"""

# ix_cache_files_content; the newest first
_SAME_CONTENT = """
SELECT file_name, host FROM cache_files
WHERE user_name = %(user_name)s AND size_bytes = %(size_bytes)s AND checksum = %(checksum)s AND checksum <> ''
  AND creation_time > clock_timestamp() - make_interval(secs => %(reuse_s)s)
ORDER BY creation_time DESC LIMIT 5
"""

_TOUCH = "UPDATE cache_files SET touch_time = clock_timestamp() WHERE file_name = %(file_name)s"

# ix_cache_files_touch
_EXPIRED = """
SELECT file_name FROM cache_files WHERE touch_time < clock_timestamp() - make_interval(secs => %(lifetime_s)s)
ORDER BY touch_time LIMIT 200
"""

# Of few files: every task that has not ended is looked through. A name stands in the parameters of a task as JSON writes it.
_IN_USE = """
SELECT c.file_name FROM unnest(%(names)s::text[]) AS c (file_name)
WHERE EXISTS (
    SELECT 1 FROM tasks t WHERE t.status <> ALL(%(final)s)
      AND strpos(t.parameters::text, btrim(to_json(c.file_name)::text, '"')) > 0)
"""

_UNLIST_EXPIRED = """
DELETE FROM cache_files
WHERE file_name = ANY(%(names)s) AND touch_time < clock_timestamp() - make_interval(secs => %(lifetime_s)s)
RETURNING file_name
"""


@dataclass(frozen=True)
class Entry:
    """What the list says of a file."""

    file_name: str
    user_name: str
    size_bytes: int
    checksum: str
    host: str


def list_file(transaction: Transaction, entry: Entry, *, replace: bool) -> None:
    """Enter a file that is about to get its name on the disk of its host.

    Others who enter the same name wait until this transaction ends. Raises Conflict when the name is taken.
    """
    if not transaction.execute(_LIST, {**asdict(entry), "replace": replace}):
        raise Conflict("cannot overwrite file", field="file", remedy="choose another name")


def owner_of(database: Database, file_name: str) -> str | None:
    """Whose file it is; None when it is not listed."""
    row = database.fetch_one(
        "SELECT user_name FROM cache_files WHERE file_name = %(file_name)s", {"file_name": file_name}
    )
    return None if row is None else str(row["user_name"])


def same_content(database: Database, user_name: str, size_bytes: int, checksum: str, reuse_s: float) -> list[Row]:
    """Names and hosts of files of a user that hold the same, uploaded within `reuse_s`."""
    values = {"user_name": user_name, "size_bytes": size_bytes, "checksum": checksum, "reuse_s": reuse_s}
    return database.fetch(_SAME_CONTENT, values)


def touch(database: Database, file_name: str) -> bool:
    """Note that a file is wanted; whether it is listed at all."""
    return database.execute(_TOUCH, {"file_name": file_name}) > 0


def expired(database: Database, lifetime_s: float) -> list[str]:
    """Some of the files nobody touched for so long."""
    return [row["file_name"] for row in database.fetch(_EXPIRED, {"lifetime_s": lifetime_s})]


def in_use(database: Database, file_names: Sequence[str]) -> list[str]:
    """Those of the files that a task names which may still make jobs."""
    parameters = {"names": list(file_names), "final": [str(status) for status in FINAL_TASK_STATUSES]}
    return [row["file_name"] for row in database.fetch(_IN_USE, parameters)]


def unlist(database: Database, file_names: Sequence[str]) -> None:
    """Strike files from the list."""
    database.execute("DELETE FROM cache_files WHERE file_name = ANY(%(names)s)", {"names": list(file_names)})


def unlist_expired(database: Database, file_names: Sequence[str], lifetime_s: float) -> list[str]:
    """Strike files from the list unless somebody touched them meanwhile; returns which."""
    rows = database.fetch(_UNLIST_EXPIRED, {"names": list(file_names), "lifetime_s": lifetime_s})
    return [row["file_name"] for row in rows]


def listed(database: Database, file_names: Sequence[str]) -> set[str]:
    """Those of the files that are on the list."""
    statement = "SELECT file_name FROM cache_files WHERE file_name = ANY(%(names)s)"
    return {row["file_name"] for row in database.fetch(statement, {"names": list(file_names)})}


def of_host(database: Database, host: str, after: str, older_than_s: float) -> list[str]:
    """Up to 1000 names of files of a host, entered so long ago, that come after `after` in the alphabet."""
    # primary key
    rows = database.fetch(
        "SELECT file_name FROM cache_files WHERE file_name > %(after)s AND host = %(host)s "
        "AND creation_time < clock_timestamp() - make_interval(secs => %(age)s) ORDER BY file_name LIMIT 1000",
        {"after": after, "host": host, "age": older_than_s},
    )
    return [row["file_name"] for row in rows]
