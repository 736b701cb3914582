"""What comes from tape and where outputs are collected, in a real browser: the page, the task that waits, the storages."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from core.queues import set_endpoint
from tests.dashboard.conftest import comes_to
from tests.dashboard.test_pictures import PICTURES
from tests.support import builders
from tests.support.system import eventually

pytestmark = pytest.mark.browser

RAW = "data26_13p6TeV.00482.physics_Main.daq.RAW"
_STILL = """
UPDATE data_carousel_requests SET n_asked = 2, trouble = 'the robot of ARCHIVE stands still' WHERE dataset = %(name)s
"""


@pytest.fixture(scope="module")
def archived(story):
    """A dataset on a tape that brings nothing, the task that wants it, and one whose outputs are collected."""
    database = story.system.database
    builders.make_queue(database, "NEAR", endpoint="COLLECTING")
    set_endpoint(database, "ARCHIVE", mover="cp", path="/nowhere/tape", kind="tape")
    set_endpoint(
        database, "COLLECTING", mover="cp", path="/nowhere/disk", is_nucleus=True, free_mb=400_000, total_mb=900_000
    )
    builders.make_dataset(database, RAW, [f"raw.{number}" for number in range(3)], at=["ARCHIVE"])
    waiting = builders.make_task(database, site="NEAR", inputDataset=RAW, nFilesPerJob=1, jobParameters="cat %IN")
    builders.make_dataset(database, "here", ["here.1"], at=["COLLECTING"])
    parameters = {"inputDataset": "here", "nFilesPerJob": 1, "jobParameters": "cat %IN > %OUT", "outputs": ["hits"]}
    collected = builders.make_task(database, site="", prodSourceLabel="managed", **parameters)
    api = story.system.client()

    def all_is_decided() -> bool:
        requests = api.get("/api/monitor/staging").json()["requests"]
        nucleus = api.get(f"/api/monitor/task/{collected}").json()["task"]["nucleus"]
        return [row["status"] for row in requests] == ["staging"] and nucleus == "COLLECTING"

    eventually(all_is_decided, timeout_s=60, what="the dataset is asked for and the nucleus chosen")
    database.execute(_STILL, {"name": RAW})
    return waiting, collected


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_stands_still_says_why_and_leads_to_its_task(archived, tab, scheme):
    waiting, _ = archived
    page = tab.open("queues/")
    if scheme == "dark":
        page.locator("#scheme-toggle").click()
    page.get_by_role("link", name="Staging from tape").click()
    expect(page.locator("h1")).to_have_text("1 dataset from tape, 1 stuck")
    row = page.locator("#staging-list tbody tr", has_text=RAW)
    for words in (
        "staging",
        "stuck",
        "the robot of ARCHIVE stands still",
        "from ARCHIVE",
        "0 of 3 files",
        str(waiting),
    ):
        expect(row).to_contain_text(words)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        page.screenshot(path=PICTURES / f"staging-{width}-{scheme}.png")
        comes_to(page, "document.documentElement.scrollWidth <= window.innerWidth", True)
    row.get_by_role("link", name=str(waiting)).click()
    expect(page.locator("h1")).to_contain_text("staging")
    expect(page.locator("#task-body .panel", has_text="Input from tape")).to_contain_text(RAW)


def test_a_task_says_where_its_outputs_are_collected_and_why(archived, tab):
    _, collected = archived
    page = tab.open(f"task/{collected}/")
    expect(page.locator("#task-body .facts")).to_contain_text("COLLECTING")
    expect(page.locator("#task-body .panel", has_text="Where its outputs are collected")).to_contain_text(
        "Outputs are collected at: COLLECTING"
    )


def test_storages_say_what_they_are_and_what_room_they_have(archived, story, new_tab):
    tab = new_tab(story.system.url)
    cookie = {"name": "panda_session", "value": story.system.token(), "url": story.system.url}
    tab.page.context.add_cookies([cookie])
    page = tab.open("queues/")
    storages = page.locator(".panel", has=page.get_by_role("heading", name="Storages"))
    expect(storages.locator("tr", has_text="ARCHIVE")).to_contain_text("tape")
    expect(storages.locator("tr", has_text="COLLECTING")).to_contain_text("nucleus")
    expect(storages.locator("tr", has_text="COLLECTING")).to_contain_text("400 GB")
    assert tab.complaints == []


def test_when_nothing_comes_from_tape_the_page_says_what_it_is_for(archived, tab):
    page = tab.open("staging/?status=retired")
    expect(page.locator("#staging-list")).to_contain_text("Nothing comes from tape.")
