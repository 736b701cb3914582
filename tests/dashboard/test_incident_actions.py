"""The pages about incidents in a real browser: what they show, and what an operator does from them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Tab, _tab_in
from tests.dashboard.incidents import CULPRIT, HARMLESS_HOSTILE, Night, make_night
from tests.dashboard.test_acting import _sign_in
from tests.dashboard.test_pictures import _HEADER_OVERLAPS, _SQUEEZED, _STICKING_OUT, PICTURES

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def night(story) -> Night:
    return make_night(story)


@pytest.fixture(scope="module")
def operator(night, chromium):
    """A browser in which an operator is signed in."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    tab = _tab_in(context, night.story.system.url)
    page = tab.open("system/")
    _sign_in(page, night.story.system.token("olga", "operator"))
    expect(page.locator("#signin-open")).to_have_text("olga")
    tab.page.close()
    yield context
    context.close()


@pytest.fixture
def desk(night, operator):
    """A tab of the operator."""
    tab = _tab_in(operator, night.story.system.url)
    yield tab
    tab.page.close()
    assert tab.complaints == []


def _addresses(night: Night) -> list[str]:
    pages = [f"incident/{night.bad_node}/", "incidents/", "silences/?ended=1", "alarms/", "alarms/?name=failure_burst"]
    return [*pages, "shift/", f"shift/{night.shift}/", "notices/", "audit/"]


def _picture(tab: Tab, address: str, suffix: str, *, width: int) -> None:
    page = tab.page
    PICTURES.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", address).strip("-")
    page.screenshot(path=PICTURES / f"{name}-{suffix}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), address
    assert page.evaluate(_STICKING_OUT) == [], address
    assert page.evaluate("window.hacked") is None
    assert page.locator("#page img, #page script, #page a[href^='javascript']").count() == 0
    if width < 1000:
        assert page.evaluate(_SQUEEZED) == [], address
    else:
        assert not page.evaluate(_HEADER_OVERLAPS), address


def _seen(tab: Tab, address: str) -> Page:
    page = tab.open(address)
    expect(page.locator(".mantine-Skeleton-root")).to_have_count(0)
    expect(page.locator("#page .problem:not(.stale)")).to_have_count(0)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_at_the_desk_and_on_a_telephone(night, desk, scheme):
    for address in _addresses(night):
        page = _seen(desk, address)
        page.emulate_media(color_scheme=scheme)
        page.evaluate("(s) => document.documentElement.setAttribute('data-mantine-color-scheme', s)", scheme)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            _picture(desk, address, f"{width}-{scheme}-olga", width=width)
        page.set_viewport_size({"width": 1280, "height": 900})
