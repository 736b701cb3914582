"""Each criterion leaves out exactly the nuclei it should, the funnel says why, and weights are as worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.brokerage.criteria import criteria_for
from core.taskbrokerage.candidates import Amount, Need, Nucleus
from core.taskbrokerage.choosing import Choice, choose
from core.taskbrokerage.criteria import criteria_of_tasks
from core.taskbrokerage.weighing import weigh
from core.workload_settings import TaskBrokerageSettings
from tests.core.brokerage.describing import ask, queue

DOCUMENT = Path(__file__).parents[3] / "docs" / "brokerage.md"
TB = 1_000_000
"""In MB."""
SETTINGS = TaskBrokerageSettings(
    reserved_mb=100, min_usable_mb=1000, locality_min_mb=500, locality_min_files=20, small_input_mb=5000
)
EVERYWHERE = [queue("Q", {"write_wan": True})]


def nucleus(name: str = "", **facts: Any) -> Nucleus:
    known = {"near": frozenset({name}), **facts}
    return Nucleus(name, **known)


def need(label: str = "managed", **facts: Any) -> Need:
    known = {name: facts.pop(name) for name in ("input_at", "tapes", "jobs") if name in facts}
    return Need(7, ask(label, **facts), **known)


def at(*amounts: tuple[str, float, int]) -> dict[frozenset[str], Amount]:
    """Input by the names of the endpoints that hold it."""
    return {frozenset(names.split()): Amount(mb, files) for names, mb, files in amounts}


def decide(asked: Need, nuclei: list[Nucleus], queues: list[Any] | None = None) -> Choice:
    jobs = {kind: criteria_for(kind) for kind in ("production", "analysis")}
    criteria = criteria_of_tasks(SETTINGS, EVERYWHERE if queues is None else queues, jobs)
    return choose(asked, nuclei, criteria, SETTINGS)


@dataclass
class Case:
    """A criterion, a task, the nuclei it may have, and what is said of the others."""

    name: str
    need: Need
    fitting: list[Nucleus]
    left_out: dict[str, tuple[Nucleus, str]]
    queues: list[Any] = field(default_factory=lambda: EVERYWHERE)


LARGE = at(("GOOD", 60, 1), ("BAD", 59, 1), ("", 481, 1))
MANY = at(("GOOD", 1, 3), ("BAD", 1, 2), ("", 1, 20))
CASES = [
    Case("status", need(), [nucleus("GOOD")], {"BAD": (nucleus("BAD", is_online=False), "is offline")}),
    Case("storage", need(), [nucleus("GOOD")], {"BAD": (nucleus("BAD", kind="tape"), "is tape")}),
    Case(
        "excluded",
        need(excluded=("B*",)),
        [nucleus("GOOD")],
        {"BAD": (nucleus("BAD"), "is among excludedSite")},
    ),
    Case(
        "space",
        need(),
        [nucleus("GOOD", free_mb=1101), nucleus("SILENT", free_mb=None)],
        {
            "BAD": (
                nucleus("BAD", free_mb=1100),
                "has 1100 MB free: 1000 MB can be used, more than 1000 MB must be",
            ),
            "WORSE": (
                nucleus("WORSE", free_mb=9000, projected_mb=8000),
                "has 9000 MB free, 8000 MB are still to come: 900 MB can be used, more than 1000 MB must be",
            ),
        },
    ),
    Case(
        "locality",
        need(input_at=LARGE, io_kb_s=201),
        [nucleus("GOOD")],
        {"BAD": (nucleus("BAD"), "has 59 of 600 MB of the input, 10% must be there")},
    ),
    Case(
        "locality",
        need(input_at=MANY),
        [nucleus("GOOD")],
        {"BAD": (nucleus("BAD"), "has 2 of 25 input files, 10% must be there")},
    ),
    # urgent work takes its input from wherever it is, and so does a small one
    Case("locality", need(input_at=LARGE, priority=2000), [nucleus("GOOD"), nucleus("BAD")], {}),
    Case("locality", need(input_at=at(("GOOD", 499, 19))), [nucleus("GOOD"), nucleus("BAD")], {}),
    Case(
        "job",
        need(min_ram_mb=2000),
        [nucleus("GOOD"), nucleus("SAME_SITE")],
        {
            "BAD": (nucleus("BAD"), "has no queue that writes to it"),
            "WEAK": (
                nucleus("WEAK"),
                "has 1 queue that may write to it, but no queue is left after "
                "'the queue allows the memory the job needs': W allows 100 MB, the job needs 2000 MB",
            ),
        },
        [
            queue("G", storage_endpoint="GOOD", site_endpoints=frozenset({"GOOD", "SAME_SITE"})),
            queue("W", storage_endpoint="WEAK", max_ram_mb=100),
        ],
    ),
    # a task that is bound to a queue
    Case(
        "job",
        need(pinned_queue="G"),
        [nucleus("GOOD")],
        {
            "BAD": (
                nucleus("BAD"),
                "has 1 queue that may write to it, but no queue is left after 'the queue can write to the storage where "
                "the task collects its outputs': G does not write to BAD, where the outputs are collected",
            )
        },
        [
            queue("G", storage_endpoint="GOOD", site_endpoints=frozenset({"GOOD"})),
            queue("W", storage_endpoint="BAD"),
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.name}-{number}" for number, case in enumerate(CASES)])
def test_a_criterion_leaves_out_exactly_the_nuclei_it_should(case: Case):
    choice = decide(case.need, [*case.fitting, *(out for out, _ in case.left_out.values())], case.queues)
    assert {weight.queue_name for weight in choice.weights} == {fitting.name for fitting in case.fitting}
    said = {entry["queue"]: (step.criterion, entry["reason"]) for step in choice.steps for entry in step.excluded}
    assert set(said) == set(case.left_out)
    for name, (_, reason) in case.left_out.items():
        assert said[name][0] == case.name
        assert said[name][1].startswith(reason)


def test_every_criterion_has_a_case_and_a_row_in_the_document():
    criteria = criteria_of_tasks(SETTINGS, [], {})
    assert {case.name for case in CASES} == {criterion.name for criterion in criteria}
    text = DOCUMENT.read_text()
    for criterion in criteria:
        assert f"| `{criterion.name}` | {criterion.sentence} |" in text


def test_the_funnel_counts_and_names_what_left_nobody():
    choice = decide(
        need(), [nucleus("A", is_online=False), nucleus("B", free_mb=10, total_mb=20), nucleus("C", free_mb=0)]
    )
    assert choice.chosen is None
    assert [(step.criterion, step.before, step.after) for step in choice.steps] == [
        ("status", 3, 2),
        ("storage", 2, 2),
        ("excluded", 2, 2),
        ("space", 2, 0),
    ]
    assert choice.binding_step is not None
    assert choice.binding_step.criterion == "space"
    assert choice.binding_step.parameters == {"reserved_mb": 100, "min_usable_mb": 1000}
    assert choice.is_temporary
    assert choice.explanation() == (
        "no nucleus is left after 'the storage endpoint has room beside what is reserved and what other tasks will write': "
        "B has 10 MB free: -90 MB can be used, more than 1000 MB must be; "
        "C has 0 MB free: -100 MB can be used, more than 1000 MB must be"
    )


def test_locality_does_not_count_for_a_light_task_where_nobody_has_the_input():
    nowhere = at(("ELSEWHERE", 600, 1))
    choice = decide(need(input_at=nowhere), [nucleus("A"), nucleus("B")])
    assert choice.chosen is not None
    assert [step.note for step in choice.steps if step.criterion == "locality"] == [
        "it would leave no nucleus, so it does not count"
    ]
    assert decide(need(input_at=nowhere, io_kb_s=201), [nucleus("A"), nucleus("B")]).chosen is None
    too_large = at(("ELSEWHERE", 5001, 1))
    assert decide(need(input_at=too_large), [nucleus("A"), nucleus("B")]).chosen is None


def test_weights_as_worked_out_by_hand():
    # 400 TB of 800 free, nothing to do: 400 x 400 / 800 / 50 = 4; 2000 of 2000 free, 200 jobs to do: 2000 x 1000 / 2000 / 200
    large = nucleus("LARGE", free_mb=400 * TB, total_mb=800 * TB)
    busy = nucleus("BUSY", free_mb=2000 * TB, total_mb=2000 * TB, remaining_jobs=200.0)
    # reports no room: the median of 200 and 1000
    silent = nucleus("SILENT", remaining_jobs=60.0)
    weights = weigh(need(), [large, busy, silent], SETTINGS)
    assert [weight.value for weight in weights] == [4.0, 5.0, 10.0]
    assert weights[1].as_dict() == {
        "queue": "BUSY",
        "weight": 5.0,
        "locality": 1.0,
        "tape": 1.0,
        "room": 1000.0,
        "remaining_jobs": 200.0,
    }


def test_heavy_input_on_disk_and_on_tape_weighs():
    disk = nucleus("DISK", near=frozenset({"DISK"}))
    tape = nucleus("AT_TAPE", near=frozenset({"AT_TAPE", "TAPE"}))
    asked = need(input_at=at(("DISK", 25, 1), ("TAPE", 50, 1), ("", 25, 1)), tapes=frozenset({"TAPE"}), io_kb_s=201)
    values = [weight.value for weight in weigh(asked, [disk, tape], SETTINGS)]
    assert values == pytest.approx([0.25 / 50, 0.5 * 0.001 / 50])
    light = need(input_at=asked.input_at, tapes=asked.tapes)
    assert [weight.value for weight in weigh(light, [disk, tape], SETTINGS)] == pytest.approx([1 / 50, 0.001 / 50])


def test_the_draw_is_by_weight_and_the_same_every_time():
    nuclei = [
        nucleus("ONE", free_mb=100 * TB, total_mb=100 * TB),
        nucleus("THREE", free_mb=300 * TB, total_mb=300 * TB),
    ]

    def chosen(task: int) -> str:
        jobs = {kind: criteria_for(kind) for kind in ("production", "analysis")}
        criteria = criteria_of_tasks(SETTINGS, EVERYWHERE, jobs)
        choice = choose(Need(task, ask("managed")), nuclei, criteria, SETTINGS)
        assert choice.chosen is not None
        return choice.chosen.name

    drawn = [chosen(task) for task in range(1000)]
    assert drawn == [chosen(task) for task in range(1000)]
    assert 700 < drawn.count("THREE") < 800


def test_where_nothing_weighs_anything_who_has_least_to_do_is_taken():
    far = at(("ELSEWHERE", 100, 1))
    busy, idle = nucleus("A", remaining_jobs=9.0), nucleus("B")
    choice = decide(need(input_at=far, io_kb_s=201), [busy, idle])
    assert choice.chosen is idle


def test_a_criterion_that_fails_at_one_nucleus_leaves_the_others():
    broken = nucleus("BROKEN", free_mb="much")
    choice = decide(need(), [broken, nucleus("GOOD")])
    assert choice.chosen is not None
    assert choice.chosen.name == "GOOD"
    [said] = [entry["reason"] for step in choice.steps for entry in step.excluded]
    assert said.startswith("cannot be judged, TypeError")
