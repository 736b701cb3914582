"""The shares in a real browser: the tree with bars and marks, what is in no share, and the curves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from core.shares.editing import replace_tree
from core.shares.usage import keep_sample, refresh
from tests.core.shares.conftest import put_jobs
from tests.dashboard.conftest import comes_to
from tests.dashboard.test_pictures import PICTURES

pytestmark = pytest.mark.browser

TREE = [
    {"name": "Production", "value": 70, "description": "what physics groups agreed on"},
    {"name": "MC Default", "parent": "Production", "value": 60, "processing_type": "simul", "max_queued_jobs": 20},
    {"name": "Reprocessing", "parent": "Production", "value": 30, "processing_type": "reprocessing"},
    {"name": "Group production", "parent": "Production", "value": 10, "working_group": ".+"},
    {"name": "User analysis", "value": 25, "prod_source_label": "user|panda"},
    {"name": "Tests", "value": 5, "prod_source_label": "test"},
]
_HOURS = """
INSERT INTO share_samples (time, gshare, executing_power, target_power, queued_jobs)
SELECT time - n * interval '5 minutes', gshare, target_power * (1 + 0.3 * sin(n / 9.0 + ascii(gshare))), target_power, 9
FROM share_samples CROSS JOIN generate_series(1, 280) AS n
"""
_NOBODY_IS_DUE = """
WITH forgotten AS (DELETE FROM share_samples)
INSERT INTO share_samples (time, gshare, executing_power, target_power, queued_jobs)
VALUES (now() + interval '1 second', 'Tests', 0, 0, 0)
"""


@pytest.fixture(scope="module")
def shared(story):
    """A tree whose shares run and wait; the first production share has too little."""
    database = story.system.database
    running = {"MC Default": 20, "Reprocessing": 30, "Group production": 8, "User analysis": 28, "Tests": 2, "": 4}
    for share, count in running.items():
        put_jobs(database, share, count, status="running", queue="ELSEWHERE", cores=8)
    for share, count in {"MC Default": 70, "Reprocessing": 9, "User analysis": 30, "Old share": 3}.items():
        put_jobs(database, share, count, queue="ELSEWHERE", cores=8)
    replace_tree(database, TREE, who="olga")
    refresh(database)
    database.execute("DELETE FROM share_samples")
    keep_sample(database, 300)
    database.execute(_HOURS)
    return story


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_tree_shows_who_gets_too_little_and_its_curve(shared, tab, scheme):
    page = tab.open("shares/")
    if scheme == "dark":
        page.locator("#scheme-toggle").click()
    expect(page.locator("h1")).to_contain_text("5 shares")
    row = page.locator("#shares-tree tr", has_text="MC Default")
    expect(row).to_contain_text("1 full lane: SCORE")
    expect(row.locator("td .chip-warning", has_text="%").first).to_be_visible()
    expect(row.locator(".share-bar .share-due")).to_be_visible()
    expect(page.locator("#shares-tree tr", has_text="Old share")).to_contain_text("last")
    expect(page.locator("#shares-tree tr", has_text="without a share")).to_be_visible()
    expect(page.locator("#shares-plot svg polyline")).to_have_count(5)
    expect(page.locator("#shares-plot .curves li", has_text="MC Default")).to_contain_text("%")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.screenshot(path=PICTURES / f"shares-1280-{scheme}.png")
    comes_to(page, "document.documentElement.scrollWidth <= window.innerWidth", True)


def test_a_share_leads_to_its_jobs(shared, tab):
    page = tab.open("shares/")
    page.locator("#shares-tree a", has_text="Reprocessing").click()
    expect(page).to_have_url(f"{tab.base}/monitor/jobs/?gshare=Reprocessing")
    expect(page.locator("h1")).to_contain_text("39 jobs")


def test_a_tree_of_which_nothing_was_due_says_why_there_is_no_curve(shared, tab):
    # The share keeper runs beside and samples as soon as none is fresh: this one tells it that it is not due.
    shared.system.database.execute(_NOBODY_IS_DUE)
    page = tab.open("shares/")
    expect(page.locator("#shares-plot")).to_contain_text("Nothing to draw yet")
    expect(page.locator("#shares-plot svg")).to_have_count(0)


def test_without_a_tree_the_page_says_what_decides(shared, tab):
    replace_tree(shared.system.database, [], who="olga")
    page = tab.open("shares/")
    expect(page.locator("#shares-tree")).to_contain_text("priority and age decide alone")
    expect(page.locator("#shares-held")).to_be_hidden()
