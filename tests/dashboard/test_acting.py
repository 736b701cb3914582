"""Acting on an incident: who is nobody is told how to sign in; an operator acknowledges with a note."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Story, monitor_system
from tests.support import builders
from tests.support.system import eventually

pytestmark = pytest.mark.browser


@pytest.fixture
def incident(database_url, tmp_path):
    with monitor_system(database_url, tmp_path) as system:
        failed = builders.start(system.database, 1, queue="LOCAL")
        story = Story(system, failed, 0, [])
        story.fail(failed[0])
        api = system.client()
        eventually(lambda: api.get("/api/monitor/incidents").json()["incidents"], what="the incident is there")
        yield story


def _sign_in(page, token: str) -> None:
    page.locator("#signin-open").click()
    page.locator("#signin-token").fill(token)
    page.locator("#signin-go").click()


def test_nobody_is_told_how_to_sign_in(incident, new_tab):
    page = new_tab(incident.system.url).open(f"incident/{incident.incident}/")
    expect(page.locator("#incident-choices")).to_contain_text("sign in")
    expect(page.locator("#incident-choices")).to_contain_text("panda token create")
    expect(page.locator("#incident-choices button")).to_have_count(0)


def test_an_operator_acknowledges_with_a_note_and_reopens(incident, new_tab):
    page = new_tab(incident.system.url).open(f"incident/{incident.incident}/")
    _sign_in(page, incident.system.token("olga", "operator"))
    expect(page.locator("#signin-open")).to_have_text("olga")
    page.locator("#incident-note").fill("asked the <b>site</b>")
    page.locator("#incident-choices button", has_text="Acknowledge").click()
    expect(page.locator("#incident-head")).to_contain_text("acknowledged")
    expect(page.locator("#incident-head")).to_contain_text("owner olga")
    expect(page.locator("#incident-activity")).to_contain_text("asked the <b>site</b>")
    page.locator("#incident-choices button", has_text="Resolve").click()
    expect(page.locator("#incident-head")).to_contain_text("resolved")
    page.locator("#incident-choices button", has_text="Reopen").click()
    expect(page.locator("#incident-head .mark", has_text="open")).to_be_visible()


def test_a_user_without_the_role_gets_no_buttons(incident, new_tab):
    page = new_tab(incident.system.url).open(f"incident/{incident.incident}/")
    _sign_in(page, incident.system.token("alice"))
    expect(page.locator("#signin-open")).to_have_text("alice")
    expect(page.locator("#incident-choices")).to_contain_text("operator")
    expect(page.locator("#incident-choices button")).to_have_count(0)


@pytest.mark.parametrize("text", ["nonsense", "a.b.c", "\u00fc.\u00fc.\u00fc"])
def test_a_bad_token_is_refused_in_words(incident, new_tab, text):
    page = new_tab(incident.system.url).open()
    _sign_in(page, text)
    expect(page.locator("#signin-problem")).not_to_be_empty()
    expect(page.locator("#signin-open")).to_have_text("Sign in")


def test_the_token_is_out_of_reach_of_scripts_and_sign_out_forgets_it(incident, new_tab):
    page = new_tab(incident.system.url).open()
    _sign_in(page, incident.system.token("olga", "operator"))
    expect(page.locator("#signin-open")).to_have_text("olga")
    assert "panda_session" not in page.evaluate("document.cookie")
    (cookie,) = [cookie for cookie in page.context.cookies() if cookie["name"] == "panda_session"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    page.locator("#signin-open").click()
    page.locator("#signin-out").click()
    expect(page.locator("#signin-open")).to_have_text("Sign in")
    assert [cookie for cookie in page.context.cookies() if cookie["name"] == "panda_session"] == []


def test_nothing_can_be_changed_while_the_server_is_away(database_url, tmp_path, new_tab):
    with monitor_system(database_url, tmp_path) as system:
        story = Story(system, builders.start(system.database, 1, queue="LOCAL"), 0, [])
        story.fail(story.failed[0])
        api = system.client()
        eventually(lambda: api.get("/api/monitor/incidents").json()["incidents"], what="the incident is there")
        page = new_tab(system.url).open(f"incident/{story.incident}/")
        _sign_in(page, system.token("olga", "operator"))
        expect(page.locator("#incident-choices button").first).to_be_visible()
        expect(page.locator("#incident-choices")).not_to_have_attribute("inert", "")
    expect(page.locator("#live-badge")).to_contain_text("DISCONNECTED")
    expect(page.locator("#incident-choices")).to_have_attribute("inert", "")
    expect(page.locator("#incident-culprit")).to_contain_text("ValueError")


def test_a_closed_monitor_asks_to_sign_in_and_then_opens(database_url, tmp_path, new_tab):
    with monitor_system(database_url, tmp_path, monitor_access="token") as system:
        page = new_tab(system.url).open("jobs/")
        expect(page.locator(".problem")).to_contain_text("Sign in")
        _sign_in(page, system.token("alice"))
        expect(page.locator("h1")).to_have_text("0 jobs")
        expect(page.locator("#live-badge")).to_have_text("LIVE")
