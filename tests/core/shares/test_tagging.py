"""Which share work is tagged with, at every door it comes in by."""

from __future__ import annotations

import logging

import pytest

from core.errors import Conflict, UnknownObject
from core.shares.retagging import Retagged, retag
from core.shares.tagging import UNDEFINED, ShareFacts, share_of, shares_of
from core.taskengine.commands import changing
from tests.core.shares.conftest import plant
from tests.support.builders import activate, jobs_of_task, make_task, row_of, start, submit

FACTS = ShareFacts("atlas", "managed", "phys", "mc23", "simul", "Sim_tf.py")


def _task_share(database, task_id):
    return database.fetch_one("SELECT gshare FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})["gshare"]


@pytest.mark.parametrize(
    ("column", "matching", "other"),
    [
        ("vo", "atl.*", "cms"),
        ("prod_source_label", "managed|test", "user"),
        ("working_group", "ph.s", "phy"),
        ("campaign", "mc[0-9]+", "mc"),
        ("processing_type", "simul", "simu"),
        ("trans_path", r"Sim_tf\.py", "Sim_tf"),
    ],
)
def test_every_expression_must_match_the_whole_value(site, column, matching, other):
    plant(site, {"name": "leaf", column: matching})
    assert share_of(site, FACTS) == "leaf"
    plant(site, {"name": "leaf", column: other})
    assert share_of(site, FACTS) == UNDEFINED


def test_alternatives_do_not_match_a_part(site):
    plant(site, {"name": "leaf", "working_group": "phys|higgs"})
    groups = ["phys", "higgs", "physics", "xhiggs", "phys|higgs", "phys\nhiggs", ""]
    shares = shares_of(site, [ShareFacts(working_group=group) for group in groups])
    assert shares == ["leaf", "leaf", *[UNDEFINED] * 5]


def test_the_first_leaf_in_order_of_position_is_taken_wherever_it_hangs(site):
    plant(
        site,
        {"name": "Production", "position": 1},
        {"name": "any simulation", "parent": "Production", "position": 30, "processing_type": "simul"},
        {"name": "Analysis", "position": 20, "prod_source_label": "user"},
        {"name": "mc23", "parent": "Production", "position": 10, "campaign": "mc23", "prod_source_label": "managed"},
    )
    assert share_of(site, FACTS) == "mc23"
    assert share_of(site, ShareFacts(campaign="mc23", prod_source_label="user", processing_type="simul")) == "Analysis"
    assert share_of(site, ShareFacts(processing_type="simul")) == "any simulation"


def test_what_no_leaf_matches_is_undefined_with_one_warning_for_each_kind(site, caplog):
    plant(site, {"name": "leaf", "vo": "atlas"})
    with caplog.at_level(logging.WARNING, "panda.shares"):
        assert shares_of(site, [ShareFacts(vo="cms")] * 50 + [FACTS]) == [UNDEFINED] * 50 + ["leaf"]
    assert [record.getMessage() for record in caplog.records] == ["no share matches vo=cms"]


def test_without_a_tree_there_is_no_share_and_no_warning(site, caplog):
    assert share_of(site, FACTS) == ""
    assert shares_of(site, []) == []
    assert not caplog.records


def test_a_task_its_jobs_and_jobs_without_a_task_are_tagged_when_they_come_in(site):
    plant(
        site,
        {"name": "groups", "working_group": ".+"},
        {"name": "users", "prod_source_label": "user|panda", "trans_path": "(?!.*evil).*"},
    )
    task_id = make_task(site)
    assert _task_share(site, task_id) == "users"
    assert {row_of(site, panda_id)["gshare"] for panda_id in jobs_of_task(site, task_id)} == {"users"}
    mine, groups = submit(site), submit(site, working_group="phys")
    assert [row_of(site, panda_id)["gshare"] for panda_id in mine + groups] == ["users", "groups"]


@pytest.mark.parametrize("running_too", [False, True])
def test_live_work_is_tagged_anew_with_or_without_what_runs(site, running_too):
    task_id = make_task(site)
    [running] = start(site)
    [waiting], [foreign] = activate(site), submit(site, working_group="phys")
    plant(site, {"name": "groups", "working_group": ".+"}, {"name": "rest"})
    of_task = jobs_of_task(site, task_id)
    assert retag(site, running_too=running_too) == Retagged(1, 2 + len(of_task) + running_too)
    assert _task_share(site, task_id) == "rest"
    assert {row_of(site, panda_id)["gshare"] for panda_id in [waiting, *of_task]} == {"rest"}
    assert row_of(site, foreign)["gshare"] == "groups"
    assert row_of(site, running)["gshare"] == ("rest" if running_too else "")
    assert retag(site, running_too=running_too) == Retagged(0, 0)
    plant(site)
    retag(site, running_too=True)
    assert row_of(site, running)["gshare"] == row_of(site, foreign)["gshare"] == ""


def test_a_task_is_put_under_leaves_of_the_tree_only(site):
    task_id = make_task(site)
    plant(site, {"name": "top"}, {"name": "leaf", "parent": "top"})
    for name, refusal in (("Express", UnknownObject), ("top", Conflict)):
        with pytest.raises(refusal) as refused:
            changing.reassign_global_share(site, [task_id], name, running_too=True)
        assert refused.value.field == "share"
    assert _task_share(site, task_id) == ""
    assert changing.reassign_global_share(site, [task_id], "leaf", running_too=True) == 1
    assert _task_share(site, task_id) == "leaf"
