"""Deeds on queues, jobs, tasks and the work of an incident in a real browser: previewed, confirmed, taken back, refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.conftest import Story, Tab, _tab_in
from tests.dashboard.test_acting import _sign_in
from tests.dashboard.test_incident_actions import _answer, _go, _picture, _press, _seen
from tests.logger.builders import end_jobs
from tests.support import builders
from tests.support.system import eventually

pytestmark = pytest.mark.browser

QUEUES = ("YARD", "DOCK", "GATE")
SPLIT_DIAG = "Failed to stage-out: the door of the storage is shut"


@dataclass
class Yard:
    """Queues to drain, jobs of two people, a task of bob's that lost two of three jobs, a trouble at two queues."""

    story: Story
    olga: httpx.Client
    of_alice: list[int]
    of_bob: list[int]
    task: int
    incident: int
    at_two: int

    def get(self, path: str, **query: Any) -> Any:
        """What the API says."""
        answer = self.olga.get(f"/api/monitor/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def queue(self, name: str) -> dict[str, Any]:
        """One queue."""
        [found] = self.get("queues", queue_name=name)["queues"]
        return dict(found)

    def job_status(self, panda_id: int) -> str:
        """The state of a job."""
        return str(self.get(f"job/{panda_id}")["job"]["job_status"])

    def told(self, panda_id: int) -> str:
        """What its pilot is told with the next heartbeat."""
        return str(self.get(f"job/{panda_id}")["job"].get("command_to_pilot") or "")


def _lost_task(story: Story) -> tuple[int, int]:
    """A task of three jobs of which two failed for good and one waits, and the incident of these."""
    database = story.system.database
    task = builders.make_task(database, user="bob", site="MILL", nJobs=3, maxAttempt=1)
    taken: dict[int, Any] = {}

    def two_run() -> bool:
        found = builders.acquire(database, "MILL", job_count=2 - len(taken))
        taken.update({entry.job["panda_id"]: entry for entry in found})
        return len(taken) == 2

    eventually(two_run, what="two jobs of the task run")
    for panda_id in taken:
        builders.report(database, panda_id, "running")
        story.fail(panda_id)
    api = story.system.client()

    def covers_both() -> int | None:
        for row in api.get("/api/monitor/incidents", params={"jedi_task_id": task}).json()["incidents"]:
            if row["job_count"] >= 2:
                return int(row["incident_id"])
        return None

    return task, eventually(covers_both, what="the incident covers both jobs") or 0


def _trouble_at_two_queues(story: Story) -> int:
    """One trouble at two queues, which somebody may want to keep apart."""
    for site, count in (("YARD", 6), ("GATE", 4)):
        end_jobs(story.system.database, count, code=1137, diag=SPLIT_DIAG, site=site, task=10_000_777)
    api = story.system.client()

    def is_counted() -> int | None:
        for row in api.get("/api/monitor/incidents", params={"code": 1137}).json()["incidents"]:
            if row["job_count"] == 10:
                return int(row["incident_id"])
        return None

    return eventually(is_counted, what="the trouble at two queues is there") or 0


@pytest.fixture(scope="module")
def yard(story: Story) -> Yard:
    database = story.system.database
    for name in (*QUEUES, "MILL"):
        builders.make_queue(database, name)
    of_alice = builders.start(database, 3, queue="DOCK", user="alice")
    of_bob = builders.start(database, 1, queue="DOCK", user="bob")
    task, incident = _lost_task(story)
    olga = story.system.client("olga", "operator")
    return Yard(story, olga, of_alice, of_bob, task, incident, _trouble_at_two_queues(story))


@pytest.fixture(scope="module")
def tab_of(yard: Yard, chromium: Browser) -> Iterator[Callable[..., Tab]]:
    """A tab in which somebody is signed in; one for each person."""
    tabs: dict[str, Tab] = {}

    def made(user: str, *roles: str) -> Tab:
        if user not in tabs:
            context = chromium.new_context(viewport={"width": 1280, "height": 900})
            tabs[user] = _tab_in(context, yard.story.system.url)
            page = tabs[user].open("queues/")
            _sign_in(page, yard.story.system.token(user, *roles))
            expect(page.locator("#signin-open")).to_have_text(user)
        return tabs[user]

    yield made
    for one in tabs.values():
        one.page.context.close()


@pytest.fixture
def desk(tab_of: Callable[..., Tab]) -> Iterator[Tab]:
    """The tab of an operator."""
    one = tab_of("olga", "operator")
    yield one
    assert one.complaints == []


def _in_row(page: Page, queue: str, words: str) -> None:
    row = page.locator("#queues-list tbody tr", has=page.get_by_role("link", name=queue, exact=True))
    row.get_by_role("button", name=words, exact=True).click()


def _state(page: Page, queue: str) -> Any:
    row = page.locator("#queues-list tbody tr", has=page.get_by_role("link", name=queue, exact=True))
    return row.locator(".mark")


def _forge(page: Page, work: str, to: object) -> None:
    """As if there were a button: what a page that was loaded with another token still has."""
    page.evaluate(
        "([work, to]) => window.dash_clientside.set_props('work', {data: {do: work, to, note: ''}})", [work, to]
    )


def test_who_is_nobody_reads_who_may_and_has_no_button(yard: Yard, tab: Tab) -> None:
    page = _seen(tab, "queues/?computing_site=YARD")
    expect(page.locator("#queues-head h1")).to_have_text("Queue YARD")
    expect(page.locator("#queues-list")).to_contain_text("sign in")
    expect(page.locator("#queues-one")).to_contain_text("Its status")
    assert page.locator("#page [data-do]").count() == 0
    page = _seen(tab, f"job/{yard.of_alice[0]}/")
    expect(page.locator("#job-head")).to_contain_text("Kill: alice or an operator")
    assert page.locator("#page [data-do]").count() == 0
    page = _seen(tab, f"task/{yard.task}/")
    expect(page.locator("#task-head")).to_contain_text("bob or an operator")
    assert page.locator("#page [data-do]").count() == 0


def test_a_queue_is_drained_and_given_back_from_its_page(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, "queues/")
    _in_row(page, "YARD", "Drain")
    expect(page.locator("#dialogue-go")).to_have_text("Drain 1 queue")
    expect(page.locator("#dialogue-preview")).to_contain_text("Undo puts back")
    _answer(page, "Why", "cooling <b>off</b>")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Drain: 1 done")
    expect(_state(page, "YARD")).to_have_text("brokeroff")
    [deed] = yard.get("deeds", target="YARD")["deeds"]
    assert (deed["via"], deed["who"], deed["reason"]) == ("web", "olga", "cooling <b>off</b>")
    assert deed["revert_time"] is not None
    _state(page, "YARD").click()
    expect(page.locator("#queues-one")).to_contain_text("cooling <b>off</b>")
    _press(page, "Undo", "#queues-one")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("is taken back")
    expect(page.locator("#queues-one")).to_contain_text("taken back by olga")
    expect(_state(page, "YARD")).to_have_text("online")
    assert yard.queue("YARD")["status_set_by"] == "", "as it was: nobody insists"


def test_each_status_is_set_previewed_and_released(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, "queues/?computing_site=GATE")
    for words, go, status in (
        ("Test", "Only test jobs to 1 queue", "test"),
        ("Offline", "Take offline 1 queue", "offline"),
        ("Online", "Put online 1 queue", "online"),
        ("Drain", "Drain 1 queue", "brokeroff"),
        ("Un-drain", "Give work again to 1 queue", "online"),
    ):
        _in_row(page, "GATE", words)
        expect(page.locator("#dialogue-go")).to_have_text(go)
        _go(page)
        expect(page.locator("#outcome")).to_contain_text("1 done")
        expect(_state(page, "GATE")).to_have_text(status)
    assert yard.queue("GATE")["status_set_by"] == "person"
    _in_row(page, "GATE", "Release")
    _answer(page, "Why", "all is well")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("test jobs decide")
    row = page.locator("#queues-list tbody tr")
    expect(row.get_by_role("button", name="Release")).to_have_count(0)
    assert (yard.queue("GATE")["status"], yard.queue("GATE")["status_set_by"]) == ("online", "")
    expect(page.locator("#queues-one")).to_contain_text("all is well")


def test_an_end_that_makes_no_sense_is_refused_before_anything_is_done(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, "queues/?computing_site=YARD")
    _in_row(page, "YARD", "Offline")
    expect(page.locator("#dialogue-go")).to_be_enabled()
    _answer(page, "Or at another end", "tests:5")
    expect(page.locator("#dialogue-preview .problem")).to_contain_text("gets no test jobs")
    expect(page.locator("#dialogue-go")).to_be_disabled()
    _answer(page, "Or at another end", "yesterday-ish")
    expect(page.locator("#dialogue-preview .problem")).to_contain_text("is no time")
    _press(page, "Cancel", ".dialogue")
    assert yard.queue("YARD")["status"] == "online"


def test_a_set_that_changed_since_the_preview_is_shown_anew(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, "queues/")
    _in_row(page, "YARD", "Drain")
    expect(page.locator("#dialogue-preview")).to_contain_text("Undo puts back")
    answer = yard.olga.put("/api/control/queue/YARD", json={"status": "test", "reason": "by hand"})
    assert answer.status_code == 200, answer.text
    _go(page)
    expect(page.locator("#dialogue-preview .stale")).to_contain_text("1 queue changed: YARD is test")
    assert yard.queue("YARD")["status"] == "test"
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Drain: 1 done")
    _press(page, "Undo", "#outcome")
    _go(page)
    expect(_state(page, "YARD")).to_have_text("test")


_OLD_FROM_THE_FIRST = """
CREATE FUNCTION old_from_the_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.expiry_time := clock_timestamp() - interval '1 second'; RETURN NEW; END $$;
CREATE TRIGGER old_from_the_first BEFORE INSERT ON previews FOR EACH ROW EXECUTE FUNCTION old_from_the_first()
"""


def test_a_preview_that_is_too_old_is_said_to_be_so_and_cannot_be_pressed_again(yard: Yard, desk: Tab) -> None:
    page, database = _seen(desk, "queues/?computing_site=DOCK"), yard.story.system.database
    database.execute(_OLD_FROM_THE_FIRST)  # a dialogue may ask for its preview twice
    try:
        _in_row(page, "DOCK", "Drain")
        expect(page.locator("#dialogue-go")).to_be_enabled()
        _go(page)
        expect(page.locator("#dialogue-preview .problem")).to_contain_text("Remedy")
        expect(page.locator("#dialogue-go")).to_be_disabled()
    finally:
        database.execute("DROP FUNCTION old_from_the_first CASCADE")
    _answer(page, "Or at another end", "3h")
    expect(page.locator("#dialogue-preview")).to_contain_text("(3 h)")
    expect(page.locator("#dialogue-go")).to_be_enabled()
    _press(page, "Cancel", ".dialogue")
    assert yard.queue("DOCK")["status"] == "online"


def test_a_running_job_is_told_to_end(yard: Yard, desk: Tab) -> None:
    job = yard.of_alice[0]
    page = _seen(desk, f"job/{job}/")
    _press(page, "Kill", "#job-head")
    expect(page.locator("#dialogue-preview")).to_contain_text("1 job with a pilot")
    expect(page.locator("#dialogue-preview")).to_contain_text("Cannot be taken back")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Kill: 1 done")
    expect(page.locator("#outcome").get_by_role("button", name="Undo")).to_have_count(0)
    assert yard.told(job) == "tobekilled"


def test_a_job_that_ended_meanwhile_leaves_nothing_to_confirm(yard: Yard, desk: Tab) -> None:
    job = yard.of_alice[1]
    page = _seen(desk, f"job/{job}/")
    _press(page, "Kill", "#job-head")
    expect(page.locator("#dialogue-go")).to_have_text("Kill 1 job")
    desk.settle()
    yard.story.finish(job)
    eventually(lambda: yard.job_status(job) == "finished", what="the job has finished")
    _go(page)
    expect(page.locator("#dialogue-preview .problem")).to_contain_text(f"1 job no longer among them ({job})")
    expect(page.locator("#dialogue-go")).to_be_disabled()
    _press(page, "Cancel", ".dialogue")
    expect(page.locator("#job-head")).to_contain_text("finished")
    expect(page.locator("#job-head [data-do]")).to_have_count(0)
    assert yard.get("deeds", target=str(job))["deeds"] == []


def test_people_may_end_what_is_theirs_and_nothing_else(yard: Yard, tab_of: Callable[..., Tab]) -> None:
    desk = tab_of("alice")
    theirs, mine = yard.of_bob[0], yard.of_alice[2]
    page = _seen(desk, f"job/{theirs}/")
    expect(page.locator("#job-head")).to_contain_text("Kill: bob or an operator")
    expect(page.locator("#page [data-do]")).to_have_count(0)
    _forge(page, "kill-job", str(theirs))
    expect(page.locator("#dialogue-preview .problem")).to_contain_text("belongs to bob")
    expect(page.locator("#dialogue-go")).to_be_disabled()
    _press(page, "Cancel", ".dialogue")
    page = _seen(desk, f"job/{mine}/")
    _press(page, "Kill", "#job-head")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Kill: 1 done")
    assert (yard.told(mine), yard.told(theirs)) == ("tobekilled", "")
    assert desk.complaints == []


@pytest.mark.parametrize("work", ["drain-queue", "offline-queue", "release-queue"])
def test_a_queue_is_nothing_to_users_whatever_their_page_says(
    yard: Yard, tab_of: Callable[..., Tab], work: str
) -> None:
    page = _seen(tab_of("alice"), "queues/")
    expect(page.locator("#queues-list")).to_contain_text("sign in")
    expect(page.locator("#queues-list [data-do]")).to_have_count(0)
    before = yard.queue("DOCK")
    _forge(page, work, "DOCK")
    if work == "release-queue":
        _go(page)
    expect(page.locator("#dialogue-preview .problem")).to_contain_text("role admin or operator")
    _press(page, "Cancel", ".dialogue")
    assert yard.queue("DOCK")["status_time"] == before["status_time"]
    assert yard.get("deeds", target="DOCK")["deeds"] == []


def test_a_preview_does_not_serve_who_signed_in_after_it(yard: Yard, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    one = _tab_in(context, yard.story.system.url)
    page = one.open("queues/")
    _sign_in(page, yard.story.system.token("olga", "operator"))
    expect(page.locator("#queues-list [data-do]").first).to_be_visible()
    _in_row(page, "DOCK", "Drain")
    expect(page.locator("#dialogue-go")).to_be_enabled()
    token = yard.story.system.token("otto", "operator")
    context.add_cookies([{"name": "panda_session", "value": token, "url": one.base}])
    _go(page)
    expect(page.locator("#dialogue-preview .problem")).to_be_visible()
    assert yard.queue("DOCK")["status"] == "online"
    context.close()


def test_what_an_incident_covers_is_killed_and_then_retried(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, f"incident/{yard.incident}/")
    _press(page, "Kill its jobs")
    expect(page.locator("#dialogue-go")).to_have_text("Kill 1 job")
    expect(page.locator("#dialogue-preview")).to_contain_text("1 job without a pilot: ended at once")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Kill: 1 done")
    expect(page.locator("#incident-deeds tbody tr", has_text="kill")).to_have_count(1)
    eventually(lambda: yard.get(f"task/{yard.task}")["task"]["status"] == "failed", what="the task has ended")
    _press(page, "Retry what was lost")
    expect(page.locator("#dialogue-preview")).to_contain_text("2 files opened again, those that incident")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Retry: 1 done")
    expect(page.locator("#incident-deeds tbody tr", has_text="retry")).to_have_count(1)
    eventually(lambda: yard.get(f"task/{yard.task}")["task"]["status"] != "failed", what="the task goes on")


def test_the_jobs_of_a_task_are_killed_and_all_of_it_is_retried(yard: Yard, desk: Tab) -> None:
    task = builders.make_task(yard.story.system.database, user="bob", site="MILL", nJobs=2, maxAttempt=1)
    eventually(lambda: yard.get(f"task/{task}")["jobs"].get("activated") == 2, what="its jobs wait for a pilot")
    page = _seen(desk, f"task/{task}/")
    _press(page, "Kill its jobs", "#task-head")
    expect(page.locator("#dialogue-go")).to_have_text("Kill 2 jobs")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Kill: 2 done")
    eventually(lambda: yard.get(f"task/{task}")["task"]["status"] == "failed", what="the task has ended")
    page.reload()
    expect(page.locator("#task-head")).to_contain_text("failed")
    expect(page.locator("#task-head").get_by_role("button", name="Kill its jobs")).to_have_count(0)
    _press(page, "Retry", "#task-head")
    expect(page.locator("#dialogue-preview")).to_contain_text("2 files opened again, all that failed")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Retry: 1 done")
    eventually(lambda: yard.get(f"task/{task}")["task"]["status"] != "failed", what="the task goes on")


def test_a_part_of_an_incident_is_split_off_and_put_back(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, f"incident/{yard.at_two}/")
    _press(page, "Split")
    page.get_by_role("textbox", name="What becomes an incident of its own").click()
    page.get_by_role("option", name="queue GATE (4)").click()
    _answer(page, "Note", "GATE is another door")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text(f"split off incident {yard.at_two}")
    expect(page.locator("#incident-links")).to_contain_text("GATE")
    eventually(lambda: yard.get(f"incident/{yard.at_two}")["incident"]["job_count"] == 6, what="the part is gone")
    _press(page, "Undo", "#incident-links")
    expect(page.locator("#incident-links")).to_contain_text("taken back by olga")
    eventually(lambda: yard.get(f"incident/{yard.at_two}")["incident"]["job_count"] == 10, what="the part is back")


def test_links_of_an_incident_are_kept_and_only_those_of_the_web(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, f"incident/{yard.at_two}/")
    _press(page, "Links")
    _answer(page, "One address and its title on each line", "javascript:alert(1) ticket")
    _go(page)
    expect(page.locator("#dialogue-preview .problem")).to_be_visible()
    _answer(page, "One address and its title on each line", "https://tickets.example.org/7 ticket <b>7</b>")
    _go(page)
    link = page.locator("#incident-head").get_by_role("link", name="ticket <b>7</b>")
    expect(link).to_have_attribute("href", "https://tickets.example.org/7")


def test_an_alarm_rule_is_added_and_removed(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, "alarms/")
    evaluator = page.locator("#alarms-one tbody tr").first
    evaluator.get_by_role("button", name="Add a rule").click()
    _answer(page, "Name", "No such Name!")
    _go(page)
    expect(page.locator("#dialogue-preview .problem")).to_be_visible()
    _answer(page, "Name", "rule_of_olga")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("Rule rule_of_olga is there")
    row = page.locator("#alarms-list tbody tr", has_text="rule_of_olga")
    expect(row).to_contain_text("version 1")
    row.get_by_role("button", name="Remove").click()
    _go(page)
    expect(row).to_have_count(0)
    assert "rule_of_olga" not in {rule["name"] for rule in yard.get("incident-rules")["rules"]}


def test_a_notice_route_is_added_switched_and_removed(yard: Yard, desk: Tab) -> None:
    page = _seen(desk, "notices/")
    _press(page, "Add a route")
    _answer(page, "Name", "olga's hook")
    _answer(page, "To", "not an address")
    _go(page)
    expect(page.locator("#dialogue-preview .problem")).to_be_visible()
    _answer(page, "To", "http://127.0.0.1:9/hook")
    _answer(page, "Of which incidents", "severity=critical\nnothing said")
    _go(page)
    expect(page.locator("#dialogue-preview .problem")).to_contain_text("'nothing said' says nothing")
    _answer(page, "Of which incidents", "severity=critical")
    _go(page)
    row = page.locator("#notices-routes tbody tr", has_text="olga's hook")
    expect(row).to_contain_text("critical")
    row.get_by_role("button", name="Off", exact=True).click()
    expect(row.get_by_role("button", name="On", exact=True)).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    _go(page)
    expect(row).to_have_count(0)


def test_pages_with_their_buttons_fit_at_the_desk_and_on_a_telephone(yard: Yard, desk: Tab) -> None:
    for address in ("queues/", "queues/?computing_site=YARD", f"job/{yard.of_bob[0]}/", f"task/{yard.task}/"):
        page = _seen(desk, address)
        for width, scheme in ((390, "light"), (1280, "light"), (1280, "dark")):
            page.evaluate("(s) => document.documentElement.setAttribute('data-mantine-color-scheme', s)", scheme)
            page.set_viewport_size({"width": width, "height": 900})
            _picture(page, address, f"{width}-{scheme}-deeds", width=width)
