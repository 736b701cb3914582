"""Parts of pages as values: forms of filters, lines of lists, folded texts, handovers, without a server and a browser."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from dash import no_update

from dashboard.components import filters, openings, panels
from dashboard.components.funnel import funnel
from dashboard.components.incident_list import incident_list, line_words
from dashboard.components.markdown import document
from dashboard.components.narrow_form import Field, NarrowForm
from dashboard.components.silence_table import silence_table
from dashboard.links import Links
from dashboard.pages import alarms, silences
from dashboard.pages.notices import _outbox, _route
from pandascope.addresses import Address, Page
from pandascope.errors import Usage

LINKS = Links("/monitor/")
FORM = NarrowForm("audit", (Field("who", "Who"), Field("object_kind", "Kind", (("rule", "alarm rule"),))))
LONG = "ConnectionRefusedError: [Errno 111] Connection refused, said the receiver, and " + "again " * 40


def text(component: Any) -> str:
    return json.dumps(component, default=lambda one: one.to_plotly_json()["props"], ensure_ascii=False)


def viewed(is_signal: bool, **asked: str) -> Any:
    return SimpleNamespace(is_signal=is_signal, address=Address(Page.AUDIT, None, asked), links=LINKS)


def test_a_form_follows_its_address_and_leaves_what_is_being_written():
    assert FORM.regions == (("audit-narrow-who", "value"), ("audit-narrow-object-kind", "value"))
    address = Address(Page.AUDIT, None, {"who": "ol*"})
    assert FORM.values(address, is_signal=False) == ["ol*", None]
    assert FORM.values(address, is_signal=True) == [no_update, no_update]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"kind": "failure_burst", "culprit_line": "2026-11-27 02:00:00 ERROR no space"}, "no space"),
        ({"kind": "failure_burst"}, "the jobs reported no failing line"),
        ({"kind": "absence"}, "absence: something that should come does not"),
        ({"kind": "manual", "opened_by": "olga"}, "opened by hand by olga"),
        ({"kind": "new_kind"}, "new kind"),
    ],
)
def test_the_line_of_an_incident_is_no_loss_where_there_is_none_by_nature(row, words):
    assert line_words(row) == words


def test_the_list_says_whose_trouble_it_is_and_who_has_it_in_full():
    row = {
        "incident_id": 5, "title": "x", "severity": "error", "state": "open", "kind": "service", "job_count": 0,
        "verdict": "node", "verdict_value": "CERN wn042", "assigned_to": "the storage team of the site",
        "first_seen": None, "last_seen": None,
    }  # fmt: skip
    shown = text(incident_list([row], LINKS))
    assert "worker node CERN wn042" in shown
    assert "who has it: asked: the storage team of the site" in shown
    assert "no jobs in it" in shown and "core-h lost" not in shown


def test_a_long_text_unfolds_and_loses_nothing():
    assert text(panels.folded("short")).count("short") == 1
    assert LONG in text(panels.folded(LONG))
    assert LONG not in text(panels.folded(LONG).children[0])


def test_what_came_of_a_notice_is_all_there():
    row = {
        "incident_id": 3, "title": "t", "reason": "", "last_error": LONG, "answer": "", "state": "failed", "change": "opened",
        "next_try_time": None, "sent_time": None, "created_time": "2026-11-27T02:00:00+00:00", "route": "r", "attempts": 8,
    }  # fmt: skip
    view = viewed(False)
    shown = text(_outbox({"notices": [row], "next_cursor": None}, view, view.address))
    assert LONG in shown
    assert "the receiver will not take it" in shown


def test_a_route_says_of_which_incidents_in_words():
    route = {
        "matcher": {"severity": "error", "computing_site": "CERN*", "kind": "failure_burst"}, "is_final": False,
        "group_by": [], "group_wait_s": 10, "max_per_hour": 60, "position": 0, "name": "r", "channel": "mail", "target": "t",
        "changes": [], "is_active": True, "failed": 0, "waiting": 0, "sent_time": None, "last_error": "",
    }  # fmt: skip
    assert "severity at least error, Queue CERN*, Kind failure burst" in text(_route(route, False))


def test_a_handover_leads_to_its_incidents_and_nowhere_else():
    written = (
        "- **critical** incident 12 hot; incident 3's merged\n- incidents 4, incident x, [incident 5](http://evil)\n"
    )
    shown = text(document(written, lambda number: LINKS.page("incident", number)))
    assert shown.count('"href"') == 3
    assert (
        '"/monitor/incident/12/"' in shown and '"/monitor/incident/3/"' in shown and '"/monitor/incident/5/"' in shown
    )
    assert "](http://evil)" in shown and '"href": "http' not in shown
    assert '"href"' not in text(document(written))


def test_what_a_silence_matches_is_said_in_words():
    row = {
        "silence_id": 2, "incident_id": None, "matcher": {"computing_site": "T3_*", "kind": "failure_burst"}, "who": "olga",
        "reason": "", "start_time": None, "end_time": None, "until_kind": "fixed", "until_time": None, "caught": 2,
    }  # fmt: skip
    shown = text(silence_table([row], LINKS, may_act=False))
    assert "Queue T3_*, Kind failure burst" in shown
    assert "2 incidents silenced" in shown
    assert "nothing yet" in text(silence_table([{**row, "caught": 0}], LINKS, may_act=False))


def test_a_silence_asks_for_kinds_by_their_names_and_any_filters_nothing():
    (work,) = (work for work in silences.WORKS if work.name == "silence-matching")
    asked = {question.name: question for question in work.questions}
    assert asked["kind"].kind == "choice" and asked["severity"].kind == "choice"
    assert not any("_" in words for _, words in asked["kind"].choices)
    made: list[Any] = []

    class Client:
        async def silence_matching(self, matcher: Any, **how: Any) -> Any:
            made.append(matcher)
            return {"silence": {"silence_id": 1}, "incidents": []}

    values = {"kind": "absence", "severity": "any", "computing_site": "", "ends": "2h", "at": "", "reason": "r"}
    asyncio.run(work.carry_out(Client(), "new", values))  # type: ignore[arg-type]
    assert made == [{"kind": "absence"}]
    with pytest.raises(Usage):
        asyncio.run(work.carry_out(Client(), "new", {**values, "kind": "any"}))  # type: ignore[arg-type]


def test_chips_say_what_their_values_mean():
    assert filters.sentence({"is_automatic": "false"}) == "Done by people"
    assert filters.sentence({"object_kind": "notice_route"}) == "Kind of object notice route"
    assert filters.sentence({"state": "*"}) == "State any"
    assert filters.sentence({"queue_name": "CERN"}) == "Queue CERN"
    assert filters.sentence({"working_group": "higgs"}) == "Working group higgs"


def test_what_the_server_says_of_a_field_names_it_as_the_page_does():
    told = ["prod_user_name: the 200 most frequent values of 310", "the window: cut at 48 h", "all of it"]
    said = text(filters.chips(Address(Page("jobs"), None, {}), Links("/monitor/"), warnings=told))
    assert "User: the 200 most frequent values of 310" in said and "prod_user_name" not in said
    assert "the window: cut at 48 h" in said and "all of it" in said


def test_rows_of_a_table_keep_what_is_unfolded_in_them():
    plain = text(panels.table(["a"], [["x"], ["y"]]))
    assert '"key"' not in plain
    keyed = panels.table(["a"], [["x"], ["y"]], keys=["1", "2"])
    assert [row.key for row in keyed.children.children[1].children] == ["1", "2"]


def test_what_a_rule_would_have_said_is_not_cut_off():
    one = {"time": "2026-11-27T02:00:00+00:00", "subject": "CERN", "value": 3, "would_last_s": 5, "title": LONG}
    said = [cell for cell in openings._row(one) if getattr(cell, "children", None) == LONG]
    assert [cell.className for cell in said] == ["wrap"]


def test_a_rule_is_removed_by_its_name_at_the_version_that_was_seen():
    (work,) = (work for work in alarms.WORKS if work.name == "remove-alarm")
    removed: list[Any] = []

    class Client:
        async def incident_rules(self) -> Any:
            rules = [{"rule_id": 4, "name": "silent_cern", "version": 7, "evaluator": "silent_queue"}]
            return {"rules": rules, "evaluators": [{"name": "silent_queue", "parameters": []}]}

        async def remove_incident_rule(self, number: int, version: int) -> Any:
            removed.append((number, version))
            return {"name": "silent_cern"}

    assert asyncio.run(work.carry_out(Client(), "silent_cern:6", {})) == "Rule silent_cern is gone."  # type: ignore[arg-type]
    assert removed == [(4, 6)]
    assert work.title.format(to="silent_cern") == "Remove rule silent_cern"
    with pytest.raises(Usage):
        asyncio.run(work.carry_out(Client(), "other:6", {}))  # type: ignore[arg-type]


def test_a_weight_is_shown_with_what_it_is_made_of():
    weights = [
        {
            "queue": "NEAR",
            "weight": 12.34567,
            "running": 20.0,
            "waiting": 3,
            "site_class": "hi",
            "expected_wait_s": 1500,
        },
        {"queue": "FAR", "weight": 0.5, "running": 1.0, "waiting": 1, "moonlight": 2.5},
    ]
    shown = text(funnel({"funnel": [], "chosen": "NEAR", "weights": weights}))
    assert "Weights of the best queues: 2" in shown
    assert "12.35" in shown
    assert "20 running, 3 waiting, waits there are of class hi, expected wait 25 min" in shown
    assert "1 running, 1 waiting, moonlight 2.5" in shown
    assert "Weights" not in text(funnel({"funnel": [], "chosen": "NEAR"}))
