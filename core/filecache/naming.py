"""Names of files in the cache: what may be one, and how large a file of a name may be. Knows no disk."""

from __future__ import annotations

from core.configuration import CacheLimits
from core.errors import InvalidInput

OVERWRITABLE = ".__ow__"
"""A file whose name ends so may be replaced by its owner; no other is ever changed (server-api.md 1.7)."""

_MOST_BYTES = 255
"""What file systems allow."""
_MB = 2**20


def check_cache_name(name: str, field: str) -> None:
    """Raise InvalidInput naming `field` unless `name` is the base name of a file in the cache.

    Hidden names are left out too: those are how editors and servers keep what nobody is to fetch.
    """
    if not name or name.startswith(".") or "/" in name or "\\" in name or not name.isprintable():
        raise InvalidInput(
            f"{name[:100]!r} is no name of a file in the cache",
            field=field,
            remedy="a name without directories, control characters or a dot at its beginning",
        )
    if len(name.encode()) > _MOST_BYTES:
        raise InvalidInput(f"{name[:40]!r}... is too long", field=field, remedy=f"at most {_MOST_BYTES} bytes")


def size_limit_bytes(name: str, limits: CacheLimits) -> int:
    """The largest size of a file of this name (client-wire.md 4.1: the client has the same limits)."""
    if name.startswith("sources."):
        return int(limits.sources_mb * _MB)
    if name.endswith(".out"):
        return int(limits.outputs_mb * _MB)
    return int(limits.other_mb * _MB)


def check_size(size_bytes: int, limit_bytes: int, field: str) -> None:
    """Raise InvalidInput naming `field` when a file is larger than it may be."""
    if size_bytes > limit_bytes:
        raise InvalidInput(
            f"upload failure. Exceeded size limit {size_bytes}>{limit_bytes}.",
            field=field,
            remedy="send fewer or smaller files",
        )
