"""The pages around incidents in a real browser: a form that narrows the audit, and words where ids and JSON were."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Story, Tab
from tests.dashboard.incidents import HARMLESS_HOSTILE, post
from tests.logger.deeds.builders import make_incident

pytestmark = pytest.mark.browser

WORKED_ON = "wn042 is taken out"


@pytest.fixture(scope="module")
def worked(story: Story) -> int:
    """An incident that olga took, and said hostile words of; a silence and a rule that she changed; a route that fails."""
    olga = story.system.client("olga", "operator")
    number = make_incident(
        story.system.database, title="queue is silent", kind="absence", severity="warning", job_count=0
    )
    post(olga, f"incident/{number}/acknowledge", comment=WORKED_ON)
    post(olga, f"incident/{number}/comment", comment=HARMLESS_HOSTILE)
    post(olga, "silences", until_kind="time", until="2h", matcher={"computing_site": "T3_*"}, reason="moved")
    rule = olga.get("/api/monitor/incident-rules", params={"name": "silent_queue"}).json()["rules"][0]
    changed = {"parameters": {**rule["parameters"], "limit_s": 900}, "version": rule["version"]}
    assert olga.put(f"/api/control/incident-rule/{rule['rule_id']}", json=changed).status_code == 200
    post(olga, "shift/start", people=["olga"])
    return number


def rows(page: Page):
    return page.locator("#audit-list tbody tr")


def field(page: Page, label: str):
    return page.locator(".narrow-form").get_by_label(label, exact=True).first


def test_the_audit_says_who_did_what_and_what_is_different(worked, tab: Tab):
    page = tab.open("audit/")
    row = rows(page).filter(has_text=WORKED_ON)
    expect(row).to_contain_text(f"olga acknowledged incident {worked}")
    expect(row.locator(".changes > div").filter(has_text="state")).to_have_text("state open → acknowledged")
    expect(row.locator("details dl")).to_be_hidden()
    row.locator("summary").click()
    expect(row.locator("details dl")).to_contain_text("acknowledged time")
    changed = rows(page).filter(has_text="changed alarm rule silent_queue")
    expect(changed.locator(".changes > div").first).to_have_text("limit 10 min → 15 min")
    shown = page.locator("#audit-list").inner_text()
    assert not re.search(r"\d\dT\d\d:\d\d|\.\d{6}|[{}]|\+00:00|_s\b", shown), shown
    expect(page.locator("#audit-list")).to_contain_text(HARMLESS_HOSTILE[:40])
    assert page.evaluate("window.hacked") is None


def test_the_form_narrows_the_audit_through_its_address(worked, tab: Tab):
    page = tab.open("audit/")
    expect(rows(page).first).to_be_visible()
    field(page, "Action").fill("acknowledge")
    field(page, "Who").fill("ol*")
    field(page, "Who").press("Enter")
    page.wait_for_url(lambda url: "who=ol*" in url and "action=acknowledge" in url)
    expect(page.locator("#audit-chips")).to_contain_text("acknowledge")
    expect(rows(page)).to_have_count(1)
    field(page, "Kind of object").click()
    page.get_by_role("option", name="alarm rule").click()
    page.locator(".narrow-form").get_by_role("button", name="Show").click()
    page.wait_for_url(lambda url: "object_kind=rule" in url)
    expect(page.locator("#audit-list")).to_contain_text("Nothing that passes these filters was done.")
    page.go_back()
    expect(rows(page)).to_have_count(1)
    expect(field(page, "Kind of object")).to_have_value("")
    expect(field(page, "Who")).to_have_value("ol*")


def test_the_form_says_what_the_address_asks_for(worked, tab: Tab):
    page = tab.open("audit/?object_kind=silence&hours=24&is_automatic=false")
    expect(field(page, "Kind of object")).to_have_value("silence")
    expect(field(page, "When")).to_have_value("24 hours")
    expect(field(page, "Done by")).to_have_value("people")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("all with computing site T3_*")


def test_a_time_that_is_none_is_refused_and_the_form_stays_to_mend_it(worked, tab: Tab):
    page = tab.open("audit/")
    expect(rows(page).first).to_be_visible()
    field(page, "From (UTC)").fill("yesterday-ish")
    field(page, "From (UTC)").press("Enter")
    expect(page.locator("#audit-problem")).to_contain_text("date_from")
    expect(field(page, "From (UTC)")).to_have_value("yesterday-ish")
    field(page, "From (UTC)").fill("")
    field(page, "From (UTC)").press("Enter")
    expect(rows(page).first).to_be_visible()


def test_what_is_being_written_stays_when_somebody_does_something(worked, story, tab: Tab):
    page = tab.open("audit/")
    expect(rows(page).first).to_be_visible()
    field(page, "Object").fill("half a na")
    post(story.system.client("olga", "operator"), f"incident/{worked}/comment", comment="something happens")
    expect(rows(page).filter(has_text="something happens")).to_have_count(1)
    expect(field(page, "Object")).to_have_value("half a na")


def test_rules_and_what_they_look_at_have_names_and_units(worked, tab: Tab):
    page = tab.open("alarms/?name=silent_queue")
    row = page.locator("#alarms-list tbody tr")
    expect(row).to_contain_text("silent queue")
    expect(row.locator(".parameters > div").first).to_have_text("longer than 15 min")
    row.locator("summary").click()
    expect(row.locator(".meanings")).to_contain_text("What is longer than this is an incident.")
    expect(page.locator("#alarms-one tbody tr").first).to_contain_text("olga")
    page.locator("#alarms-one summary").first.click()
    expect(page.locator("#alarms-one details").first).to_contain_text("15 min")
    assert '"parameters"' not in page.locator("#alarms-one").inner_text()
    page = tab.open("alarms/")
    expect(page.locator("#alarms-one")).to_contain_text("queues without pilots")


def test_an_incident_without_jobs_is_no_loss_of_a_line(worked, tab: Tab):
    page = tab.open("incidents/?kind=absence")
    entry = page.locator("#incidents-list li")
    expect(entry).to_contain_text("absence: something that should come does not")
    expect(entry).to_contain_text("no jobs in it")
    expect(page.locator("#incidents-list")).not_to_contain_text("kept")


def test_an_incident_of_a_handover_is_one_click_away(worked, tab: Tab):
    page = tab.open("shift/")
    page.locator("#shifts-text").get_by_role("link", name=f"incident {worked}", exact=True).first.click()
    page.wait_for_url(f"**/incident/{worked}/")
