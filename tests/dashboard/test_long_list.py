"""A list of many jobs: every row once, in order, block after block."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import monitor_system
from tests.support import builders

pytestmark = pytest.mark.browser

JOBS = 650

_ROWS_NOW = """() => [...document.querySelectorAll('.job-grid .ag-center-cols-container .ag-row')]
    .map((row) => [Number(row.getAttribute('row-index')), Number(row.getAttribute('row-id'))])
    .filter(([, id]) => id)"""


def test_scrolling_shows_every_job_once(database_url, tmp_path, new_tab):
    with monitor_system(database_url, tmp_path, agents=False) as system:
        expected = sorted(builders.submit(system.database, JOBS, queue="LOCAL"), reverse=True)
        page = new_tab(system.url).open("jobs/")
        expect(page.locator("h1")).to_have_text(f"{JOBS} jobs")
        seen: dict[int, int] = {}
        page.locator(".job-grid").hover()
        for index in range(10, JOBS + 10, 10):
            wanted = min(index, JOBS) - 1
            row = page.locator(f'.job-grid .ag-row[row-index="{wanted}"][row-id="{expected[wanted]}"]')
            page.evaluate(
                "(at) => dash_ag_grid.getApi('jobs-grid').ensureIndexVisible(at, 'bottom')", _reachable(page, wanted)
            )
            expect(row.first).to_be_visible()
            seen |= dict(page.evaluate(_ROWS_NOW))
        assert [seen[index] for index in sorted(seen)] == expected


def _reachable(page, wanted: int) -> int:
    """The list grows as it is read, so one cannot jump behind its known end."""
    page.wait_for_function("(at) => dash_ag_grid.getApi('jobs-grid').getDisplayedRowCount() > at", arg=wanted)
    return wanted
