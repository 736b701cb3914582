"""Names of files, datasets and queues from outside: what a path and an index can hold. Knows no table."""

from __future__ import annotations

import re

from core.errors import InvalidInput

ANY_QUEUE = "AUTO"
"""Stands for any queue; beside names of queues: any other, if none of these can take the jobs (prun's help to --site)."""
UNMERGED = "panda.um."
"""What the names of transient files and datasets begin with, which wait to be merged; as upstream's."""
MAX_NAME_BYTES = 1024
"""Far below what a row of a PostgreSQL index can hold (2704 bytes); a path on Linux may be longer, a name of ours not."""

_MAX_PART_BYTES = 255
"""What file systems allow between two slashes."""


_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def check_line(text: str, field: str) -> None:
    """Raise InvalidInput naming `field` for text with line ends or other control characters: it would break lists and logs."""
    found = _CONTROLS.search(text)
    if found:
        raise InvalidInput(f"holds the control character {found.group()!r}", field=field, remedy="write it in one line")


def check_file_name(name: str, field: str) -> None:
    """Raise InvalidInput naming `field` unless `name` is a relative path that stays inside its directory."""
    parts = name.split("/")
    if "" in parts or ".." in parts or "\x00" in name:
        raise InvalidInput(
            f"{name[:100]!r} is no name inside the job directory", field=field, remedy="a relative path without '..'"
        )
    if len(_encoded(name)) > MAX_NAME_BYTES or max(len(_encoded(part)) for part in parts) > _MAX_PART_BYTES:
        raise InvalidInput(
            f"{name[:40]!r}... is too long",
            field=field,
            remedy=f"at most {MAX_NAME_BYTES} bytes, {_MAX_PART_BYTES} between two slashes",
        )


def check_dataset_name(name: str, field: str) -> None:
    """Raise InvalidInput naming `field` unless `name` can be a dataset and the directory of its files."""
    if not name or len(_encoded(name)) > _MAX_PART_BYTES or "\x00" in name or name in (".", ".."):
        raise InvalidInput(
            f"{name[:40]!r} is no name of a dataset",
            field=field,
            remedy=f"1 to {_MAX_PART_BYTES} bytes, not '.' or '..'",
        )
    check_line(name, field)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
