"""The console under Textual's test driver, over the real API, real HTTP and a real database."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input

from core.database import Database
from logger.agents import build_agents
from pandascope.client import AsyncClient
from pandascope.transport import Manners
from tests.conftest import fresh_database
from tests.support import builders
from tests.support.system import RunningSystem, eventually, running_system
from tui.app import ConsoleApp
from tui.start import start_address
from tui.widgets.log_view import LogView
from tui.widgets.virtual_table import VirtualTable

FAILING_LINE = "ValueError: no such column: 'pt'"
FAILING_NUMBER = 304
HOSTILE = "[red]not red[/red] [@click=app.quit]x[/] \x1b[31mred\x1b]52;c;cHduZWQ=\x07 \u202edlrow\r\nsecond \x9b2Jend"
HOSTILE_NAME = "[bold]name[/bold] [/] \\[x"
WITHIN_S = 60.0
_PROMPT = "#prompt-input"


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run under asyncio, as the console does."""
    return "asyncio"


def log_text(last_line: str) -> str:
    """A log of some hundred lines with a traceback in it; `last_line` is line 304."""
    before = [f"event {number} of 400" for number in range(1, 301)]
    trace = ["Traceback (most recent call last):", '  File "analysis.py", line 12, in <module>', "    main()"]
    after = [f"cleaning up {number}" for number in range(1, 41)]
    return "\n".join([*before, *trace, last_line, *after]) + "\n"


@dataclass
class Story:
    """What has happened in the system that the tests look at."""

    system: RunningSystem
    failed: list[int] = field(default_factory=list)
    hostile: int = 0
    running: list[int] = field(default_factory=list)

    @property
    def database(self) -> Database:
        """The database, for facts."""
        return self.system.database

    def start(self, count: int = 1, **job: Any) -> list[int]:
        """More running jobs."""
        return builders.start(self.database, count, queue="LOCAL", **job)

    def finish(self, panda_id: int) -> None:
        """A pilot reports success; the adder of the running system does the rest."""
        builders.report_finished(self.database, panda_id)

    def fail(self, panda_id: int, last_line: str = FAILING_LINE, **said: Any) -> None:
        """A pilot reports a failure of the payload."""
        said = {"pilot_error_code": 1305, "pilot_error_diag": f"exit code 3: {last_line}", "trans_exit_code": 3} | said
        logs = {"payload.stderr": log_text(last_line), "payload.stdout": "all quiet\n", "pilot.log": "pilot starts\n"}
        builders.report(self.database, panda_id, "failed", logs=logs, **said)

    def incidents(self, job_count: int = 1) -> list[dict[str, Any]]:
        """The incidents, worst first, once they cover `job_count` jobs."""
        api = self.system.client()

        def look() -> list[dict[str, Any]]:
            rows = api.get("/api/monitor/incidents").json()["incidents"]
            return rows if sum(row["job_count"] for row in rows) >= job_count else []

        return eventually(look, timeout_s=60, what=f"the incidents of {job_count} jobs are there")

    def is_judged(self) -> bool:
        """Does the verdict of every incident rest on all that it has? Before that, what a screen shows is by chance."""
        return not self.database.fetch(
            "SELECT incident_id FROM incidents WHERE state NOT IN ('resolved', 'candidate') "
            "AND job_count + record_count IS DISTINCT FROM (verdict_document ->> 'events')::bigint"
        )

    def incident_of(self, panda_id: int) -> int:
        """The number of the incident of a job."""
        row = self.system.client().get(f"/api/monitor/job/{panda_id}").json()
        return int(row["incidents"][0]["incident_id"])


@contextmanager
def a_story(postgres_url: str, directory: Path) -> Iterator[Story]:
    """Five jobs that failed alike, one with hostile texts, some that run; the agents that made it rest."""
    with fresh_database(postgres_url) as url:
        with running_system(url, directory, further_agents=build_agents) as system:
            told = Story(system)
            jobs = told.start(8, job_name="a plain job")
            (told.hostile,) = told.start(1, job_name=HOSTILE_NAME, user="mallory")
            told.failed, told.running = jobs[:5], jobs[5:]
            for panda_id in told.failed:
                told.fail(panda_id)
            told.fail(told.hostile, f"RuntimeError: {HOSTILE}", pilot_error_code=1099)
            told.incidents(6)
            eventually(told.is_judged, timeout_s=60, what="verdicts rest on all events")
        with running_system(url, directory, agents=False) as told.system:
            yield told


@pytest.fixture(scope="session")
def story(postgres_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The story for tests that only read it."""
    with a_story(postgres_url, tmp_path_factory.mktemp("console")) as told:
        yield told


@pytest.fixture(scope="session")
def changed_story(postgres_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The same once more, for tests that add rows of their own to it."""
    with a_story(postgres_url, tmp_path_factory.mktemp("changed")) as told:
        yield told


@pytest.fixture
def fresh(database_url: str, tmp_path: Path) -> Iterator[Story]:
    """A system of its own with three running jobs, for tests that change something."""
    with running_system(database_url, tmp_path, further_agents=build_agents) as system:
        told = Story(system)
        told.running = told.start(3)
        yield told


class Console:
    """A console as a person meets it: what stands on the screen, and keys, which are counted."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot
        self.pressed = 0

    @property
    def lines(self) -> list[str]:
        """The screen as text."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines)

    async def until(self, look: Callable[[], object], what: str = "") -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + WITHIN_S
        while not look():
            assert time.monotonic() < deadline, f"never so: {what}\n{self.text}"
            await self.pilot.pause(0.02)

    async def shows(self, *words: str) -> None:
        """Wait until all words stand on the screen."""
        await self.until(lambda: all(word in self.text for word in words), f"the screen shows {words}")

    async def hides(self, word: str) -> None:
        """Wait until a word is not on the screen."""
        await self.until(lambda: word not in self.text, f"the screen does not show {word!r}")

    async def fills(self, width: int, height: int) -> None:
        """Wait until every line of the screen is as long as the terminal, of which it was told, is wide."""
        await self.until(lambda: [cell_len(line) for line in self.lines] == [width] * height, f"fills {width}x{height}")

    async def press(self, *keys: str) -> None:
        """Press keys."""
        self.pressed += len(keys)
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type a text and enter."""
        await self.until(lambda: any(field.has_focus for field in self.app.screen.query(_PROMPT)), "a line is open")
        self.app.screen.query_one(_PROMPT, Input).value = text
        await self.press("enter")

    async def go(self, command: str) -> None:
        """Carry out a command line."""
        await self.press(":")
        await self.type(command)

    @property
    def told(self) -> str:
        """The notices that stand on the screen, each on one line."""
        return "\n".join(notice.message for notice in self.app._notifications)

    @property
    def page(self) -> str:
        """The address of the view that is shown."""
        screen = self.app.monitor_screen
        assert screen is not None
        return str(screen.address)

    async def is_at(self, path: str) -> None:
        """Wait until the console is somewhere, and has drawn an answer there."""
        await self.until(lambda: self.page == path and self.app.monitor_screen._has_shown, f"is at {path}")

    def table(self, selector: str = "#rows") -> VirtualTable:
        """A list of the screen."""
        return self.app.screen.query_one(selector, VirtualTable)

    @property
    def log(self) -> LogView:
        """The log of the screen."""
        return self.app.screen.query_one(LogView)


@asynccontextmanager
async def console(
    system: RunningSystem,
    address: str = "/",
    *,
    size: tuple[int, int] = (120, 40),
    token: str | None = None,
) -> AsyncIterator[Console]:
    """The console at an address, with the identity of an operator unless told otherwise."""
    token = system.token("olga", "operator") if token is None else token
    manners = Manners(tries=1)
    async with AsyncClient(system.url, token, manners=manners) as client:
        app = ConsoleApp(client, start_address(address), role="olga (operator)")
        async with app.run_test(size=size, notifications=True) as pilot:
            yield Console(app, pilot)
