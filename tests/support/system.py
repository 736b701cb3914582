"""A whole server in this process for tests: the real API over real HTTP, the real agents, a real database."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn

from api import live
from api.app import create_app
from api.identity.issuer import Issuer
from core.agents import Agent, AgentFactory, run_agents
from core.configuration import Settings
from core.database import Database
from core.queues import ensure_local_site

T = TypeVar("T")

# A server that served a stream ends when its listener next wakes up, and hundreds of servers end here; how often the
# listener looks without having been told stays as it is.
_QUICKER = 10
live._LISTEN_TIMEOUT_S /= _QUICKER
live._ROUNDS_PER_LOOK *= _QUICKER


@dataclass
class RunningSystem:
    """A server that answers at `url`."""

    url: str
    settings: Settings
    database: Database
    issuer: Issuer
    storage: Path
    _clients: list[httpx.Client] = field(default_factory=list)

    def token(self, user: str = "alice", *roles: str, vo: str = "testvo", name: str = "") -> str:
        """A token of the embedded issuer; `name` is the person's, if it is another than the account's."""
        return self.issuer.issue(user=user, vo=vo, roles=list(roles), lifetime_s=3600, name=name).text

    def client(self, user: str = "alice", *roles: str, name: str = "") -> httpx.Client:
        """An HTTP client with the identity of `user`."""
        headers = {"Authorization": f"Bearer {self.token(user, *roles, name=name)}"}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self._clients.append(client)
        return client

    def v1(self, client: httpx.Client, path: str, **parameters: Any) -> Any:
        """POST a v1 call, assert that it succeeded, return its data."""
        response = client.post(f"/api/v1/{path}", json=parameters)
        answer = response.json()
        assert answer["success"], answer
        return answer["data"]


def eventually(look: Callable[[], T], *, timeout_s: float = 60.0, what: str = "") -> T:
    """Look until the answer is true, and return it. A deadline, not a pause: it ends as soon as it is so."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"never happened: {what or look}; last answer {answer!r}"
        time.sleep(0.02)


def free_port() -> int:
    """A port nobody listens on, below those that the kernel gives to connections and servers which name none.

    One of those could be given to something else of the tests before it is listened on, or while a server is away.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


_AWAITED = frozenset({"incident_opener", "incident_judge", "deed_worker"})
"""Agents whose period is no setting, and which tests wait for all the time."""


def _quickened(factory: AgentFactory) -> AgentFactory:
    """The same agents; those that are waited for look more often."""

    def make(database: Database, settings: Settings) -> list[Agent]:
        made = list(factory(database, settings))
        for agent in made:
            if agent.name in _AWAITED:
                agent.period_s = 0.3
        return made

    return make


@contextmanager
def running_system(
    database_url: str,
    directory: Path,
    *,
    agents: bool = True,
    further_agents: AgentFactory | None = None,
    make_server: Callable[[Settings, str], Any] = create_app,
    listen_on: int = 0,
    **overrides: Any,
) -> Iterator[RunningSystem]:
    """Start API (and agents) on a free port (or the one named) over `database_url`; everything is stopped at the end.

    `make_server=pandascope.supervisor.composition.create_server` serves the web monitor too.
    """
    periods = {
        **{"setupper_s": 0.1, "activator_s": 0.1, "adder_s": 0.1, "watchdog_s": 0.2, "emitter_s": 0.1},
        **{"feeder_s": 0.2, "generator_s": 0.2, "scouts_s": 0.5, "incidents_s": 0.2},
    }
    settings = Settings(data=directory, database_url=database_url, **{"agents": periods, **overrides})
    storage = directory / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    database = Database(database_url)
    ensure_local_site(database, str(storage))
    listener = socket.create_server(("127.0.0.1", listen_on))
    app = make_server(settings, database_url)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    stop = threading.Event()
    threads = [threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)]
    if agents:
        factory = _quickened(further_agents) if further_agents else None
        threads.append(threading.Thread(target=run_agents, args=(settings, stop, factory), daemon=True))
    for thread in threads:
        thread.start()
    issuer = Issuer(settings.data, name=settings.issuer, audience=settings.audience)
    system = RunningSystem(f"http://127.0.0.1:{listener.getsockname()[1]}", settings, database, issuer, storage)
    try:
        eventually(lambda: server.started, what="the API starts")
        yield system
    finally:
        for client in system._clients:
            client.close()
        stop.set()
        server.should_exit = True
        for thread in threads:
            thread.join(timeout=60)  # one that goes on would talk into the next tests
        database.close()
        listener.close()
