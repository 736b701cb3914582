"""Takes one uploaded file (multipart) onto disk while it arrives, within a limit. Knows no operation."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import IO, Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from api.bodies import BodyTooLarge
from core.errors import InvalidInput, Unavailable

_FORM_OVERHEAD_BYTES = 1024 * 1024
"""Boundaries, headers and further fields around the file."""


@dataclass(frozen=True)
class Upload:
    """A file as it came: under the name the client gave it, which may be any text, a path on the client included."""

    name: str
    file: IO[bytes]
    """Open at its beginning; on disk when it is not small. Closed by the kernel after the call."""
    size_bytes: int

    @property
    def base_name(self) -> str:
        """The last part of the name: clients send absolute paths of their own (client-wire.md 3)."""
        return self.name.replace("\\", "/").rpartition("/")[2]


async def receive_upload(request: Request, name: str, limit_bytes: int) -> tuple[Upload, dict[str, Any]]:
    """The file in the form field `name`, and the other fields of the form.

    Raises InvalidInput when there is none or the form is broken, BodyTooLarge past the limit, Unavailable when the disk is
    full; nothing of it is kept then.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidInput("no multipart form", field=name, remedy=f"send the file as multipart/form-data in {name!r}")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes + _FORM_OVERHEAD_BYTES:
        raise _too_large(name, limit_bytes)
    try:
        stream = _limited(request, name, limit_bytes + _FORM_OVERHEAD_BYTES)
        form = await MultiPartParser(request.headers, stream, max_files=1, max_fields=100).parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "its header has no boundary"
        raise InvalidInput(f"the form is broken: {reason}", field=name, remedy="send it again, whole") from error
    except ClientDisconnect as error:
        raise InvalidInput("the connection ended inside the file", field=name, remedy="send it again") from error
    except OSError as error:
        remedy = f"make room in {tempfile.gettempdir()} on the server, then send it again"
        raise Unavailable(f"the file could not be kept: {error.strerror}", field=name, remedy=remedy) from error
    fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    file = form.get(name)
    if not isinstance(file, UploadFile):
        await form.close()
        raise InvalidInput("missing", field=name, remedy=f"send the file as multipart/form-data in {name!r}")
    size_bytes = file.size or 0
    if size_bytes > limit_bytes:
        await form.close()
        raise _too_large(name, limit_bytes)
    return Upload(file.filename or "", file.file, size_bytes), fields


async def _limited(request: Request, name: str, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(name, limit_bytes)
        yield chunk


def _too_large(name: str, limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"larger than {limit_bytes // 2**20} MB", field=name, remedy="send a smaller file")
