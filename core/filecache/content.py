"""Unpacks what was uploaded to see that it is whole. Knows gzip; keeps nothing of what it unpacks.

The client finds its sandbox again by size and by the CRC-32 in the last eight bytes of the archive (client-wire.md 4.1). That
number says nothing about bytes damaged on the way, so it is computed here from the content, and compared.
"""

from __future__ import annotations

import zlib
from typing import IO

from core.errors import InvalidInput

MOST_UNPACKED_BYTES = 16 * 2**30
_CHUNK_BYTES = 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 31
"""zlib's word for gzip headers and trailers, whose CRC-32 and length it then compares by itself."""


def gzip_checksum(file: IO[bytes], field: str, most_unpacked_bytes: int = MOST_UNPACKED_BYTES) -> str:
    """CRC-32 of the content of a gzip file as a decimal number; empty for other files, which have none at their end.

    Raises InvalidInput naming `field` for an archive that is damaged, cut off, or unpacks to more than the limit.
    The file is left at its beginning.
    """
    file.seek(0)
    try:
        if file.read(2) != _GZIP_MAGIC:
            return ""
        file.seek(0)
        return _checksum_of_members(file, field, most_unpacked_bytes)
    finally:
        file.seek(0)


def _checksum_of_members(file: IO[bytes], field: str, allowance: int) -> str:
    """A gzip file may consist of several; the last one's trailer is what the client reads."""
    pending = file.read(_CHUNK_BYTES)
    while True:
        checksum, rest, allowance = _one_member(file, pending, field, allowance)
        pending = rest or file.read(_CHUNK_BYTES)
        if not pending:
            return str(checksum)
        if len(pending) < len(_GZIP_MAGIC):
            pending += file.read(_CHUNK_BYTES)
        if not pending.startswith(_GZIP_MAGIC):
            return ""  # padded: tar reads it, but its last bytes are no trailer


def _one_member(file: IO[bytes], pending: bytes, field: str, allowance: int) -> tuple[int, bytes, int]:
    """CRC-32 of a member that begins with `pending`, what follows it, and what is left of the allowance."""
    unpacker = zlib.decompressobj(_GZIP)
    checksum = 0
    while not unpacker.eof:
        if not pending:
            raise _damaged("it ends too early", field)
        try:
            content = unpacker.decompress(pending, _CHUNK_BYTES)
        except zlib.error as error:
            raise _damaged(str(error), field) from error
        checksum = zlib.crc32(content, checksum)
        allowance -= len(content)
        if allowance < 0:
            raise InvalidInput("the archive unpacks to too much", field=field, remedy="send fewer or smaller files")
        pending = unpacker.unconsumed_tail or (b"" if unpacker.eof else file.read(_CHUNK_BYTES))
    return checksum, unpacker.unused_data, allowance


def _damaged(reason: str, field: str) -> InvalidInput:
    return InvalidInput(f"the archive is damaged: {reason}", field=field, remedy="pack it anew and send it again")
