"""The tree of shares against numbers worked out by hand, and what must hold for any tree."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.shares.tree import Load, ShareNode, ShareTree, pour

PLENTY = 1e6

# domain.md 6.1: production (MC and groups, half each) and analysis
EXAMPLE = ShareTree(
    [
        ShareNode("Production", value=4, position=1),
        ShareNode("Analysis", value=1, position=2),
        ShareNode("MC", "Production", 30, 3),
        ShareNode("Groups", "Production", 30, 4),
    ]
)


def targets(tree: ShareTree, **loads: tuple[float, float]) -> dict[str, float]:
    standings = tree.standings({name: Load(*load) for name, load in loads.items()})
    return {name: standing.target for name, standing in standings.items()}


def test_values_of_siblings_are_parts_of_their_parent():
    assert EXAMPLE.percents == {"Production": 80, "Analysis": 20, "MC": 40, "Groups": 40}


def test_everybody_with_work_is_due_its_percent_of_what_executes():
    assert targets(EXAMPLE, MC=(10, PLENTY), Groups=(10, PLENTY), Analysis=(180, PLENTY)) == {
        "Production": 160,
        "MC": 80,
        "Groups": 80,
        "Analysis": 40,
    }


def test_what_mc_leaves_goes_to_the_groups_and_not_to_analysis():
    assert targets(EXAMPLE, MC=(10, 0), Groups=(60, PLENTY), Analysis=(30, PLENTY)) == {
        "Production": 80,
        "MC": 10,
        "Groups": 70,
        "Analysis": 20,
    }


def test_analysis_gets_more_only_when_all_production_is_short():
    assert targets(EXAMPLE, MC=(10, 0), Groups=(20, 10), Analysis=(70, PLENTY)) == {
        "Production": 40,
        "MC": 10,
        "Groups": 30,
        "Analysis": 60,
    }


def test_a_share_of_value_zero_gets_what_its_siblings_leave():
    tree = ShareTree([ShareNode("Work", value=1), ShareNode("Spare", value=0)])
    assert targets(tree, Work=(20, PLENTY), Spare=(80, PLENTY)) == {"Work": 100, "Spare": 0}
    assert targets(tree, Work=(20, 10), Spare=(80, PLENTY)) == {"Work": 30, "Spare": 70}


def test_the_most_under_served_come_first_at_every_level():
    # Production 30 of 80, within it MC 20 of 40 and Groups 10 of 40; Analysis 70 of 20
    loads = {"MC": Load(20, PLENTY), "Groups": Load(10, PLENTY), "Analysis": Load(70, PLENTY)}
    assert EXAMPLE.ranked_leaves(loads) == ["Groups", "MC", "Analysis"]
    # Production 90 of 80 although MC is far below its own: the level above decides
    loads = {"MC": Load(0, PLENTY), "Groups": Load(90, PLENTY), "Analysis": Load(10, PLENTY)}
    assert EXAMPLE.ranked_leaves(loads) == ["Analysis", "MC", "Groups"]


def test_while_nothing_runs_the_larger_share_comes_first_then_the_position():
    assert EXAMPLE.ranked_leaves({}) == ["MC", "Groups", "Analysis"]


def test_thirty_leaves_stand_in_the_order_of_executing_over_target():
    # each of 30 equal shares is due 100 of 3000; shares 0..29 execute 7 n mod 30 steps around it
    executing = {f"S{number:02}": 100 + 3.0 * ((7 * number) % 30 - 14.5) for number in range(30)}
    tree = ShareTree([ShareNode(name, value=5, position=90 - place) for place, name in enumerate(executing)])
    loads = {name: Load(power, PLENTY) for name, power in executing.items()}
    standings = tree.standings(loads)
    assert all(standings[name].target == pytest.approx(100) for name in executing)
    assert tree.ranked_leaves(loads) == sorted(executing, key=lambda name: executing[name])


def test_leaves_are_in_order_of_position_wherever_they_hang():
    nodes = [ShareNode("Top", position=9), ShareNode("late", "Top", position=5), ShareNode("early", position=2)]
    assert [leaf.name for leaf in ShareTree(nodes).leaves] == ["early", "late"]


def test_nodes_in_a_circle_or_below_nothing_are_no_part_of_the_tree():
    nodes = [ShareNode("a", "b"), ShareNode("b", "a"), ShareNode("orphan", "nobody"), ShareNode("sound", value=1)]
    assert [node.name for node in ShareTree(nodes).nodes] == ["sound"]
    assert ShareTree(nodes).ranked_leaves({}) == ["sound"]


_amounts = st.floats(0, 1e6, allow_nan=False)
_values = st.one_of(st.just(0.0), st.floats(0.01, 1000))


@given(_amounts, st.lists(st.tuples(_values, _amounts), max_size=8))
def test_pouring_gives_out_all_that_can_be_taken_and_nobody_more_than_he_can_take(amount, wishes):
    given_out = pour(amount, wishes)
    assert math.isclose(sum(given_out), min(amount, sum(most for _, most in wishes)), rel_tol=1e-9, abs_tol=1e-6)
    assert all(0 <= got <= most * (1 + 1e-9) + 1e-9 for got, (_, most) in zip(given_out, wishes, strict=True))


@st.composite
def _loaded_trees(draw: st.DrawFn) -> tuple[ShareTree, dict[str, Load]]:
    count = draw(st.integers(1, 12))
    nodes = []
    for number in range(count):
        parent = draw(st.sampled_from(["", *(node.name for node in nodes)])) if nodes else ""
        depth = 0 if not parent else int(parent[1:].split("_")[1]) + 1
        parent, depth = (parent, depth) if depth < 8 else ("", 0)
        nodes.append(ShareNode(f"s{number}_{depth}", parent, draw(_values), draw(st.integers(0, 5))))
    tree = ShareTree(nodes)
    return tree, {leaf.name: Load(draw(_amounts), draw(_amounts)) for leaf in tree.leaves}


@given(_loaded_trees())
def test_targets_add_up_to_what_executes_at_every_level_and_no_target_is_beyond_what_can_be_used(loaded):
    tree, loads = loaded
    standings = tree.standings(loads)
    total = sum(load.executing for load in loads.values())
    leaves = [standing for standing in standings.values() if standing.is_leaf]
    assert math.isclose(sum(leaf.target for leaf in leaves), total, rel_tol=1e-6, abs_tol=1e-6)
    for node in tree.nodes:
        below = [standings[child.name] for child in tree.children(node.name)]
        if below:
            assert math.isclose(
                sum(one.target for one in below), standings[node.name].target, rel_tol=1e-6, abs_tol=1e-6
            )
    assert all(one.target <= (one.executing + one.queued) * (1 + 1e-6) + 1e-6 for one in standings.values())
    assert sorted(tree.ranked_leaves(loads)) == sorted(loads)


@given(_loaded_trees())
def test_who_leaves_nothing_unused_is_due_at_least_its_percent(loaded):
    tree, loads = loaded
    busy = {name: Load(load.executing, 1e9) for name, load in loads.items()}
    total = sum(load.executing for load in busy.values())
    for standing in tree.standings(busy).values():
        assert standing.target >= total * standing.percent / 100 - 1e-6 * (1 + total)
