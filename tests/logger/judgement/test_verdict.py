"""From counts to a verdict: the worked examples of the plan, to three decimals, and what must never be a verdict."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.incident_settings import IncidentSettings
from logger.counts import DIMENSIONS, Counts, Dimension, wilson
from logger.nodes import node_name, node_value
from logger.verdict import Verdict, judge

SETTINGS = IncidentSettings()


def pattern(*dimensions: Dimension) -> int:
    return sum(1 << DIMENSIONS.index(name) for name in dimensions)


def counted(values: dict[Dimension, str], cells: dict[tuple[Dimension, ...], tuple[int, int]], **more: Any) -> Counts:
    return Counts(values, {pattern(*names): cell for names, cell in cells.items()}, **more)


def standing(verdict: Verdict, dimension: str) -> dict[str, Any]:
    return next(one for one in verdict.document["dimensions"] if one["dimension"] == dimension)


def bounds(verdict: Verdict, dimension: str) -> tuple[float, float, float, float]:
    one = standing(verdict, dimension)
    return tuple(round(one[name], 3) for name in ("p_low", "p_high", "q_low", "q_high"))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (24, 24, 0.862, 1.0),
        (3, 3, 0.438, 1.0),
        (2, 2, 0.342, 1.0),
        (0, 54, 0.0, 0.066),
        (33, 120, 0.203, 0.361),
        (0, 0, 0, 1),
    ],
)
def test_wilson_bounds(k: int, n: int, low: float, high: float) -> None:
    assert tuple(round(bound, 3) for bound in wilson(k, n)) == (low, high)


def test_a_bad_node_is_the_node_and_explains_its_site() -> None:
    counts = counted(
        {"site": "CERN", "user": "ann", "node": "CERN wn042"},
        {
            ("site", "node", "user"): (12, 13),
            ("site", "node"): (12, 13),
            ("site", "user"): (0, 27),
            ("site",): (0, 27),
            ("user",): (0, 160),
            (): (0, 160),
        },
    )
    verdict = judge(counts, "software", SETTINGS)
    assert (verdict.verdict, verdict.value, verdict.confidence) == ("node", "CERN wn042", "strong")
    assert bounds(verdict, "node") == (0.862, 1.0, 0.045, 0.094) and round(verdict.score, 2) == 9.22
    assert round(standing(verdict, "site")["score"], 2) == 3.56 and round(standing(verdict, "user")["score"], 2) == 0.57
    assert bounds(verdict, "site")[2:] == (0.164, 0.242)
    assert standing(verdict, "node")["rate"] == pytest.approx(24 / 26, abs=1e-4)
    assert (standing(verdict, "site")["explained_by"], standing(verdict, "site")["others"]) == ("node", 54)
    assert verdict.sentence == (
        "the node CERN wn042: all 24 failures are there, 6 % of all work is; "
        "0 of 54 other jobs of the queue CERN failed like this"
    )


def test_a_broken_release_at_one_site_is_the_site() -> None:
    counts = counted(
        {"site": "B", "node": "B wn1", "user": "ann"},
        {
            ("site", "node", "user"): (6, 6),
            ("site", "node"): (3, 3),
            ("site", "user"): (34, 34),
            ("site",): (14, 17),
            ("user",): (0, 160),
            (): (3, 80),
        },
    )
    verdict = judge(counts, "software", SETTINGS)
    assert (verdict.verdict, verdict.value) == ("site", "B") and round(verdict.score, 2) == 3.47
    assert bounds(verdict, "site") == (0.863, 0.983, 0.159, 0.249)
    assert bounds(verdict, "node")[:2] == (0.081, 0.261) and not standing(verdict, "node")["is_candidate"]
    assert bounds(verdict, "user") == (0.541, 0.773, 0.612, 0.718)
    assert round(standing(verdict, "user")["score"], 2) == 0.75


def test_a_bug_in_one_task_over_four_sites_is_the_task_and_explains_its_user() -> None:
    counts = counted({"task": "7", "user": "bob"}, {("task", "user"): (40, 40), ("user",): (0, 50), (): (0, 310)})
    verdict = judge(counts, "user", SETTINGS)
    assert (verdict.verdict, verdict.value) == ("task", "7") and round(verdict.score, 2) == 6.84
    assert bounds(verdict, "task") == (0.912, 1.0, 0.074, 0.133) and bounds(verdict, "user")[2:] == (0.187, 0.268)
    assert round(standing(verdict, "user")["score"], 2) == 3.40
    assert standing(verdict, "user")["explained_by"] == "task" and round(wilson(0, 50)[1], 3) == 0.071


def test_one_users_code_in_five_tasks_is_the_user() -> None:
    counts = counted({"task": "7", "user": "bob"}, {("task", "user"): (9, 9), ("user",): (31, 33), (): (0, 358)})
    verdict = judge(counts, "user", SETTINGS)
    assert (verdict.verdict, verdict.value) == ("user", "bob") and round(verdict.score, 2) == 6.57
    assert bounds(verdict, "user") == (0.912, 1.0, 0.079, 0.139)
    assert bounds(verdict, "task")[:2] == (0.123, 0.375) and not standing(verdict, "task")["is_candidate"]


def test_a_task_pinned_to_one_site_is_the_task() -> None:
    counts = counted({"task": "7", "site": "X"}, {("task", "site"): (30, 31), ("site",): (0, 119), (): (0, 250)})
    verdict = judge(counts, "user", SETTINGS)
    assert (verdict.verdict, verdict.value) == ("task", "7") and round(verdict.score, 2) == 8.22
    assert bounds(verdict, "task") == (0.886, 1.0, 0.055, 0.108)
    assert round(standing(verdict, "site")["score"], 2) == 2.09 and standing(verdict, "site")["explained_by"] == "task"
    assert round(wilson(0, 119)[1], 3) == 0.031


def test_the_storage_of_two_queues_is_the_datas() -> None:
    counts = counted(
        {"storage": "C_DISK", "site": "C1"},
        {("storage", "site"): (20, 60), ("storage",): (16, 50), (): (0, 290)},
    )
    verdict = judge(counts, "storage", SETTINGS)
    assert (verdict.verdict, verdict.value) == ("data", "C_DISK") and round(verdict.score, 2) == 2.82
    assert bounds(verdict, "storage") == (0.904, 1.0, 0.234, 0.321)
    assert bounds(verdict, "site")[:2] == (0.396, 0.705) and not standing(verdict, "site")["is_candidate"]


def test_a_trouble_spread_like_the_work_is_central() -> None:
    queues = {"A": (31, 100), "B": (29, 100), "C": (33, 100), "D": (27, 100)}
    counts = counted({"site": "C"}, {("site",): (33, 100), (): (87, 300)}, queues=queues, task_count=9, user_count=4)
    verdict = judge(counts, "unknown", SETTINGS)
    assert verdict.verdict == "central" and verdict.document["overlap"] == pytest.approx(0.967, abs=0.0005)
    assert bounds(verdict, "site") == (0.203, 0.361, 0.21, 0.295)
    assert round(standing(verdict, "site")["score"], 2) == 0.69
    alone = counted({"site": "C"}, {("site",): (33, 100), (): (87, 300)}, queues=queues, task_count=2, user_count=1)
    assert judge(alone, "unknown", SETTINGS).verdict == "unclear"


def test_three_failures_are_a_weak_verdict_and_two_are_none() -> None:
    three = judge(counted({"node": "X wn9"}, {("node",): (3, 3), (): (0, 97)}), "software", SETTINGS)
    assert (three.verdict, three.confidence, round(three.score, 2)) == ("node", "weak", 5.19)
    assert bounds(three, "node") == (0.438, 1.0, 0.01, 0.085)
    two = judge(counted({"node": "X wn9"}, {("node",): (2, 2), (): (0, 97)}), "disk", SETTINGS)
    assert (two.verdict, two.document["hint"]) == ("unclear", "site")
    assert bounds(two, "node")[:2] == (0.342, 1.0) and not standing(two, "node")["is_candidate"]


def test_a_missing_input_is_its_dataset_and_not_the_task_that_reads_it() -> None:
    every: tuple[Dimension, ...] = ("dataset", "task", "node", "user", "site")
    values: dict[Dimension, str] = {
        "dataset": "user.dan.lost",
        "task": "7",
        "node": "C2 wn1",
        "user": "dan",
        "site": "C2",
    }
    counts = counted(values, {every: (6, 6), ("user",): (0, 80), ("site",): (0, 50), (): (0, 270)})
    assert judge(counts, "data", SETTINGS).value == judge(counts, "storage", SETTINGS).value == "user.dan.lost"
    assert judge(counts, "auth", SETTINGS).verdict == "node"
    assert judge(counts, "software", SETTINGS).verdict == "node"


def test_nodes_of_two_queues_are_two_and_slots_of_one_node_are_one() -> None:
    assert node_value("CERN", "slot1_3@wn042.cern.ch") == node_value("CERN", "slot2@wn042") == "CERN wn042"
    assert node_value("CERN", "wn042") != node_value("BNL", "wn042") and node_value("CERN", "") == ""
    assert [node_name(host) for host in ("10.0.0.5", "x@10.0.0.5", "fe80::1")] == ["10.0.0.5", "10.0.0.5", "fe80::1"]


def test_a_users_two_broken_tasks_are_the_user() -> None:
    counts = counted(
        {"task": "7", "user": "bob"},
        {("task", "user"): (147, 147), ("user",): (128, 274), (): (0, 379)},
    )
    verdict = judge(counts, "user", SETTINGS)
    assert (verdict.verdict, verdict.value) == ("user", "bob")
    assert standing(verdict, "task")["score"] > verdict.score
    one = counted({"task": "7", "user": "bob"}, {("task", "user"): (147, 147), ("user",): (8, 274), (): (0, 379)})
    assert judge(one, "user", SETTINGS).verdict == "task"


def test_two_bad_nodes_of_a_site_are_named_by_the_worse_one_while_the_others_work() -> None:
    counts = counted(
        {"node": "A wn1", "site": "A"},
        {("node", "site"): (30, 30), ("site",): (14, 476), (): (0, 1494)},
    )
    assert judge(counts, "node", SETTINGS).value == "A wn1"
    two = counted({"node": "A wn1", "site": "A"}, {("node", "site"): (30, 30), ("site",): (25, 30), (): (0, 1494)})
    assert judge(two, "node", SETTINGS).value == "A"


def _of_nodes(nodes: dict[str, tuple[int, int]], rest: tuple[int, int]) -> Verdict:
    """Some nodes of queue A, whose other jobs are `rest`, while 1494 jobs finished elsewhere."""
    (worst, top), *others = sorted(nodes.items(), key=lambda one: -one[1][0])
    site = sum(k for _, (k, _) in others) + rest[0], sum(b for _, (_, b) in others) + rest[1]
    cells: dict[tuple[Dimension, ...], tuple[int, int]] = {("node", "site"): top, ("site",): site, (): (0, 1494)}
    return judge(counted({"node": worst, "site": "A"}, cells, nodes=nodes), "node", SETTINGS)


def test_two_bad_nodes_are_both_named_when_the_rest_of_their_queue_is_well() -> None:
    verdict = _of_nodes({"A wn1": (30, 30), "A wn2": (25, 26)}, (0, 430))
    assert (verdict.verdict, verdict.value, verdict.confidence) == ("node", "A wn1", "strong")
    assert verdict.sentence == (
        "the nodes A wn1 and A wn2: all 55 failures are there (30, 25), 56 of 1980 jobs are; "
        "0 of 430 other jobs of the queue A failed like this"
    )
    assert verdict.document["nodes"] == [{"value": "A wn1", "k": 30, "b": 30}, {"value": "A wn2", "k": 25, "b": 26}]


@pytest.mark.parametrize(
    ("nodes", "rest", "wanted"),
    [
        ({"A wn1": (30, 30), "A wn2": (25, 26)}, (0, 4), "site"),  # nothing else ran there
        ({"A wn1": (30, 30), "A wn2": (25, 26)}, (10, 12), "site"),  # the others fail like this, too
        ({"A wn1": (30, 30), "A wn2": (2, 2)}, (0, 430), "node"),  # one of them, and two failures elsewhere
        ({f"A wn{n}": (10, 10) for n in range(5)}, (0, 430), "node"),
        ({"A wn1": (12, 300), "A wn2": (12, 300)}, (0, 40), "site"),  # they fail now and then, as machines do
        ({"A wn1": (30, 30), "A wn2": (25, 26)}, (20, 430), "site"),  # not most of its failures
    ],
)
def test_a_queue_is_the_verdict_unless_few_nodes_hold_it_all(
    nodes: dict[str, tuple[int, int]], rest: tuple[int, int], wanted: str
) -> None:
    verdict = _of_nodes(nodes, rest)
    assert verdict.verdict == wanted
    assert verdict.document.get("nodes", []) == [] or len(verdict.document["nodes"]) >= 2


def test_everything_failing_on_two_queues_is_unclear_and_says_what_would_tell() -> None:
    queues = {"A": (50, 50), "B": (48, 50)}
    values: dict[Dimension, str] = {"site": "A"}
    cells: dict[tuple[Dimension, ...], tuple[int, int]] = {("site",): (50, 50), (): (48, 50)}
    verdict = judge(counted(values, cells, queues=queues, task_count=9, user_count=5), "software", SETTINGS)
    assert verdict.verdict == "unclear" and "over 2 queues only" in verdict.sentence
    assert verdict.sentence.endswith("jobs that end at another queue would tell")
    lone = counted({"site": "A"}, {("site",): (50, 60)}, queues={"A": (50, 60)}, task_count=9, user_count=5)
    assert "over one queue only" in judge(lone, "software", SETTINGS).sentence


def test_a_trouble_everywhere_of_one_users_work_says_that_others_work_would_tell() -> None:
    queues = dict.fromkeys("ABCD", (30, 30))
    counts = counted({"user": "ann"}, {("user",): (120, 120)}, queues=queues, task_count=1, user_count=1)
    verdict = judge(counts, "user", SETTINGS)
    assert verdict.verdict == "unclear" and "of 1 task of 1 user only" in verdict.sentence


def test_a_bad_node_is_not_everywhere_because_a_few_others_fail_like_this() -> None:
    queues = {"A": (10, 203), "B": (3, 199), "C": (3, 199), "D": (0, 199)}
    counts = counted(
        {"node": "A wn1", "site": "A"},
        {("node", "site"): (10, 10), ("site",): (0, 193), (): (6, 597)},
        queues=queues,
        task_count=5,
        user_count=4,
    )
    verdict = judge(counts, "node", SETTINGS)
    assert verdict.document["overlap"] > SETTINGS.central_overlap
    assert (verdict.verdict, verdict.value, verdict.confidence) == ("node", "A wn1", "weak")


def test_the_only_site_that_fails_is_named_after_an_hour_of_forty_jobs() -> None:
    verdict = judge(counted({"site": "A"}, {("site",): (11, 11), (): (0, 29)}), "software", SETTINGS)
    assert (verdict.verdict, verdict.value) == ("site", "A") and verdict.score < SETTINGS.verdict_min_score
    few = judge(counted({"site": "A"}, {("site",): (11, 11), (): (3, 29)}), "software", SETTINGS)
    assert few.verdict == "unclear"


_CELLS = st.dictionaries(
    st.integers(0, 63),
    st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda two: (min(two), max(two))),
    max_size=12,
)


@given(_CELLS, st.sampled_from(["", "data", "auth", "software"]))
def test_whatever_is_counted_the_bounds_hold(cells: dict[int, tuple[int, int]], error_class: str) -> None:
    values: dict[Dimension, str] = dict.fromkeys(DIMENSIONS, "x")
    counts = Counts(values, cells, queues={"A": (3, 9), "B": (0, 4)}, task_count=3)
    verdict = judge(counts, error_class, SETTINGS)
    assert verdict.verdict in {"site", "task", "user", "node", "data", "central", "unclear"}
    if counts.failures < 3:
        assert verdict.verdict == "unclear"
    for one in verdict.document["dimensions"]:
        assert 0 <= one["p_low"] <= one["p_high"] <= 1 and 0 <= one["q_low"] <= one["q_high"] <= 1
        assert one["k"] <= one["b"] <= counts.ended or counts.ended == counts.failures
    assert 0 <= verdict.document["overlap"] <= 1


def test_a_site_that_has_most_of_the_work_can_be_the_site() -> None:
    counts = counted(
        {"site": "CERN", "task": "7", "user": "ann", "node": "CERN wn1"},
        {
            ("site", "task", "user", "node"): (50, 50),
            ("site", "task", "user"): (950, 950),
            ("site",): (993, 993),
            (): (0, 117),
        },
        queues={"CERN": (1993, 1993), "BNL": (0, 117)},
        task_count=2,
        user_count=2,
    )
    verdict = judge(counts, "software", SETTINGS)
    assert (verdict.verdict, verdict.value, verdict.confidence) == ("site", "CERN", "fair")
    assert verdict.sentence == (
        "the queue CERN: all 1993 failures are there, 94 % of all work is; of 117 jobs elsewhere none failed like this"
    )
    assert (standing(verdict, "site")["elsewhere_failed"], standing(verdict, "site")["elsewhere"]) == (0, 117)


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ((300, 600), (200, 400)),  # everybody fails alike
        ((300, 600), (30, 400)),  # others fail like this too, nearly as often as is needed
        ((600, 600), (0, 19)),  # too few others to say
        ((8, 600), (0, 400)),  # a few failures that any site could have had
    ],
)
def test_whoever_has_most_of_the_work_is_not_it_for_that(inside: tuple[int, int], outside: tuple[int, int]) -> None:
    verdict = judge(counted({"site": "CERN"}, {("site",): inside, (): outside}), "software", SETTINGS)
    assert verdict.verdict == "unclear"


def test_the_only_user_is_not_it_when_one_site_fails() -> None:
    counts = counted(
        {"site": "CERN", "user": "ann"},
        {("site", "user"): (200, 300), ("user",): (0, 600), (): (0, 100)},
    )
    assert judge(counts, "software", SETTINGS).verdict == "site"
    most = counted(
        {"site": "CERN", "user": "ann"},
        {("site", "user"): (500, 600), ("user",): (0, 300), (): (0, 100)},
    )
    verdict = judge(most, "software", SETTINGS)
    assert verdict.verdict == "site" and standing(verdict, "user")["score"] < standing(verdict, "site")["score"]
