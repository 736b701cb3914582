"""`panda serve`: one worker of the API, on the listening socket that the supervisor opened."""

from __future__ import annotations

import socket
from typing import Annotated

import typer
import uvicorn

from core.configuration import Settings
from pandascope.supervisor.composition import create_server
from pandascope.supervisor.reporting import report_to_store

_GRACE_S = 3
"""How long a stopping worker finishes running requests; live streams have no end of their own."""


def command(fd: Annotated[int, typer.Option(help="Descriptor of the listening socket.")]) -> None:
    """Answer HTTP until SIGTERM."""
    settings = Settings.load()
    listener = socket.socket(fileno=fd)
    listener.set_inheritable(False)
    with report_to_store(settings, "api"):
        config = uvicorn.Config(
            create_server(settings, settings.database_url),
            loop="uvloop",
            http="httptools",
            lifespan="on",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            timeout_keep_alive=75,
        )
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(1)
