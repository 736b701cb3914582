"""The whole server with the monitor, over real PostgreSQL, and a real browser to look at it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from logger.agents import build_agents
from pandascope.supervisor.composition import create_server
from tests.support import builders
from tests.support.missing import skip_or_fail
from tests.support.system import RunningSystem, eventually, running_system

_CHROMIUM_WORDS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
FAILING_LINE = "ValueError: no such column: 'pt'"
HOSTILE = (
    '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>[x](javascript:alert(1)) **b** \x1b[31mred'
)
EVERYTHING_WITHIN_MS = 60_000

expect.set_options(timeout=EVERYTHING_WITHIN_MS)


@dataclass
class Story:
    """What has happened in the system that the tests look at."""

    system: RunningSystem
    failed: list[int]
    hostile: int
    running: list[int]

    @property
    def incident(self) -> int:
        """The incident of the failed jobs."""
        return self._incident_of(self.failed[0])

    @property
    def hostile_incident(self) -> int:
        """The incident of the job whose texts are hostile."""
        return self._incident_of(self.hostile)

    def _incident_of(self, panda_id: int) -> int:
        row = self.system.client().get(f"/api/monitor/job/{panda_id}").json()
        return int(row["incidents"][0]["incident_id"])

    def start(self, count: int = 1) -> list[int]:
        """More running jobs."""
        return builders.start(self.system.database, count, queue="LOCAL")

    def finish(self, panda_id: int) -> None:
        """A pilot reports success; the adder of the running system does the rest."""
        builders.report_finished(self.system.database, panda_id)

    def fail(self, panda_id: int, last_line: str = FAILING_LINE, **said: Any) -> None:
        """A pilot reports a failure of the payload."""
        stderr = log_text(last_line)
        said = {"pilot_error_code": 1305, "pilot_error_diag": f"exit code 3: {last_line}", "trans_exit_code": 3} | said
        logs = {"payload.stderr": stderr, "payload.stdout": "all quiet\n", "pilot.log": "pilot starts\n"}
        builders.report(self.system.database, panda_id, "failed", logs=logs, **said)


def log_text(last_line: str) -> str:
    """A log of some hundred lines with a traceback before its end and lines after it."""
    before = [f"event {number} of 400" for number in range(1, 301)]
    trace = ["Traceback (most recent call last):", '  File "analysis.py", line 12, in <module>', "    main()"]
    after = [f"cleaning up {number}" for number in range(1, 41)]
    return "\n".join([*before, *trace, last_line, *after]) + "\n"


@contextmanager
def monitor_system(database_url: str, directory: Path, **options: Any) -> Iterator[RunningSystem]:
    """A running system that serves the monitor and builds incidents."""
    with running_system(
        database_url, directory, further_agents=build_agents, make_server=create_server, **options
    ) as system:
        yield system


@pytest.fixture(scope="module")
def story(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Jobs that failed alike, one with hostile texts, some that run."""
    with monitor_system(module_database_url, tmp_path_factory.mktemp("monitor")) as system:
        jobs = builders.start(system.database, 9, queue="LOCAL", job_name="a plain job")
        (hostile,) = builders.start(
            system.database, 1, queue="LOCAL", job_name=HOSTILE.replace("\x1b", ""), user="mallory"
        )
        told = Story(system, jobs[:5], hostile, jobs[5:])
        for panda_id in told.failed:
            told.fail(panda_id)
        told.fail(hostile, f"RuntimeError: {HOSTILE}", pilot_error_code=1099)
        api = system.client()

        def incidents_are_there() -> bool:
            rows = api.get("/api/monitor/incidents").json()["incidents"]
            return sum(row["job_count"] for row in rows) >= 6

        eventually(incidents_are_there, timeout_s=60, what="the incidents are there")
        yield told


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The distribution's Chromium. For a module only: while it is there, its event loop runs in the main thread."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        skip_or_fail("Chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM_WORDS.split())
        yield browser
        browser.close()


def comes_to(page: Page, question: str, answer: object, what: object = "") -> None:
    """Wait until a page answers so: plots and grids fit themselves to a new size a moment after it."""
    with suppress(AssertionError):
        eventually(lambda: page.evaluate(question) == answer)
    assert page.evaluate(question) == answer, what


_UPDATE = "/_dash-update-component"


@dataclass
class Tab:
    """A browser tab on the monitor; everything that goes wrong in the page is kept."""

    page: Page
    base: str
    complaints: list[str]
    pending: set[Request] = field(default_factory=set)
    """Questions of the page that the server has not answered yet."""

    def answered(self, request: Request) -> None:
        """A question is no longer open."""
        self.pending.discard(request)

    def settle(self) -> None:
        """Wait until every question of the page is answered: a dialogue asks twice, and the second answer may be newer."""
        deadline = time.monotonic() + EVERYTHING_WITHIN_MS / 1000
        while self.pending:
            assert time.monotonic() < deadline, f"never answered: {[request.url for request in self.pending]}"
            self.page.wait_for_timeout(20)

    def open(self, address: str = "") -> Page:
        """Load an address below /monitor/ and wait until its page is there."""
        self.page.goto(f"{self.base}/monitor/{address}")
        expect(self.page.locator("#page .page")).to_be_visible()
        return self.page


@pytest.fixture(scope="module")
def profile(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile that the tests of a module share, so that scripts are loaded once."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield context
    context.close()


@pytest.fixture
def new_tab(chromium: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens tabs, each in its own browser profile unless one is given; closes them at the end."""
    contexts = []

    def make(base: str, *, beside: Tab | None = None) -> Tab:
        if beside is None:
            contexts.append(chromium.new_context(viewport={"width": 1440, "height": 900}))
        return _tab_in(beside.page.context if beside else contexts[-1], base)

    yield make
    for context in contexts:
        context.close()


def _tab_in(context: BrowserContext, base: str) -> Tab:
    page = context.new_page()
    page.set_default_timeout(EVERYTHING_WITHIN_MS)
    tab = Tab(page, base, [])
    page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    page.on("console", lambda message: tab.complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: _check_local(tab, request.url))
    page.on("request", lambda request: tab.pending.add(request) if _UPDATE in request.url else None)
    page.on("requestfinished", tab.answered)
    page.on("requestfailed", tab.answered)
    return tab


def _check_local(tab: Tab, url: str) -> None:
    if not url.startswith((tab.base, "data:", "blob:")):
        tab.complaints.append(f"asked another host: {url}")


@pytest.fixture
def tab(story: Story, profile: BrowserContext) -> Iterator[Tab]:
    """A tab on the story's monitor; the test fails when the page complained."""
    tab = _tab_in(profile, story.system.url)
    yield tab
    tab.page.close()
    assert tab.complaints == []
