"""Declares operations of our own API: method, path, access, typed input. Knows no operation and no SQL.

A handler is a plain function whose parameters say what it reads: `context` (always first), `query` (a pydantic model),
`body` (a strict one, `api.strict`), and the names in the path (int or str). From that one declaration come parsing,
refusals and the OpenAPI page.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.responses import Response

from api.identity.access import Access, Caller
from api.live import ChangeHub
from api.refusals import refusal_of
from api.strict import StrictBody, Whole
from core.clock import Clock
from core.configuration import Settings
from core.database import Database
from core.dispatch.contacts import ContactBook
from core.dispatch.update import PilotReports
from core.monitor.timeouts import OldJobs
from core.shares.ranking import Ranking
from core.taskengine.questions.task_facts import TaskFacts
from core.why.explaining import Explainer
from logger.ingest import RecordIngest


@dataclass(frozen=True)
class Services:
    """What the handlers of one process share."""

    settings: Settings
    database: Database
    read_database: Database
    clock: Clock
    live: ChangeHub
    contacts: ContactBook
    ranking: Ranking
    pilot_reports: PilotReports
    task_facts: TaskFacts
    explainer: Explainer
    old_jobs: OldJobs
    ingest: RecordIngest


@dataclass(frozen=True)
class Context:
    """What a handler may use while it answers one request."""

    services: Services
    caller: Caller
    query_items: list[tuple[str, str]] = field(default_factory=list)
    """The query string as it came, for pages whose filters are not a fixed list."""

    @property
    def database(self) -> Database:
        """The database that takes changes."""
        return self.services.database

    @property
    def read_database(self) -> Database:
        """The database that monitors read, which may be a standby."""
        return self.services.read_database

    @property
    def settings(self) -> Settings:
        """The settings of this installation."""
        return self.services.settings


@dataclass(frozen=True)
class RawBody:
    """A body as it came, unpacked, of an operation that reads it itself (`takes_raw`)."""

    content: bytes
    content_type: str


@dataclass(frozen=True)
class Created:
    """An answer with status 201."""

    content: dict[str, Any]


Answer = dict[str, Any] | Created | Response
Handler = Callable[..., Any]
"""Returns an Answer; a coroutine function (a stream) returns a Response."""


@dataclass(frozen=True)
class Operation:
    """One entry of our API."""

    method: str
    path: str
    handler: Handler
    access: Access
    summary: str
    query_model: type[BaseModel] | None
    body_model: type[StrictBody] | None
    path_types: dict[str, TypeAdapter[Any]]
    answer_model: type[BaseModel] | None = None
    """What the answer holds, for the OpenAPI page; None says that it is an object."""
    raw_types: tuple[str, ...] = ()
    """Content types of a body that the handler reads itself, as `RawBody`; everywhere else NUL characters and names that
    an object has twice are refused at the door."""

    def arguments(self, path: dict[str, str], query: dict[str, Any], body: Any) -> dict[str, Any]:
        """The handler's keyword arguments. Raises InvalidInput naming the first field that is wrong."""
        arguments: dict[str, Any] = {}
        for name, adapter in self.path_types.items():
            arguments[name] = _validated(adapter, path[name], prefix=name)
        if self.query_model is not None:
            arguments["query"] = _validated(TypeAdapter(self.query_model), query, prefix="")
        if self.raw_types:
            arguments["body"] = body
        elif self.body_model is not None:
            arguments["body"] = _validated(TypeAdapter(self.body_model), {} if body is None else body, prefix="")
        return arguments


def operation(
    method: str,
    path: str,
    *,
    access: Access,
    takes_raw: tuple[str, ...] = (),
    answers: type[BaseModel] | None = None,
) -> Callable[[Handler], Handler]:
    """Mark a function as an operation; its docstring's first line becomes the summary, `answers` describes what it gives.

    `takes_raw`: content types of a body that the handler gets as `RawBody`: it comes often, and nothing here looks at it.
    """

    def mark(handler: Handler) -> Handler:
        hints = get_type_hints(handler)
        names = [name for name in inspect.signature(handler).parameters if name != "context"]
        body = hints.get("body") if "body" in names and not takes_raw else None
        if body is not None and not issubclass(body, StrictBody):
            raise TypeError(
                f"{path}: the body has to be a StrictBody, else true counts as 1 and misspelt fields as left out"
            )
        declared = Operation(
            method=method,
            path=path,
            handler=handler,
            access=access,
            summary=(inspect.getdoc(handler) or "").split("\n")[0],
            query_model=hints.get("query") if "query" in names else None,
            body_model=body,
            path_types={name: _in_path(hints[name]) for name in names if name not in ("query", "body", "request")},
            raw_types=takes_raw,
            answer_model=answers,
        )
        handler.__operation__ = declared  # type: ignore[attr-defined]
        return handler

    return mark


def _in_path(hint: Any) -> TypeAdapter[Any]:
    """What a name in a path is read as: no number is larger than the database can compare."""
    return TypeAdapter(Whole if hint is int else hint)


def operations_of(handlers: list[Handler]) -> list[Operation]:
    """The declarations of marked functions, in order."""
    return [handler.__operation__ for handler in handlers]  # type: ignore[attr-defined]


def _validated(adapter: TypeAdapter[Any], value: Any, *, prefix: str) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise refusal_of(error, prefix) from error
