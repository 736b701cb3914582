"""Around the criteria: preferences, named and first queues, input that is read from elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.brokerage.broker import broker
from tests.core.brokerage.describing import ask, queue

AWAY = ask(has_input=True, complete_at=frozenset({"DISK"}))


def names(decision) -> list[str]:
    return [candidate.queue_name for candidate in decision.accepted]


def test_a_full_queue_stands_back_for_others_and_still_takes_what_no_other_can():
    full, empty = queue("FULL", activated=500), queue("EMPTY")
    assert names(broker(ask(), [full, empty])) == ["EMPTY"]
    decision = broker(ask(), [full])
    assert names(decision) == ["FULL"]
    step = next(step for step in decision.steps if step.criterion == "overloaded")
    assert (step.before, step.after, step.note) == (1, 1, "it would leave no queue, so it does not count")
    assert step.excluded == [{"queue": "FULL", "reason": "has 500 jobs queued and 0 running, 40 may be queued"}]
    assert step.as_dict()["parameters"] == {"max_overloaded": 2.0}


def test_a_job_for_a_gpu_goes_where_none_is_stated_if_no_queue_states_any():
    assert names(broker(ask(gpu="nvidia"), [queue("A"), queue("B", {"gpu": "nvidia"})])) == ["B"]
    assert names(broker(ask(gpu="nvidia"), [queue("A"), queue("B", {"gpu": "amd"})])) == ["A"]


@pytest.mark.parametrize(
    ("status", "taken"), [("online", ["CUT"]), ("offline", ["BETTER"])], ids=["it agrees", "it refuses"]
)
def test_the_queue_that_jobs_were_cut_for_is_asked_first(status, taken):
    cut_for, better = queue("CUT", status=status, activated=30), queue("BETTER", running=10)
    assert names(broker(ask(first_queue="CUT"), [cut_for, better])) == taken
    assert names(broker(ask(first_queue="GONE"), [better])) == ["BETTER"]


def test_the_queue_that_jobs_were_cut_for_may_be_one_of_several_named_beside_auto():
    request = ask(first_queue="CUT", included=("OTHER", "AUTO"))
    assert names(broker(request, [queue("CUT")])) == ["CUT"]


def test_input_is_read_from_elsewhere_when_no_queue_has_it():
    reads = queue("READS", {"direct_access_wan": True}, storage_endpoint="FAR")
    cannot = queue("CANNOT", storage_endpoint="FAR")
    decision = broker(AWAY, [reads, cannot])
    assert (names(decision), decision.is_without_locality) == (["READS"], True)
    assert names(broker(AWAY, [reads, queue("HAS")])) == ["HAS"]
    for request in (replace(AWAY, allows_wan=False), replace(AWAY, is_everywhere=False)):
        refused = broker(request, [reads, cannot])
        assert not refused.accepted
        assert "lacks input" in refused.explanation()


def test_the_input_stays_asked_for_while_the_reason_goes_by_itself():
    has = queue("HAS", pilot_age_s=90_000.0, activated=1, oldest_activated_s=90_000.0)
    reads = queue("READS", {"allow_wan": True}, storage_endpoint="FAR")
    decision = broker(AWAY, [has, reads])
    assert not decision.accepted
    assert (decision.binding_step.criterion, decision.is_temporary) == ("nopilot", True)


def test_production_waits_for_its_input_to_come():
    reads = queue("READS", {"allow_wan": True}, storage_endpoint="FAR")
    managed = ask("managed", has_input=True, complete_at=frozenset({"DISK"}))
    assert broker(managed, [reads]).binding_step.criterion == "input"


def test_a_decision_counts_its_candidates_and_knows_its_kind():
    decision = broker(ask("managed"), [queue("A"), queue("B", status="offline")])
    assert (decision.kind, decision.candidate_count, decision.is_temporary) == ("production", 2, False)
    assert broker(ask(), [queue()]).kind == "analysis"
    assert broker(ask(pinned_queue="A"), [queue("A"), queue("B")]).kind == "pinned"
