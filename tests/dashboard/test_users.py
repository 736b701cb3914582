"""Users and groups in a real browser: the list, one of them with its use by day, and who set a queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from core.accounts.limits import Account, set_limits
from core.queues import set_queue
from tests.core.accounts.test_priorities import use
from tests.dashboard.conftest import comes_to
from tests.dashboard.test_pictures import PICTURES
from tests.support import builders

pytestmark = pytest.mark.browser
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def busy(story):
    """Somebody with limits and history, and somebody banned."""
    database = story.system.database
    for age, hours in ((0, 12), (1, 30), (3, 8), (10, 44)):
        use(database, NOW - timedelta(days=age), hours=hours)
    use(database, NOW, hours=3, user="bob", group="higgs")
    database.execute(
        "UPDATE usage_days SET wall_core_s = 1.2 * cpu_s, failed_wall_core_s = 0.2 * cpu_s, jobs_finished = 7"
    )
    set_limits(database, Account("user", "alice"), {"cpu_hours_7d": 40, "quota_mode": "lower"}, who="olga", now=NOW)
    ban = {"banned_until": NOW + timedelta(days=2), "reason": "mines coins"}
    set_limits(database, Account("user", "mallory"), ban, who="olga", now=NOW)
    builders.make_queue(database, "SET")
    set_queue(database, "SET", {"status": "offline"}, who="olga", reason="disk broken")
    return story


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_from_the_list_to_one_account_is_one_click(busy, tab, scheme):
    page = tab.open("users/")
    if scheme == "dark":
        page.locator("#scheme-toggle").click()
    expect(page.locator("#users-body tr", has_text="mallory").locator(".chip-warning")).to_contain_text("banned until")
    expect(page.locator("#users-body tr", has_text="higgs")).to_contain_text("(group)")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.screenshot(path=PICTURES / f"users-1280-{scheme}.png")
    page.locator("#users-body a", has_text="alice").first.click()
    expect(page.locator("h1")).to_contain_text("User alice")
    expect(page.locator("#users-plot .bars path, #users-plot .bars rect").first).to_be_attached()
    expect(page.locator("#users-body")).to_contain_text("50.0 of 40 CPU hours in 7 days; used up until")
    expect(page.locator("#users-body")).to_contain_text("olga")
    page.screenshot(path=PICTURES / f"user-1280-{scheme}.png", full_page=True)
    comes_to(page, "document.documentElement.scrollWidth <= window.innerWidth", True)
    page.locator("#users-chips a").click()
    expect(page.locator("h1")).to_contain_text("account")
    expect(page.locator("#users-days")).to_be_hidden()


def test_a_group_is_not_the_user_of_that_name(busy, tab):
    page = tab.open("users/?name=higgs&kind=group")
    expect(page.locator("h1")).to_contain_text("Group higgs")
    page = tab.open("users/?name=nobody")
    expect(page.locator(".problem")).to_contain_text("nothing is known of user nobody")
    expect(page.locator("#users-days")).to_be_hidden()


def test_the_queues_page_says_who_set_a_queue_and_why(busy, tab):
    page = tab.open("queues/")
    row = page.locator("#queues-list tbody tr", has_text="SET")
    expect(row).to_contain_text("olga, ")
    expect(row).to_contain_text("disk broken")
    page.screenshot(path=PICTURES / "queues-set-by.png")
