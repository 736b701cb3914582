"""What workers fetch by fixed addresses: sandboxes, logs of tasks, descriptions of queues and storage, transformations.

Open to everybody, as upstream: the programs that unpack a sandbox have no token. Names hold a uuid, and nothing is listed.
"""

from __future__ import annotations

import hashlib
import shlex
import threading
import time
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from api.operations import Services
from api.problems import encode, problem, problem_of
from api.transformations import TRANSFORMATIONS
from core.errors import PandaError, Unavailable
from core.filecache.logs import TaskLogs
from core.filecache.store import FileCache
from core.schedconfig import SchedConfig, read_schedconfig

_FRESH_S = 2.0
"""How old a description may be: pilots ask far more often than queues change."""
_SAFE = {"X-Content-Type-Options": "nosniff"}
"""What users upload must not become a page of ours in a browser."""


def cache_routes(services: Services) -> list[Route]:
    """The routes, in the order in which they are tried."""
    files, logs = FileCache.of(services.database, services.settings), TaskLogs.of(services.settings)
    descriptions = _Descriptions(services)

    def sandbox(request: Request) -> Response:
        return _file(request, files.path_of(request.path_params["name"]), "application/octet-stream")

    def log_of_task(request: Request) -> Response:
        return _file(request, logs.path_of(request.path_params["name"]), "text/plain; charset=utf-8")

    def queue(request: Request) -> Response:
        return _described(request, descriptions, _queue_of(request.path_params["name"]))

    def storage(request: Request) -> Response:
        return _described(request, descriptions, _ENDPOINTS)

    return [
        Route("/cache/ddmendpoints.json", storage),
        Route("/cache/schedconfig/ddmendpoints.json", storage),
        Route("/cache/schedconfig/{name}", queue),
        Route("/cache/jedilog/{name}", log_of_task),
        Route("/cache/{name}", sandbox),
        Route("/trf/user/{name}", _transformation),
    ]


def _file(request: Request, path: Path | None, media_type: str) -> Response:
    """A file with length, ETag and ranges; 304 for one the caller has."""
    try:
        found = path.stat() if path is not None else None
    except OSError:  # deleted since it was looked up
        found = None
    if path is None or found is None:
        return problem(
            404,
            "Not found",
            code="unknown_object",
            detail="there is no such file in the cache",
            field="name",
            remedy="files nobody uses are deleted after some days: submit again from where the sources are",
        )
    response = FileResponse(path, media_type=media_type, stat_result=found, headers=_SAFE)
    return _unless_known(request, response)


def _unless_known(request: Request, response: Response) -> Response:
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if response.headers["etag"] in known:
        return Response(status_code=304, headers={"ETag": response.headers["etag"]})
    return response


_ENDPOINTS = "endpoints"
_ALL_QUEUES = "queues"


def _queue_of(file_name: str) -> str:
    """Which document a file name below /cache/schedconfig means; empty for none.

    The two of one queue say the same here; upstream's shorter one leaves out what few need.
    """
    if file_name == "all.json":
        return _ALL_QUEUES
    for ending in (".all.json", ".pilot.json"):
        if file_name.endswith(ending):
            return f"queue {file_name.removesuffix(ending)}"
    return ""


class _Descriptions:
    """Descriptions of queues and storage as ready documents, read again when they are old. Shared by threads."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._lock = threading.Lock()
        self._documents: dict[str, bytes] = {}
        self._read_at = float("-inf")

    def document(self, name: str) -> bytes | None:
        """A document by name; None when there is none. Raises Unavailable when none was ever read."""
        asked_at = time.monotonic()
        # one thread reads while the others answer with what there is; the first time they wait
        self._refresh(asked_at - _FRESH_S, wait=not self._documents)
        if name not in self._documents:  # perhaps a queue that was made a moment ago
            self._refresh(asked_at, wait=True)
        return self._documents.get(name)

    def _refresh(self, oldest: float, *, wait: bool) -> None:
        if self._read_at > oldest or not self._lock.acquire(blocking=wait):
            return
        try:
            if self._read_at <= oldest:
                begun_at = time.monotonic()
                self._documents = _documents(read_schedconfig(self._database))
                self._read_at = begun_at
        except Unavailable:
            if not self._documents:
                raise
        finally:
            self._lock.release()


def _documents(config: SchedConfig) -> dict[str, bytes]:
    content: dict[str, Any] = {f"queue {name}": queue for name, queue in config.queues.items()}
    return {name: encode(value) for name, value in content.items()} | {
        _ALL_QUEUES: encode(config.queues),
        _ENDPOINTS: encode(config.endpoints),
    }


def _described(request: Request, descriptions: _Descriptions, name: str) -> Response:
    try:
        content = descriptions.document(name)
    except PandaError as error:
        return problem_of(error)
    if content is None:
        # the pilot takes a document with this key for a failure, whatever the status (pilot-wire.md 4)
        refusal = {
            "error": f"there is no queue description {request.path_params['name']!r}",
            "field": "name",
            "remedy": "ask for <queue>.all.json, or all.json for every queue; see `panda queues` for the names",
        }
        return Response(encode(refusal), 404, media_type="application/json")
    tag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return _unless_known(request, Response(content, headers={"ETag": f'"{tag}"'}, media_type="application/json"))


def _transformation(request: Request) -> Response:
    """A program of ours by name. What is not there answers as a program too, one that says so and fails with 200, the code
    of a transformation that could not be had: the pilot fetches without looking at the status and runs what it got."""
    name = request.path_params["name"]
    source = TRANSFORMATIONS.get(name)
    if source is None:
        shown = shlex.quote("".join(letter if letter.isprintable() else "?" for letter in name[:200]))
        text = f"#!/bin/sh\necho there is no transformation {shown} on this server >&2\nexit 200\n"
        return Response(text, 404, _SAFE, media_type="text/plain")
    content = source()
    tag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    headers = {"ETag": f'"{tag}"', **_SAFE}
    return _unless_known(request, Response(content, headers=headers, media_type="application/octet-stream"))
