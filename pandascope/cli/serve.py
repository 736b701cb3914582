"""`panda serve`: one worker of the API, on the listening socket that the supervisor opened."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable
from typing import Annotated

import typer
import uvicorn

from core.configuration import Settings
from pandascope.supervisor.composition import create_server
from pandascope.supervisor.pulse import beat
from pandascope.supervisor.reporting import report_to_store

_GRACE_S = 3
"""How long a stopping worker finishes running requests."""
_TICKS_PER_BEAT = 10
"""The server's loop ticks ten times a second."""


def command(
    fd: Annotated[int, typer.Option(help="Descriptor of the listening socket.")],
    pulse_fd: Annotated[int, typer.Option("--pulse-fd", help="Descriptor to give signs of life on.")],
) -> None:
    """Answer HTTP until SIGTERM."""
    settings = Settings.load()
    listener = socket.socket(fileno=fd)
    listener.set_inheritable(False)
    os.set_inheritable(pulse_fd, False)
    app = create_server(settings, settings.database_url)
    # what is there now stays: looking through all of it again and again costs a twelfth of a pilot's request
    gc.collect()
    gc.freeze()
    with report_to_store(settings, "api"):
        config = uvicorn.Config(
            app,
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
        server = _Worker(config, lambda: beat(pulse_fd), app.end_streams)
        server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(1)


class _Worker(uvicorn.Server):
    """A server whose loop gives signs of life, and that does not wait for streams when it stops: they have no end."""

    def __init__(self, config: uvicorn.Config, beat: Callable[[], None], end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._beat, self._end_streams = beat, end_streams

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_PER_BEAT == 0:
            self._beat()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)
