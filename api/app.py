"""Puts the API together: services, identity, PanDA's protocol, our own operations. Knows no rule and no SQL."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import api.auth
import api.control
import api.monitor
from api.cache import cache_routes
from api.database_troubles import DatabaseTroubles
from api.identity.access import Access, Gate
from api.identity.issuer import Issuer
from api.live import ChangeHub
from api.metrics import Measured, metrics_route
from api.openapi import openapi_document
from api.operations import Services, operation, operations_of
from api.panda import MODULES
from api.panda.kernel import PandaApi
from api.panda.legacy_door import LegacyDoor
from api.problems import json_response
from api.request_numbers import RequestNumbers
from api.routing import route_of, unknown_path
from core.clock import utc_now
from core.configuration import Settings
from core.database import Database, migrate
from core.dispatch.contacts import ContactBook
from core.dispatch.update import PilotReports
from core.errors import Unavailable
from core.monitor.timeouts import OldJobs
from core.shares.ranking import Ranking
from core.taskengine.questions.task_facts import TaskFacts
from core.why.explaining import Explainer
from logger.ingest import RecordIngest

log = logging.getLogger("panda.api")

_SENT_AS_THEY_ARE = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream")
"""Files of the cache are archives; packing them again would cost time and their length."""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""PanDA answers a wrong method itself, with its own words."""

_DATABASE_PATIENCE_S = 60
"""How long a starting process waits for a database that is still recovering."""


def create_services(settings: Settings, database_url: str) -> Services:
    """The database pools and the clock of one process."""
    database = _pool(settings, database_url)
    read_database = _pool(settings, settings.database_read_url) if settings.database_read_url else database
    hub = ChangeHub(database)
    return Services(
        settings=settings,
        database=database,
        read_database=read_database,
        clock=utc_now,
        live=hub,
        contacts=ContactBook(),
        ranking=Ranking(refresh_s=settings.shares.refresh_s, sloppy=settings.shares.sloppy),
        pilot_reports=PilotReports(database),
        task_facts=TaskFacts(database),
        explainer=Explainer(settings),
        old_jobs=OldJobs(settings.timeouts),
        ingest=RecordIngest(
            database, utc_now, settings.ingest, share=1 / settings.api_workers, incidents=settings.incidents
        ),
    )


def _pool(settings: Settings, url: str) -> Database:
    return Database(
        url,
        pool_size=settings.database_pool_size,
        pool_overflow=settings.database_pool_overflow,
        pool_timeout_s=settings.database_pool_timeout_s,
    )


def create_app(settings: Settings, database_url: str) -> Starlette:
    """The API as an ASGI application; its lifespan brings the schema up to date and closes the pools.

    `state.end_streams()` ends all live streams and those to come: a server that stops need not wait for them.
    """
    services = create_services(settings, database_url)
    issuer = Issuer(settings.data, name=settings.issuer, audience=settings.audience)
    gate = Gate(issuer, services.database, settings)
    readers = anyio.CapacityLimiter(max(2, settings.database_pool_size // 2))
    panda = PandaApi(MODULES, services, gate)
    legacy = LegacyDoor(panda, services, gate)
    operations = operations_of([*api.monitor.HANDLERS, *api.control.HANDLERS])
    operations += operations_of([_document_of(openapi_document(operations, panda.endpoints, version("pandascope")))])
    numbers = RequestNumbers(settings.data / "metrics")

    async def handle_panda(request: Request) -> Response:
        return await panda.handle(request)

    panda_routes = [Route(f"/api/{name}/{{path:path}}", handle_panda, methods=_METHODS) for name in ("v1", "latest")]
    panda_routes.append(Route("/server/panda/{method}", legacy.handle, methods=["GET", "POST", "PUT"]))
    own_routes = [route_of(entry, services, gate, readers) for entry in operations]
    own_routes.append(metrics_route(services, gate, numbers, readers))
    app = Starlette(
        routes=[*api.auth.routes(services, gate, issuer), *panda_routes, *cache_routes(services), *own_routes],
        exception_handlers={404: unknown_path, 405: unknown_path},
        lifespan=_lifespan(services, numbers, readers),
        middleware=[
            Middleware(Measured, numbers=numbers, calls=panda.endpoints),
            Middleware(GZipMiddleware, minimum_size=4096, compresslevel=5, exclude_content_types=_SENT_AS_THEY_ARE),
        ],
    )
    app.state.end_streams = services.live.end_streams
    return app


def _document_of(document: dict[str, Any]) -> Callable[[object], Response]:
    """The operation that answers what all the others are."""

    @operation("GET", "/api/openapi.json", access=Access.OPEN)
    def openapi(context: object) -> Response:
        """This document."""
        return json_response(document)

    return openapi


def _lifespan(
    services: Services, numbers: RequestNumbers, readers: anyio.CapacityLimiter
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """What a process does before its first answer and after its last."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # a thread for every connection the pool may open: more would only wait for one
        threads = services.settings.database_pool_size + services.settings.database_pool_overflow
        anyio.to_thread.current_default_thread_limiter().total_tokens = max(1, threads - int(readers.total_tokens))
        await _bring_up_to_date(services.database)
        services.database.on_trouble = services.read_database.on_trouble = DatabaseTroubles().report
        await run_in_threadpool(numbers.start)
        async with api.monitor.running(services):
            yield
        await run_in_threadpool(numbers.close)
        await run_in_threadpool(services.database.close)
        await run_in_threadpool(services.read_database.close)

    return lifespan


async def _bring_up_to_date(database: Database) -> None:
    deadline = time.monotonic() + _DATABASE_PATIENCE_S
    while True:
        try:
            await run_in_threadpool(migrate, database)
            return
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting for the database: %s", error)
            await asyncio.sleep(1.0)
