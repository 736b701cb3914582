"""Names, messages and logs come from strangers. They are shown as they are and do nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import HOSTILE

pytestmark = pytest.mark.browser

SHOWN = HOSTILE.split("\x1b")[0]


def test_hostile_text_stays_text_on_every_page(story, tab):
    places = {
        "": ".incident-list",
        "incidents/": "#incidents-list",
        f"incident/{story.hostile_incident}/": "#incident-culprit",
        f"job/{story.hostile}/": "#job-failure",
        f"job/{story.hostile}/log/": "#log-view .is-culprit",
        "jobs/?prod_user_name=mallory": ".job-grid",
    }
    for address, place in places.items():
        page = tab.open(address)
        expect(page.locator(place)).to_contain_text(SHOWN)
        assert page.evaluate("window.hacked") is None
        assert page.locator("#page img, #page script, #page a[href^='javascript']").count() == 0


def test_a_log_cannot_paint_or_hide_lines(story, tab):
    page = tab.open(f"job/{story.hostile}/log/")
    expect(page.locator("#log-view .is-culprit")).to_contain_text("red")
    assert "\x1b" not in page.locator("#log-view").inner_text()


@pytest.mark.parametrize(
    "address",
    [
        "jobs/?q=%3Cscript%3Ewindow.hacked%3D1%3C/script%3E&job_status=%22%3E%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D1%3E",
        "jobs/?%3Cscript%3Ewindow.hacked=1&self=2&limit=x&cursor=y&facets=z",
        "incidents/?severity=%3Cb%3E&self=1",
        "job/1/log/?name=%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D1%3E&line=x",
    ],
)
def test_hostile_addresses_do_nothing(story, tab, address):
    page = tab.open(address)
    expect(page.locator("h1")).not_to_be_empty()
    assert page.evaluate("window.hacked") is None
    assert page.locator("#page img, #page script").count() == 0
