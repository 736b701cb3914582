"""Every page in both schemes and at the smallest and largest size: nothing sticks out. The pictures are kept to look at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Story, Tab, _tab_in, comes_to

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PICTURES = Path(__file__).parents[2] / "screenshots" / "monitor"
SIZES = ((1280, 800), (1920, 1080))

_STICKING_OUT = """() => [...document.querySelectorAll('#page *')].filter((element) => {
    const box = element.getBoundingClientRect();
    const scrolls = element.closest('.ag-root-wrapper, .table-frame, .records, .code, .log-lines, .plot');
    return box.width && !scrolls && (box.right > window.innerWidth + 1 || box.left < -1);
}).map((element) => element.className + ': ' + element.textContent.slice(0, 60))"""

_HEADER_OVERLAPS = """() => {
    const parts = [...document.querySelector('.header').children].map((part) => part.getBoundingClientRect());
    return parts.slice(1).some((box, index) => {
        const before = parts[index];
        return box.left < before.right - 1 && box.top < before.bottom && before.top < box.bottom;
    });
}"""


def _addresses(story: Story) -> list[str]:
    job = story.failed[0]
    pages = ["", "incidents/", f"incident/{story.incident}/", "jobs/", f"job/{job}/", f"job/{job}/log/"]
    return [*pages, "tasks/", "queues/", "rules/", "system/", "jobs/?job_status=failed&computing_site=NOWHERE"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out(story, chromium, size, scheme):
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    try:
        tab = _tab_in(context, story.system.url)
        for address in _addresses(story):
            _look(tab, address, f"{size[0]}-{scheme}")
        assert tab.complaints == []
    finally:
        context.close()


def _look(tab: Tab, address: str, suffix: str) -> None:
    page = tab.open(address)
    expect(page.locator(".mantine-Skeleton-root")).to_have_count(0)
    expect(page.locator("#live-badge")).to_have_text("LIVE")
    if address == "jobs/":
        expect(page.locator(".job-grid .ag-center-cols-container .mark").first).to_be_visible()
    for plot in page.locator(".plot:visible").all():
        expect(plot.locator(".bars").first).to_be_attached()
    PICTURES.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", address).strip("-") or "now"
    page.screenshot(path=PICTURES / f"{name}-{suffix}.png")
    comes_to(page, "document.documentElement.scrollWidth <= window.innerWidth", True, address)
    comes_to(page, _STICKING_OUT, [], address)
    comes_to(page, _HEADER_OVERLAPS, False, address)


_SQUEEZED = """() => [...document.querySelectorAll('#page *')].filter((element) => {
    const box = element.getBoundingClientRect(), text = element.childElementCount ? '' : element.textContent;
    return box.width && text.length > 12 && box.height > 6 * box.width;
}).map((element) => element.className + ': ' + element.textContent.slice(0, 60))"""


def test_a_telephone_shows_the_same_one_below_the_other(story, chromium):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="light")
    try:
        tab = _tab_in(context, story.system.url)
        for address in [*_addresses(story), "shares/", "users/"]:
            _look(tab, address, "390-light")
            comes_to(tab.page, _SQUEEZED, [], address)
        assert tab.complaints == []
    finally:
        context.close()


def test_the_scheme_can_be_changed_and_is_remembered(story, tab):
    page = tab.open()
    html = page.locator("html")
    expect(html).to_have_attribute("data-mantine-color-scheme", "light")
    page.keyboard.press("d")
    expect(html).to_have_attribute("data-mantine-color-scheme", "dark")
    tab.open("jobs/")
    expect(html).to_have_attribute("data-mantine-color-scheme", "dark")
    page.locator("#scheme-toggle").click()
    expect(html).to_have_attribute("data-mantine-color-scheme", "light")
