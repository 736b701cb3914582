"""From an alert to the failing line, in a real browser: counted clicks, addresses that mean something, way back."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from tests.dashboard.conftest import FAILING_LINE
from tests.support import builders
from tests.support.system import eventually

pytestmark = pytest.mark.browser

_FIRST_BAR = """() => [...document.querySelectorAll('#now-throughput .bars .point path')]
    .map((bar) => bar.getBoundingClientRect()).filter((box) => box.height > 3)
    .map((box) => [box.x + box.width / 2, box.y + box.height / 2])[0]"""


class Clicks:
    """Counts what a person would count."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    def on(self, selector: str, **options) -> None:
        self.page.locator(selector, **options).first.click()
        self.count += 1


def _sees_failing_line_in_log(page: Page) -> None:
    line = page.locator("#log-view .is-culprit .log-text")
    expect(line).to_have_text(FAILING_LINE)
    expect(line).to_be_in_viewport()


def test_from_now_the_incident_is_one_click_and_shows_the_failing_line(story, tab):
    page = tab.open()
    expect(page.locator("h1")).to_contain_text("open incident")
    clicks = Clicks(page)
    clicks.on(".incident-entry", has_text=FAILING_LINE)
    expect(page.locator(".culprit-lines .is-culprit")).to_contain_text(FAILING_LINE)
    expect(page.locator("h1")).to_contain_text(f"#{story.incident}")
    assert clicks.count == 1


def test_from_the_incident_the_failing_line_in_its_log_is_one_click(story, tab):
    page = tab.open(f"incident/{story.incident}/")
    clicks = Clicks(page)
    clicks.on("#open-in-log")
    _sees_failing_line_in_log(page)
    assert clicks.count == 1
    expect(page).to_have_url(re.compile(r"/job/\d+/log/\?name=payload\.stderr&line=304$"))


def test_from_the_incident_over_the_job_to_the_failing_line_are_two_clicks(story, tab):
    page = tab.open(f"incident/{story.incident}/")
    clicks = Clicks(page)
    clicks.on("#incident-jobs .jobs-table a", has_text=str(story.failed[-1]))
    expect(page.locator("h1")).to_contain_text(f"Job {story.failed[-1]}")
    expect(page.locator(".culprit-line")).to_have_text(FAILING_LINE)
    clicks.on("#open-in-log")
    _sees_failing_line_in_log(page)
    assert clicks.count == 2


def test_from_the_job_list_the_failing_line_is_one_click(story, tab):
    page = tab.open("jobs/?job_status=failed")
    page.locator(".job-grid .cell-line", has_text=FAILING_LINE).first.click()
    _sees_failing_line_in_log(page)


def test_the_incident_shows_its_numbers_and_where_it_happens(story, tab):
    page = tab.open(f"incident/{story.incident}/")
    expect(page.locator("#incident-verdict")).to_contain_text("5jobs")
    expect(page.locator("#incident-verdict")).to_contain_text("pilot:1305")
    expect(page.locator("#incident-breakdown")).to_contain_text("LOCAL")
    page.locator("#incident-breakdown a", has_text="LOCAL").click()
    expect(page.locator("h1")).to_have_text("5 jobs")
    expect(page).to_have_url(re.compile(f"incident={story.incident}&computing_site=LOCAL"))


def test_facets_narrow_widen_and_exclude_and_the_address_says_so(story, tab):
    page = tab.open("jobs/")
    expect(page.locator("h1")).to_have_text("10 jobs")
    failed = page.locator("#facet-job_status .facet-row", has_text="failed")
    failed.click()
    expect(page.locator("h1")).to_have_text("6 jobs")
    expect(page).to_have_url(f"{tab.base}/monitor/jobs/?job_status=failed")
    expect(page).to_have_title("Jobs: State failed · pandascope")
    expect(page.locator("#facet-prod_user_name")).to_contain_text("mallory")
    page.locator("#facet-prod_user_name .facet-row", has_text="mallory").click(modifiers=["Alt"])
    expect(page.locator("h1")).to_have_text("5 jobs")
    expect(page).to_have_title("Jobs: State failed, User not mallory · pandascope")
    expect(page.locator(".job-grid .ag-center-cols-container .ag-row")).to_have_count(5)
    failed.click()
    expect(page.locator("h1")).to_have_text("9 jobs")
    page.locator(".chip-off").click()
    expect(page.locator("h1")).to_have_text("10 jobs")
    expect(page).to_have_url(f"{tab.base}/monitor/jobs/")


def test_back_and_forward_restore_filters_and_pages(story, tab):
    page = tab.open("jobs/?job_status=failed")
    expect(page.locator("h1")).to_have_text("6 jobs")
    page.locator("#facet-prod_user_name .facet-row", has_text="mallory").click()
    expect(page.locator("h1")).to_have_text("1 job")
    page.locator(f'.job-grid [row-id="{story.hostile}"] a').first.click()
    expect(page.locator("h1")).to_contain_text(f"Job {story.hostile}")
    page.go_back()
    expect(page.locator("h1")).to_have_text("1 job")
    expect(page.locator(".job-grid .ag-center-cols-container .ag-row")).to_have_count(1)
    page.go_back()
    expect(page.locator("h1")).to_have_text("6 jobs")
    expect(page.locator(".job-grid .ag-center-cols-container .ag-row")).to_have_count(6)
    page.go_forward()
    expect(page.locator("h1")).to_have_text("1 job")


def test_an_empty_list_names_the_filter_to_drop(story, tab):
    page = tab.open("jobs/?job_status=failed&computing_site=NOWHERE")
    offer = page.locator(".empty a", has_text="Drop Queue NOWHERE")
    expect(offer).to_have_text("Drop Queue NOWHERE: 6 jobs")
    offer.click()
    expect(page.locator("h1")).to_have_text("6 jobs")


def test_what_the_server_ignores_is_said(story, tab):
    page = tab.open("jobs/?colour=red")
    expect(page.locator(".chip-warning")).to_have_text("ignored: colour")


def test_a_refused_filter_is_told_with_its_field(story, tab):
    page = tab.open("jobs/?hours=many")
    expect(page.locator(".problem")).to_contain_text("hours")


def test_a_job_that_does_not_exist_is_told_as_such(story, tab):
    page = tab.open("job/999999/")
    expect(page.locator(".problem")).to_contain_text("999999")


def test_a_line_has_an_address_of_its_own(story, tab):
    page = tab.open(f"job/{story.failed[0]}/log/?name=payload.stderr&line=17")
    line = page.locator("#log-view .is-current")
    expect(line).to_have_attribute("data-line", "17")
    expect(line).to_be_in_viewport()
    page.locator('#log-view [data-line="20"] .log-number').click()
    expect(page.locator("#log-view .is-current")).to_have_attribute("data-line", "20")
    expect(page).to_have_url(re.compile("line=20$"))
    page.go_back()
    expect(page.locator("#log-view .is-current")).to_have_attribute("data-line", "17")


def test_errors_in_a_log_are_stepped_through_by_key(story, tab):
    page = tab.open(f"job/{story.failed[0]}/log/")
    _sees_failing_line_in_log(page)
    page.keyboard.press("N")
    expect(page.locator("#log-view .is-current .log-text")).to_have_text("Traceback (most recent call last):")
    page.keyboard.press("n")
    expect(page.locator("#log-place")).to_have_text("error 2 of 2")
    page.locator("#log-names a", has_text="payload.stdout").click()
    expect(page.locator("#log-view")).to_contain_text("all quiet")


def test_the_keyboard_leads_everywhere(story, tab):
    page = tab.open()
    page.keyboard.press("4")
    expect(page.locator("h1")).to_contain_text("jobs")
    page.keyboard.press("2")
    expect(page.locator("h1")).to_contain_text("incident")
    page.keyboard.press("/")
    page.keyboard.type(str(story.failed[0]))
    page.keyboard.press("Enter")
    expect(page.locator("#search-hits a").first).to_contain_text("job")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(f"Job {story.failed[0]}")
    page.keyboard.press("l")
    _sees_failing_line_in_log(page)


def test_a_bar_of_the_plot_leads_to_its_jobs(story, tab):
    page = tab.open()
    expect(page.locator("#now-throughput .bars path").first).to_be_attached()
    bars = page.locator("#now-throughput .bars .point path")
    bars.first.wait_for(state="attached")
    eventually(lambda: _leads_to_jobs(page, bars), timeout_s=60, what="a click on a bar leads to its jobs")
    expect(page.locator("h1")).to_contain_text("job")


def _leads_to_jobs(page: Page, bars: Locator) -> bool:
    """Click on the first bar. Bars are drawn before they can be clicked, and drawn anew whenever something has ended."""
    box = page.evaluate(_FIRST_BAR)
    if box is not None:
        page.mouse.click(*box)
    with suppress(TimeoutError):
        page.wait_for_url(re.compile(r"date_from=.*job_status=|job_status=.*date_from="), timeout=3000)
        return True
    return False


def test_a_task_shows_its_files_and_how_it_came_to_be_where_it_is(story, tab):
    database = story.system.database
    task_id = builders.make_task(database, nJobs=3, site="LOCAL")
    run_command(database, "pause", task_id, Issuer("carol", is_production=True))
    page = tab.open(f"task/{task_id}/")
    expect(page.locator("h1")).to_contain_text("paused")
    expect(page.get_by_text("0 done, 0 failed of 3")).to_be_visible()
    history = page.locator(".steps li")
    expect(history.first).to_contain_text("submitted")
    expect(history.last).to_contain_text("paused by carol")


@pytest.mark.parametrize("address", ["", "jobs/", "incidents/", "tasks/", "queues/", "task/10000000/"])
def test_pages_open_without_complaint(story, tab, address):
    page = tab.open(address)
    expect(page.locator("h1")).not_to_be_empty()
    expect(page.locator(".mantine-Skeleton-root")).to_have_count(0)
