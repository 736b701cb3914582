"""What operators may make of the tree, and what is refused with the field and nothing changed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from core.errors import Conflict, InvalidInput, PandaError, UnknownObject
from core.shares.checking import check_tree
from core.shares.editing import remove_share, replace_tree, set_share
from core.shares.reading import read_nodes
from core.shares.tree import ShareNode
from tests.core.shares.conftest import plant


def _stored(database):
    return database.fetch("SELECT * FROM global_shares ORDER BY name")


@pytest.fixture
def tree(site):
    """Production (MC, Groups) and Analysis."""
    plant(
        site,
        {"name": "Production", "value": 80},
        {"name": "MC", "parent": "Production", "value": 60, "processing_type": "simul", "prod_source_label": "managed"},
        {"name": "Groups", "parent": "Production", "value": 40, "prod_source_label": "managed"},
        {"name": "Analysis", "value": 20, "prod_source_label": "user|panda"},
    )
    return site


def test_a_share_is_made_changed_and_removed(tree):
    assert set_share(tree, "Tests", {"value": 5, "prod_source_label": "test"}, who="olga").position == 50
    changed = set_share(tree, "Tests", {"value": 7}, who="paul")
    assert (changed.value, changed.prod_source_label) == (7, "test")
    assert changed in read_nodes(tree)
    [row] = [row for row in _stored(tree) if row["name"] == "Tests"]
    assert row["modified_by"] == "paul"
    remove_share(tree, "Tests", who="olga")
    assert [node.name for node in read_nodes(tree)] == ["Production", "MC", "Groups", "Analysis"]


def test_a_node_that_stays_as_it_was_keeps_who_changed_it(tree):
    before = {row["name"]: row for row in _stored(tree)}
    nodes = [{**vars(node)} for node in read_nodes(tree)]
    nodes[0]["value"] = 70
    replace_tree(tree, nodes, who="paul")
    assert {row["name"] for row in _stored(tree) if row != before[row["name"]]} == {"Production"}


def test_a_whole_tree_can_be_replaced_by_none(tree):
    assert replace_tree(tree, [], who="olga") == []
    assert _stored(tree) == []


WRONG: list[tuple[str, dict[str, Any], type[PandaError], str]] = [
    ("X", {"parent": "Nowhere"}, UnknownObject, "X.parent"),
    ("Production", {"parent": "MC"}, Conflict, "Production.parent"),
    ("MC", {"parent": "MC"}, Conflict, "MC.parent"),
    ("Production", {"working_group": "phys"}, Conflict, "Production.working_group"),
    ("X", {"parent": "Analysis", "working_group": "x"}, Conflict, "Analysis.prod_source_label"),
    ("MC", {"value": -1.0}, InvalidInput, "MC.value"),
    ("MC", {"value": float("nan")}, InvalidInput, "MC.value"),
    ("MC", {"value": float("inf")}, InvalidInput, "MC.value"),
    ("MC", {"position": -1}, InvalidInput, "MC.position"),
    ("MC", {"max_queued_jobs": 2**40}, InvalidInput, "MC.max_queued_jobs"),
    ("MC", {"campaign": "mc[0-9"}, InvalidInput, "MC.campaign"),
    ("MC", {"campaign": "a)|(b"}, InvalidInput, "MC.campaign"),
    ("MC", {"rtype": "*"}, InvalidInput, "MC.rtype"),
    ("MC", {"rtype": "a^"}, InvalidInput, "MC.rtype"),
    ("MC", {"vo": "(?=a)b"}, InvalidInput, "MC.vo"),
    ("MC", {"campaign": "x" * 201}, InvalidInput, "MC.campaign"),
    ("MC", {"campaign": "(a{1,250}){1,250}"}, InvalidInput, "MC.campaign"),
    ("MC", {"vo": "a\x00"}, InvalidInput, "MC.vo"),
    ("MC", {"description": "x" * 1001}, InvalidInput, "MC.description"),
    ("MC", {"prod_source_label": "production"}, InvalidInput, "MC.prod_source_label"),
    ("", {}, InvalidInput, "name"),
    (" MC", {}, InvalidInput, "name"),
    ("a/b", {}, InvalidInput, "name"),
    ("x" * 101, {}, InvalidInput, "name"),
    ("Undefined", {}, InvalidInput, "name"),
    # comes after one that takes everything it would
    ("Late", {"prod_source_label": "managed", "working_group": "phys"}, Conflict, "Late.position"),
    ("Analysis", {"prod_source_label": "managed"}, Conflict, "Analysis.position"),
    ("Late", {"prod_source_label": "user"}, Conflict, "Late.position"),
    ("MC", {"prod_source_label": "(managed|test)+", "processing_type": ".+|"}, Conflict, "Groups.position"),
]


@pytest.mark.parametrize(
    ("name", "changes", "refusal", "field"), WRONG, ids=[f"{row[0][:9]}-{row[3]}" for row in WRONG]
)
def test_what_makes_no_sound_tree_is_refused_and_changes_nothing(tree, name, changes, refusal, field):
    before = _stored(tree)
    with pytest.raises(PandaError) as refused:
        set_share(tree, name, changes, who="olga")
    assert type(refused.value) is refusal
    assert refused.value.field == field
    assert refused.value.remedy
    assert _stored(tree) == before


@pytest.mark.parametrize(
    ("first", "second", "is_in_vain"),
    [
        *(("(.*)", "simul", True), (".+|", "", True), ("sim.*", "simul|sim", True), ("[A-Z]+", "ABC?", True)),
        *(("ab*", "abb|a", True), (r"\w+", "mc23_valid", True), ("pile", "pile", True)),
        *((".+", "", False), ("ab|a", "ab|c", False), ("simul", "simu.*", False), ("(?i)simul", "SIMUL", False)),
        *(("a)|(b", "a", False), ("ab+", "a", False), ("simul_1", "simul_10", False)),
    ],
)
def test_a_leaf_is_in_vain_when_the_one_before_takes_every_text_that_it_would(first, second, is_in_vain):
    nodes = [
        ShareNode("First", value=1, position=1, processing_type=first),
        ShareNode("Second", value=1, position=2, processing_type=second),
    ]
    if is_in_vain:
        with pytest.raises(Conflict) as refused:
            check_tree(nodes)
        assert refused.value.field == "Second.position"
    else:
        check_tree(nodes)


def test_a_share_with_children_is_not_removed_and_an_unknown_one_neither(tree):
    for name, refusal in (("Production", Conflict), ("Nobody", UnknownObject)):
        with pytest.raises(refusal) as refused:
            remove_share(tree, name, who="olga")
        assert refused.value.field == "name"
    assert len(_stored(tree)) == 4


@pytest.mark.parametrize(
    ("shares", "field"),
    [
        ([{"name": "a"}, {"name": "a"}], "a.name"),
        ([{"name": "a", "parent": "b"}, {"name": "b", "parent": "a"}], "a.parent"),
        ([{"name": "a", "vo": "x"}, {"name": "b", "vo": "["}], "b.vo"),
        ([{"name": "everything"}, {"name": "never", "vo": "x"}], "never.position"),
        ([{"name": "everything", "vo": ".*"}, {"name": "never"}], "never.position"),
        ([{"name": f"n{number}", "vo": f"v{number}"} for number in range(501)], "shares"),
        ([{"name": f"n{number}", "parent": f"n{number - 1}" if number else ""} for number in range(11)], "n10.parent"),
    ],
)
def test_a_whole_tree_is_taken_or_left_alone(tree, shares, field):
    before = _stored(tree)
    with pytest.raises(PandaError) as refused:
        replace_tree(tree, shares, who="olga")
    assert refused.value.field == field
    assert _stored(tree) == before


def test_a_catch_all_comes_last_and_others_are_put_before_it(tree):
    set_share(tree, "Rest", {"value": 1, "position": 1000}, who="olga")
    with pytest.raises(Conflict) as refused:
        set_share(tree, "New", {"vo": "x"}, who="olga")
    assert "below 1000" in refused.value.remedy
    set_share(tree, "New", {"vo": "x", "position": 999}, who="olga")


def test_operators_who_edit_at_the_same_time_do_not_overwrite_each_other(tree):
    begin = threading.Barrier(8)

    def edit(number: int) -> None:
        begin.wait()
        set_share(tree, f"S{number}", {"value": 1, "working_group": f"g{number}"}, who=f"user{number}")

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    added: list[ShareNode] = [node for node in read_nodes(tree) if node.name.startswith("S")]
    assert len(added) == 8
    assert len({node.position for node in added}) == 8


@pytest.fixture
def dead_leaf(tree):
    """A leaf `Old` behind one that takes all of its work, from a time when nobody looked; its rows by SQL, as from there."""
    tree.execute(
        "INSERT INTO global_shares (name, parent, value, position, prod_source_label, working_group)"
        " VALUES ('Old', '', 3, 70, 'managed', 'phys')"
    )
    return tree


def test_a_leaf_that_was_in_vain_before_keeps_nobody_from_changing_others(dead_leaf):
    set_share(dead_leaf, "Analysis", {"value": 25}, who="olga")
    set_share(dead_leaf, "Tests", {"value": 5, "prod_source_label": "test"}, who="olga")
    remove_share(dead_leaf, "Tests", who="olga")
    # its own weight and words decide about no work
    assert set_share(dead_leaf, "Old", {"value": 0, "description": "to go"}, who="olga").value == 0
    nodes = [{**vars(node)} for node in read_nodes(dead_leaf)]
    nodes[0]["value"] = 70
    assert len(replace_tree(dead_leaf, nodes, who="olga")) == 5


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("Older", {"prod_source_label": "managed", "working_group": "phys"}, "Older.position"),
        ("Analysis", {"prod_source_label": "managed"}, "Analysis.position"),
        ("Old", {"working_group": "higgs"}, "Old.position"),
        ("Old", {"position": 90}, "Old.position"),
    ],
)
def test_beside_a_leaf_in_vain_none_is_added_and_it_is_touched_only_to_mend_it(dead_leaf, name, changes, field):
    before = _stored(dead_leaf)
    with pytest.raises(Conflict) as refused:
        set_share(dead_leaf, name, changes, who="olga")
    assert refused.value.field == field
    assert _stored(dead_leaf) == before


def test_a_leaf_in_vain_is_mended_by_its_position_or_taken_away(dead_leaf):
    assert set_share(dead_leaf, "Old", {"position": 5}, who="olga").position == 5
    remove_share(dead_leaf, "Old", who="olga")
    assert len(read_nodes(dead_leaf)) == 4
