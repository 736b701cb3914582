"""The monitor follows the system by push, without moving what people look at, and says how old its knowledge is."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Story, monitor_system
from tests.support import builders
from tests.support.system import eventually, free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def fresh(database_url, tmp_path):
    with monitor_system(database_url, tmp_path) as system:
        yield Story(system, [], 0, builders.start(system.database, 3, queue="LOCAL"))


def _mark(page) -> None:
    page.evaluate("window.not_reloaded = true")


def _was_not_reloaded(page) -> bool:
    return page.evaluate("window.not_reloaded") is True


def test_the_badge_says_live(fresh, new_tab):
    page = new_tab(fresh.system.url).open()
    expect(page.locator("#live-badge")).to_have_text("LIVE")


_TAB_AFTER_TAB = """
() => new Promise((resolve) => {
  const badge = document.getElementById("live-badge");
  const url = new URL(badge.dataset.stream, location.href).href;
  const open = (hear) => {
    const { port } = new SharedWorker(badge.dataset.worker, { name: "pandascope-live" });
    port.onmessage = ({ data }) => hear(data);
    port.start();
    port.postMessage({ url });
  };
  let first = 0;
  open((said) => {
    if (first || !["heartbeat", "change"].includes(said.kind) || said.at < begun) return;
    first = said.at;
    const heard = [];
    open((one) => { if (heard.push(one) === 2) resolve([first, ...heard]); });
  });
  const begun = Date.now();
})
"""


def test_a_tab_that_is_opened_later_knows_how_fresh_the_stream_is(fresh, new_tab):
    """It was told when the stream began, and called the server away until the next heartbeat."""
    page = new_tab(fresh.system.url).open()
    expect(page.locator("#live-badge")).to_have_text("LIVE")
    heard_at, state, beat = page.evaluate(_TAB_AFTER_TAB)
    assert state["kind"] == "open" and state["at"] >= heard_at
    assert beat["kind"] == "heartbeat" and beat["data"]["time"]


def test_now_follows_without_a_reload(fresh, new_tab):
    page = new_tab(fresh.system.url).open()
    expect(page.locator("h1")).to_have_text("Nothing needs attention")
    expect(page.locator("#now-ribbon")).to_contain_text("running3")
    _mark(page)
    fresh.fail(fresh.running[0])
    expect(page.locator("#now-ribbon")).to_contain_text("failed1")
    expect(page.locator("h1")).to_have_text("1 open incident")
    assert _was_not_reloaded(page)


def test_a_job_follows_its_states(fresh, new_tab):
    page = new_tab(fresh.system.url).open(f"job/{fresh.running[0]}/")
    expect(page.locator("h1 .mark")).to_have_text("running")
    _mark(page)
    fresh.finish(fresh.running[0])
    expect(page.locator("h1 .mark")).to_have_text("finished")
    expect(page.locator(".steps")).to_contain_text("holding")
    assert _was_not_reloaded(page)


def test_rows_change_in_place_and_new_ones_wait_behind_a_badge(fresh, new_tab):
    page = new_tab(fresh.system.url).open("jobs/")
    rows = page.locator(".job-grid .ag-center-cols-container .ag-row")
    expect(rows).to_have_count(3)
    expect(page.locator("#live-badge")).to_have_text("LIVE")
    expect(page.locator("#jobs-facets")).to_contain_text("running")
    first = page.locator(f'.job-grid [row-id="{fresh.running[-1]}"]')
    place = first.bounding_box()
    fresh.finish(fresh.running[-1])
    fresh.start(2)
    expect(page.locator("#jobs-new")).to_have_text("2 new, show")
    expect(first).to_contain_text("finished")
    assert (first.bounding_box()["y"], rows.count()) == (place["y"], 3)
    expect(page.locator("h1")).to_have_text("5 jobs")
    page.keyboard.press("u")
    expect(rows).to_have_count(5)
    expect(page.locator("#jobs-new")).to_be_hidden()


def test_new_incidents_wait_behind_a_badge(fresh, new_tab):
    fresh.fail(fresh.running[0])
    api = fresh.system.client()
    eventually(lambda: api.get("/api/monitor/incidents").json()["incidents"], what="the incident is there")
    page = new_tab(fresh.system.url).open("incidents/")
    expect(page.locator(".incident-entry")).to_have_count(1)
    fresh.fail(fresh.running[1], "MemoryError: none left", pilot_error_code=1212)
    badge = page.locator("#incidents-new")
    expect(badge).to_have_text("1 new, show")
    expect(page.locator(".incident-entry")).to_have_count(1)
    badge.click()
    expect(page.locator(".incident-entry")).to_have_count(2)
    expect(badge).to_be_hidden()


def test_tabs_share_one_stream(fresh, new_tab):
    first = new_tab(fresh.system.url)
    first.open()
    second = new_tab(fresh.system.url, beside=first)
    second.open("jobs/")
    for tab in (first, second):
        expect(tab.page.locator("#live-badge")).to_have_text("LIVE")
    workers = [worker for worker in first.page.context.pages if "live_worker" in worker.url]
    assert workers == []  # shared workers are no pages, and no page holds a stream of its own
    for tab in (first, second):
        held = tab.page.evaluate(
            "performance.getEntriesByType('resource').filter(e => e.name.includes('/stream')).length"
        )
        assert held == 0
    fresh.fail(fresh.running[0])
    expect(first.page.locator("#now-ribbon")).to_contain_text("failed1")
    expect(second.page.locator("#jobs-facets")).to_contain_text("failed")


def test_ages_tick(fresh, new_tab):
    page = new_tab(fresh.system.url).open(f"job/{fresh.running[0]}/")
    age = page.locator(".freshness .age")
    shown = "[0, 2.9, 3, 61].map(pandascope.words_of_age)"
    assert page.evaluate(shown) == ["just now", "just now", "3 s ago", "1 min ago"]
    expect(age).to_have_text(re.compile(r"^(just now|\d+ s ago)$"))  # a page that is slow to come was there a while ago
    expect(age).to_contain_text("s ago")
    expect(age).not_to_have_text(age.inner_text())


def test_a_server_that_goes_away_leaves_the_last_snapshot_and_its_return_is_noticed(database_url, tmp_path, new_tab):
    port = free_port()
    with monitor_system(database_url, tmp_path, listen_on=port) as system:
        story = Story(system, [], 0, builders.start(system.database, 2, queue="LOCAL"))
        page = new_tab(system.url).open()
        expect(page.locator("#now-ribbon")).to_contain_text("running2")
        expect(page.locator("#live-badge")).to_have_text("LIVE")
        _mark(page)
    expect(page.locator("#live-badge")).to_contain_text("DISCONNECTED")
    expect(page.locator("#live-badge")).to_contain_text("as of")
    expect(page.locator("#now-ribbon")).to_contain_text("running2")
    with monitor_system(database_url, tmp_path, listen_on=port) as system:
        story.system = system
        expect(page.locator("#live-badge")).to_have_text("LIVE")
        story.finish(story.running[0])
        expect(page.locator("#now-ribbon")).to_contain_text("finished1")
        assert _was_not_reloaded(page)


def test_who_goes_to_another_page_while_the_server_is_away_gets_it_when_it_is_back(database_url, tmp_path, new_tab):
    port = free_port()
    with monitor_system(database_url, tmp_path, listen_on=port) as system:
        page = new_tab(system.url).open("tasks/")
        expect(page.locator("#live-badge")).to_have_text("LIVE")
    expect(page.locator("#live-badge")).to_contain_text("DISCONNECTED")
    said = "getComputedStyle(document.getElementById('page'), '::before').content"
    assert "The server does not answer" in page.evaluate(said)
    page.get_by_role("link", name="Users", exact=True).click()
    page.wait_for_url("**/users/")
    expect(page.locator(".page-tasks")).to_be_visible()
    with monitor_system(database_url, tmp_path, listen_on=port):
        expect(page.locator(".page-users h1")).to_contain_text("account")
        expect(page.locator("#live-badge")).to_have_text("LIVE")
        assert page.evaluate(said) == "none"
