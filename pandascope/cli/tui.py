"""`panda tui`: opens the console at an address. Starts it and nothing else."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from pandascope.addresses import Address, Page
from pandascope.client import AsyncClient
from pandascope.environment import Credentials, find_credentials
from pandascope.errors import Usage


def command(
    address: Annotated[
        str, typer.Argument(help="Where to begin: 'job 17', 'jobs failed 6h', an address or a link of the web monitor.")
    ] = "/",
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the server; default: the one `panda up` started.")
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Data directory that knows the server.")] = None,
) -> None:
    """Open the console: incidents, jobs and logs, live. `?` inside shows the keys."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        remedy = "in scripts use `panda incidents --json`, `panda jobs --json`, `panda logs ID`"
        raise Usage("the console needs a terminal", remedy=remedy)
    if os.environ.get("TERM") == "dumb":
        raise Usage(
            "the console needs a terminal that can move its cursor, and TERM is dumb",
            remedy="open a terminal window, or use `panda incidents`, `panda jobs`, `panda logs ID`",
        )
    from tui.start import start_address

    start = start_address(address)
    asyncio.run(_run(start or Address(Page.NOW), lambda: find_credentials(url, data=data)))


async def _run(start: Address, find: Callable[[], Credentials]) -> None:
    from tui.app import ConsoleApp
    from tui.start import Renewing, role_of

    found = find()
    async with AsyncExitStack() as clients:
        client = await clients.enter_async_context(AsyncClient(found.url, found.token, via="console"))
        renewing = Renewing(found, find, clients)
        await ConsoleApp(client, start, role=role_of(found.token), renew=renewing.again).run_async()
