"""The rules in a real browser: what each did, whose fault failures were, and an operator's buttons."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.core.retrial.failing import add_class, add_rule, fail, judge, make_task, no_rules
from tests.dashboard.conftest import HOSTILE, comes_to
from tests.dashboard.test_acting import _sign_in
from tests.dashboard.test_pictures import _HEADER_OVERLAPS, PICTURES
from tests.support.system import eventually

pytestmark = pytest.mark.browser
_FITS = "document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture(scope="module")
def ruled(story):
    """Rules in every state; one has acted on a job, one is only watching."""
    database = story.system.database
    no_rules(database)
    add_class(database, 1364, "system")
    numbers = {
        "acts": add_rule(database, "limit_retry", 1364, parameters='{"maxAttempt": 2}', description="bad nodes"),
        "watches": add_rule(database, "no_retry", 1305, is_active=False, description=HOSTILE.replace("\x1b", "")),
        "off": add_rule(database, "no_retry", 1212, error_diag="(", disabled_reason="invalid regular expression"),
        "over": add_rule(database, "no_retry", 1099, expiration_time=datetime.now(UTC) - timedelta(days=1)),
    }
    for code in (1364, 1305):
        judge(database, fail(database, make_task(database, files=1), code=code, core_count=8))
    return story, numbers


def _row(page, number: int):
    cell = page.locator("td:first-child", has_text=re.compile(rf"^{number}$"))
    return page.locator("#rules-list tbody tr").filter(has=cell)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_says_what_rules_are_and_did(ruled, tab, scheme):
    _, numbers = ruled
    page = tab.open("rules/")
    if scheme == "dark":
        page.locator("#scheme-toggle").click()
    expect(page.locator("h1")).to_have_text("4 rules, 1 active")
    expect(_row(page, numbers["acts"])).to_contain_text("limit retry (maxAttempt 2)")
    for name, words in {"watches": "passive", "off": "invalid regular expression", "over": "expired"}.items():
        expect(_row(page, numbers[name])).to_contain_text(words)
    expect(page.locator("#rules-deeds")).to_contain_text("at most 2 attempts")
    expect(page.locator("#rules-faults tr", has_text="system").first).to_be_visible()
    expect(page.locator("#rules-list")).to_contain_text("panda token create")
    expect(page.locator("#rules-list button")).to_have_count(0)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=PICTURES / f"rules-{width}-{scheme}.png", full_page=True)
        comes_to(page, _FITS, True, width)
        if width >= 1280:
            comes_to(page, _HEADER_OVERLAPS, False)
    assert page.evaluate("window.hacked") is None
    if scheme == "dark":
        page.locator("#scheme-toggle").click()


def test_an_operator_tries_a_rule_and_lets_it_act(ruled, new_tab):
    story, numbers = ruled
    page = new_tab(story.system.url).open("rules/")
    _sign_in(page, story.system.token("olga", "operator"))
    expect(page.locator("#signin-open")).to_have_text("olga")
    watching = _row(page, numbers["watches"])
    watching.locator("button", has_text="Try").click()
    expect(page.locator("#rules-outcome")).to_contain_text("It would have matched")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.screenshot(path=PICTURES / "rules-tried-1280.png", full_page=True)
    frame = page.locator("#rules-list .table-frame")
    sight = "(frame) => frame.scrollWidth <= frame.clientWidth"
    eventually(lambda: frame.evaluate(sight), what="the buttons are in sight")
    watching.locator("button", has_text="Activate").click()
    expect(page.locator("#rules-outcome")).to_contain_text(f"Rule {numbers['watches']} is active")
    expect(page.locator("h1")).to_have_text("4 rules, 2 active")
    watching.locator("button", has_text="Make passive").click()
    expect(page.locator("h1")).to_have_text("4 rules, 1 active")
    expect(_row(page, numbers["off"])).to_contain_text(f"panda rules change {numbers['off']}")
    expect(page.locator("#rules-list")).to_contain_text("panda rules change N ...")


def test_without_rules_the_page_says_what_would_be_there(ruled, tab):
    database = ruled[0].system.database
    no_rules(database)
    database.execute("DELETE FROM retry_log")
    page = tab.open("rules/")
    expect(page.locator("#rules-list")).to_contain_text("There is no rule")
    expect(page.locator("#rules-deeds")).to_contain_text("Nothing yet")
