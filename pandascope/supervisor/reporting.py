"""Logging of the server's own processes: to their log file, and to the incident store over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from core.configuration import Settings
from logger.handler import attach
from pandascope.environment import ENVIRONMENT_FILE, read_environment_file
from pandascope.supervisor.listener import local_url
from pandascope.supervisor.logs import SPOOL, log_to_stderr


@contextmanager
def report_to_store(settings: Settings, component: str) -> Iterator[None]:
    """Attach the handlers for as long as the block runs. The token is read anew, as the supervisor renews it.

    What the API does not take, because it is the one that is away, waits in the data directory, also for the next `panda up`.
    """
    path = settings.data / ENVIRONMENT_FILE

    def token() -> str:
        return read_environment_file(path).get("PANDA_TOKEN", "") if path.exists() else ""

    log_to_stderr()
    handler = attach(local_url(settings.host, settings.port), token, component, spool=settings.data / SPOOL)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
