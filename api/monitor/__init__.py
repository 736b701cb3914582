"""The monitor's operations, listed once (`HANDLERS`), and what runs beside them in each API process (`running`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.operations import Handler, Services

HANDLERS: list[Handler] = []


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Hold what the monitor needs while the API runs: the hub of the live stream."""
    yield
