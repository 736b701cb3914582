"""The pages about incidents in a real browser: what they show, and what an operator does from them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Tab, _tab_in, comes_to
from tests.dashboard.incidents import CULPRIT, HARMLESS_HOSTILE, Night, make_night, post
from tests.dashboard.test_acting import _sign_in
from tests.dashboard.test_pictures import _HEADER_OVERLAPS, _SQUEEZED, _STICKING_OUT, PICTURES
from tests.support.system import eventually

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


def _press(page: Page, words: str, place: str = "#page") -> None:
    page.locator(place).get_by_role("button", name=words, exact=True).first.click()


def _go(page: Page) -> None:
    """Confirm what the dialogue shows."""
    expect(page.locator("#dialogue-go")).to_be_enabled()
    page.locator("#dialogue-go").click()


def _answer(page: Page, label: str, text: str) -> None:
    page.get_by_label(label, exact=True).fill(text)
    page.get_by_label(label, exact=True).blur()


def _picture_of_dialogue(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=PICTURES / f"{name}-{width}-light-olga.png")
        comes_to(page, "document.documentElement.scrollWidth <= window.innerWidth", True, name)
    page.set_viewport_size({"width": 1280, "height": 900})


def test_the_page_of_an_incident_answers_without_a_click(night, tab):
    page = tab.open(f"incident/{night.bad_node}/")
    judged = page.locator("#incident-judged")
    expect(judged).to_contain_text("Worker node")
    expect(judged).to_contain_text("all 24 failures are there")
    expect(judged.locator("tbody tr").first).to_contain_text("CERN wn042")
    expect(judged.locator("tbody tr").first).to_contain_text("24 of 24 there failed")
    expect(judged.locator(".share-bounds").first).to_be_visible()
    expect(judged).to_contain_text("usually mended by: site")
    expect(page.locator("#incident-culprit .is-culprit")).to_contain_text(CULPRIT)
    expect(page.locator("#incident-previous")).to_contain_text("fixed by otto")
    expect(page.locator("#incident-costs")).to_contain_text("Lost for good")
    expect(page.locator("#incident-breakdown")).to_contain_text("Worker node")


def test_who_may_only_read_sees_no_button_that_changes_anything(night, tab):
    for address in [*_addresses(night), f"incident/{night.others[1]}/"]:
        page = _seen(tab, address)
        assert page.locator("#page [data-do], #page .mark-box").count() == 0, address


def test_a_queue_is_drained_after_its_preview_and_given_back(night, desk):
    page = _seen(desk, f"incident/{night.bad_node}/")
    _press(page, "Drain the queue")
    body = page.locator("#dialogue-preview")
    expect(body).to_contain_text("1 queue")
    expect(body).to_contain_text("Undo puts back")
    expect(page.locator("#dialogue-go")).to_have_text("Drain 1 queue")
    _answer(page, "Why", "fans are broken")
    _picture_of_dialogue(page, "dialogue-drain")
    page.get_by_label("Or at another end", exact=True).fill("3h")
    # what it shows is of two hours still: nothing may happen on that. In one go, since on a slow machine a click takes so
    # long that the preview of three hours is there when it comes, and then it is what was confirmed
    page.locator("#dialogue-go").evaluate("(button) => { document.activeElement.blur(); button.click(); }")
    expect(body).to_contain_text("(3 h)")
    assert night.get("deeds")["deeds"] == []
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("1 done")
    (deed,) = night.get("deeds")["deeds"]
    assert (deed["action"], deed["via"], deed["reason"], deed["who"]) == ("drain", "web", "fans are broken", "olga")
    assert deed["revert_time"] is not None
    _press(page, "Undo", "#incident-deeds")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("is taken back")
    expect(page.locator("#incident-deeds")).to_contain_text("taken back by")
    queues = {row["queue_name"]: row for row in night.get("queues")["queues"]}
    assert queues["CERN"]["status"] == "online"


def test_a_set_that_changed_meanwhile_is_shown_anew_before_anything_is_done(night, desk):
    page = _seen(desk, f"incident/{night.bad_node}/")
    _press(page, "Drain the queue")
    expect(page.locator("#dialogue-preview")).to_contain_text("Undo puts back")
    answer = night.olga.put("/api/control/queue/CERN", json={"status": "test", "reason": "looked at by hand"})
    assert answer.status_code == 200, answer.text
    _go(page)
    expect(page.locator("#dialogue-preview")).to_contain_text("Nothing was done: the set changed meanwhile")
    expect(page.locator("#dialogue-preview .problem li").first).not_to_be_empty()
    _picture_of_dialogue(page, "dialogue-outdated")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("1 done")


def test_what_concerns_the_incident_alone_needs_no_preview(night, desk):
    number = night.others[0]
    page = _seen(desk, f"incident/{number}/")
    page.locator("#incident-note").fill("I look <b>at</b> it")
    _press(page, "Acknowledge")
    expect(page.locator("#incident-head")).to_contain_text("owner olga")
    expect(page.locator("#incident-activity")).to_contain_text("I look <b>at</b> it")
    _press(page, "Assign")
    page.get_by_label("Who", exact=True).fill("otto")
    page.keyboard.press("Enter")
    expect(page.locator("#incident-head")).to_contain_text("assigned to otto")
    _press(page, "Silence")
    page.get_by_role("textbox", name="It ends").click()
    page.get_by_role("option", name="when it has doubled").click()
    _answer(page, "Why", "the provider knows")
    _go(page)
    expect(page.locator("#incident-silences")).to_contain_text("it has doubled")
    expect(page.locator("#incident-silences")).to_contain_text("the provider knows")
    _press(page, "End", "#incident-silences")
    expect(page.locator("#incident-silences")).to_contain_text("ended")
    _press(page, "Hold")
    expect(page.locator("#incident-head")).to_contain_text("held by olga")
    _press(page, "Release")
    expect(page.locator("#incident-head")).not_to_contain_text("held by")
    page.locator("#incident-note").fill("")
    _press(page, "Comment")
    expect(page.locator("#outcome .problem")).to_contain_text("there is nothing in the note")


def test_a_merge_is_taken_back_where_it_is_shown(night, desk):
    one, other = night.others[1], night.others[2]
    page = _seen(desk, f"incident/{one}/")
    _press(page, "Merge")
    _answer(page, "Into incident", f"#{other}")
    expect(page.locator("#dialogue-preview")).to_contain_text("differs")
    _go(page)
    expect(page.locator("#incident-head")).to_contain_text(f"part of #{other}")
    _press(page, "Undo", "#incident-links")
    expect(page.locator("#incident-links")).to_contain_text("taken back by olga")
    expect(page.locator("#incident-head")).not_to_contain_text("part of")


def test_what_no_rule_saw_is_opened_by_hand(night, desk):
    page = _seen(desk, "incidents/")
    _press(page, "Open an incident")
    _answer(page, "What is wrong", "Users say <i>that</i> the web page is slow")
    _answer(page, "At queue", "CERN")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("held by you")
    # the list may have been loaded anew by then; otherwise a badge says that there is one more
    badge = page.locator("#incidents-new").filter(has_text="1 new")
    row = page.locator("#incidents-list").filter(has_text="Users say <i>that</i>")
    expect(badge.or_(row).first).to_be_visible()
    if badge.is_visible():
        badge.click()
    expect(row).to_be_visible()


def test_several_are_silenced_at_once_after_their_preview(night, desk):
    page = _seen(desk, "incidents/")
    pair = night.others[1:3]
    for number in pair:
        page.locator(f"[data-mark='{number}']").click()
    expect(page.locator(".bulk-count")).to_have_attribute("data-words", "2 marked")
    _press(page, "Silence", ".bulk-bar")
    expect(page.locator("#dialogue-preview .consequences")).to_contain_text("2 incidents")
    _picture_of_dialogue(page, "dialogue-silence-many")
    _go(page)
    expect(page.locator("#outcome")).to_contain_text("2 done")
    for number in pair:
        entry = page.locator(".markable", has=page.locator(f"[data-mark='{number}']"))
        expect(entry).to_contain_text("silenced")
    _press(page, "Undo", "#outcome")
    _go(page)
    eventually(
        lambda: all(night.get(f"incident/{n}")["incident"]["state"] == "open" for n in pair), what="both are open"
    )


def test_a_silence_is_ended_from_the_list(night, desk):
    page = _seen(desk, "silences/")
    rows = page.locator("#silences-list tbody tr")
    expect(rows.filter(has_text="rack is moved")).to_contain_text("+340")
    expect(rows.filter(has_text="T3_*")).to_contain_text(HARMLESS_HOSTILE[:40])
    rows.filter(has_text="rack is moved").get_by_role("button", name="End").click()
    expect(rows.filter(has_text="rack is moved")).to_have_count(0)
    _press(page, "Silence what matches …")
    _go(page)
    expect(page.locator("#dialogue-preview .problem")).to_contain_text("fill in at least one")
    _press(page, "Cancel", ".dialogue")


def test_a_rule_is_tried_on_the_past_edited_and_restored(night, desk):
    page = _seen(desk, "alarms/?name=failure_burst")
    _press(page, "Edit, try")
    _answer(page, "burst jobs", "many")
    _press(page, "Try it", ".dialogue")
    expect(page.locator("#dialogue-preview .problem")).to_contain_text("no whole number")
    _answer(page, "burst jobs", "5")
    _press(page, "Try it", ".dialogue")
    expect(page.locator("#dialogue-preview .opening").first).to_be_attached()
    expect(page.locator("#dialogue-preview .verdict-sentence")).to_contain_text("would have fired")
    _picture_of_dialogue(page, "dialogue-alarm")
    _go(page)
    expect(page.locator("#alarms-list")).to_contain_text("version 2")
    expect(page.locator("#alarms-one tbody tr").first).to_contain_text("olga")
    _press(page, "Restore", "#alarms-one")
    expect(page.locator("#alarms-list")).to_contain_text("version 3")


def test_a_route_that_does_not_get_through_says_so(night, desk):
    page = _seen(desk, "notices/")
    _press(page, "Test")
    expect(page.locator("#outcome")).to_contain_text("did not get through")
    _press(page, "Edit")
    _answer(page, "Which changes", "opened, resolved")
    _picture_of_dialogue(page, "dialogue-route")
    _go(page)
    expect(page.locator("#notices-routes")).to_contain_text("opened, resolved")


def test_a_shift_is_noted_written_and_signed_by_two(night, desk):
    page = _seen(desk, "shift/")
    page.locator("#shift-note").fill("the rack comes back at noon")
    _press(page, "Note")
    expect(page.locator("#shifts-notes")).to_contain_text("the rack comes back at noon")
    expect(page.locator("#shifts-text")).to_contain_text(HARMLESS_HOSTILE[:40])
    _press(page, "Edit the handover")
    _answer(page, "Handover, in Markdown", "# All is well\n\n- **look** at wn042\n- <b>not</b> bold\n")
    _go(page)
    expect(page.locator("#shifts-text .document-title")).to_have_text("All is well")
    expect(page.locator("#shifts-text strong")).to_have_text("look")
    expect(page.locator("#shifts-text")).to_contain_text("<b>not</b> bold")
    expect(page.locator("#shifts-text")).to_contain_text("Happened since it was written")
    _press(page, "Sign out")
    expect(page.locator("#shifts-head")).to_contain_text("signed by olga")
    _press(page, "Markdown")
    expect(page.locator("#dialogue-preview")).to_contain_text("Handed over by olga")
    _press(page, "Cancel", ".dialogue")
    otto = night.story.system.client("otto", "operator")
    began = post(otto, "shift/sign-in")["shift"]["shift_id"]
    expect(page.locator("#shifts-head h1")).to_contain_text(f"Shift {began}")
    expect(page.locator("#shifts-before tbody tr")).to_have_count(2)


def test_the_audit_is_narrowed_by_what_is_clicked(night, desk):
    page = _seen(desk, "audit/")
    page.locator("#audit-list tbody").get_by_role("link", name="silence", exact=True).first.click()
    expect(page.locator("#audit-chips")).to_contain_text("silence")
    rows = page.locator("#audit-list tbody tr")
    expect(rows.filter(has_text="rack is moved")).to_have_count(1)
    for row in rows.all():
        expect(row).to_contain_text("silence")


def _addresses(night: Night) -> list[str]:
    pages = [f"incident/{night.bad_node}/", "incidents/", "silences/?ended=1", "alarms/", "alarms/?name=failure_burst"]
    return [*pages, "shift/", f"shift/{night.shift}/", "notices/", "audit/"]


def _seen(tab: Tab, address: str) -> Page:
    """Go to a page without loading the scripts anew, and wait until it is there."""
    page, wanted = tab.page, f"{tab.base}/monitor/{address}"
    if not page.url.startswith(tab.base):
        tab.open(address)
    elif page.url != wanted:
        page.evaluate("window.pandascope.go(arguments[0])".replace("arguments[0]", repr(wanted)))
    expect(page.locator("#navigation")).to_be_visible()
    page.wait_for_url(wanted)
    # the address is new before the page is: what belongs to the page before must not be looked at, or pressed
    kind, _, number = address.partition("?")[0].strip("/").partition("/")
    if kind in ("incident", "job", "task"):
        expect(page.locator("#page .page")).to_have_attribute("data-topics", re.compile(rf"\b{kind}:{number}\b"))
    else:
        expect(page.locator(f"#page .page[class*='page-{kind}']")).to_be_visible()
    expect(page.locator("#page .mantine-Skeleton-root")).to_have_count(0)
    expect(page.locator("#page .problem:not(.stale)")).to_have_count(0)
    return page


def test_every_page_fits_at_the_desk_and_on_a_telephone(night, desk):
    for address in _addresses(night):
        page = _seen(desk, address)
        for width, scheme in ((390, "light"), (1280, "dark")):
            page.evaluate("(s) => document.documentElement.setAttribute('data-mantine-color-scheme', s)", scheme)
            page.set_viewport_size({"width": width, "height": 900})
            _picture(page, address, f"{width}-{scheme}-olga", width=width)


def _picture(page: Page, address: str, suffix: str, *, width: int) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", re.sub(r"/\d+/", "/", address)).strip("-")
    page.screenshot(path=PICTURES / f"{name}-{suffix}.png", full_page=True)
    comes_to(page, "document.documentElement.scrollWidth <= window.innerWidth", True, address)
    comes_to(page, _STICKING_OUT, [], address)
    assert page.evaluate("window.hacked") is None
    assert page.locator("#page img, #page script, #page a[href^='javascript']").count() == 0
    if width < 1000:
        comes_to(page, _SQUEEZED, [], address)
    else:
        comes_to(page, _HEADER_OVERLAPS, False, address)
