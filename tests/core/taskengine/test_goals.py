"""How tasks end: by the counts, the parent and the goal; and what of it is refused at the door."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InvalidInput
from core.states import TaskStatus
from core.task_ends import final_status
from core.taskengine.dialects.goals import ending


@pytest.mark.parametrize(
    ("files", "finished", "parent", "goal", "end"),
    [
        (10, 10, "", {}, "done"),
        (10, 10, "done", {}, "done"),
        (10, 10, "finished", {}, "finished"),
        (10, 10, "running", {}, "finished"),
        (10, 10, "failed", {}, "failed"),
        (10, 10, "aborted", {}, "failed"),
        (10, 0, "", {}, "failed"),
        (0, 0, "", {}, "failed"),
        (10, 5, "", {}, "finished"),
        (10, 5, "", {"fails_below": True}, "failed"),
        (10, 5, "", {"goal": 500, "fails_below": True}, "finished"),
        (10, 4, "", {"goal": 500, "fails_below": True}, "failed"),
        (10, 4, "", {"goal": 500, "exhausts_below": True}, "exhausted"),
        (10, 5, "", {"goal": 500, "exhausts_below": True}, "finished"),
        (10, 0, "", {"exhausts_below": True}, "failed"),
    ],
)
def test_counts_parent_and_goal_decide(files, finished, parent, goal, end):
    assert final_status(files, finished, parent, **goal) == end


@given(files=some.integers(1, 10**6), part=some.floats(0, 1), goal=some.integers(1, 1000))
def test_more_success_never_ends_worse(files, part, goal):
    finished = int(files * part)
    order = [TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.DONE]
    counts = (finished, min(files, finished + 1))
    now, later = (order.index(final_status(files, count, goal=goal, fails_below=True)) for count in counts)
    assert now <= later


@pytest.mark.parametrize(
    ("value", "per_mille"), [(None, 1000), ("", 1000), (100, 1000), (95.5, 955), ("80", 800), (0.01, 1), (55.1, 551)]
)
def test_a_goal_is_given_in_percent(value, per_mille):
    assert ending({"goal": value})["goal"] == per_mille


@pytest.mark.parametrize("value", [0, -1, 101, "many", True, [], "9" * 30, float("nan")])
def test_a_goal_that_is_none_is_refused(value):
    with pytest.raises(InvalidInput) as caught:
        ending({"goal": value})
    assert caught.value.field == "goal"
    assert caught.value.remedy


@pytest.mark.parametrize("other", ["failGoalUnreached", "failWhenGoalUnreached", "useExhausted"])
def test_a_part_cannot_be_welcome_and_not(other):
    with pytest.raises(InvalidInput) as caught:
        ending({"allowPartialFinish": True, other: True})
    assert caught.value.field == "allowPartialFinish"


def test_flags_of_the_end_are_read():
    assert ending({"noEmail": True, "disableAutoFinish": 1}) == {
        "goal": 1000,
        "finishes_by_itself": False,
        "sends_mail": False,
    }
    assert ending({"allowPartialFinish": True})["sends_mail"]
