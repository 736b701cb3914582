"""Puts the server of one worker together: the API, and the web monitor behind it in the same process.

The one place that knows both; the monitor itself asks the API through the client, here without a network between.
"""

from __future__ import annotations

from starlette.applications import Starlette

from api.app import create_app
from core.configuration import Settings


def create_server(settings: Settings, database_url: str) -> Starlette:
    """The ASGI application of one worker."""
    return create_app(settings, database_url)
