"""Which of many failed jobs are read: all at first, few of a flood, all again when one differs."""

from __future__ import annotations

from typing import Any

from logger.sampling import ALL_OF, FailureSampler

FLOOD = 50_000


def failed(number: int = 1, *, site: str = "CERN", code: int = 1305, task: int = 7) -> dict[str, Any]:
    """A failed job as the builder reads it."""
    return {
        **{"pilot_error_code": code, "pilot_error_diag": f"exit code 1 of job {number}"},
        **{"transformation": "runShell", "jedi_task_id": task, "computing_site": site},
    }


def test_of_a_flood_the_first_are_read_and_then_fewer_and_fewer() -> None:
    sampler = FailureSampler()
    read = [number for number in range(1, FLOOD + 1) if sampler.wants(failed(number))]
    assert read[:ALL_OF] == list(range(1, ALL_OF + 1))
    assert sum(number <= 2200 for number in read) == ALL_OF + 200
    assert len(read) == ALL_OF + 200 + (FLOOD - 2200) // 50


def test_a_job_that_is_not_read_is_taken_for_what_its_group_is() -> None:
    sampler = FailureSampler()
    for number in range(ALL_OF):
        assert sampler.wants(failed(number))
        sampler.learned(failed(number), "v2:pilot:1305:aa")
    assert not sampler.wants(failed(9_999))
    assert sampler.assumed(failed(9_999)) == "v2:pilot:1305:aa"


def test_one_that_differs_makes_its_group_start_anew() -> None:
    sampler = FailureSampler()
    for number in range(ALL_OF + 50):
        if sampler.wants(failed(number)):
            sampler.learned(failed(number), "one")
    sampler.learned(failed(), "another")
    assert all(sampler.wants(failed(number)) for number in range(ALL_OF))
    assert not sampler.wants(failed())


def test_other_queues_codes_and_tasks_are_other_groups() -> None:
    sampler = FailureSampler()
    for _ in range(ALL_OF):
        sampler.wants(failed())
    assert not sampler.wants(failed())
    assert sampler.wants(failed(site="BNL"))
    assert sampler.wants(failed(code=1099))
    assert sampler.wants(failed(task=8))


def test_a_group_that_nobody_joins_for_ten_minutes_is_forgotten() -> None:
    now = 0.0
    sampler = FailureSampler(lambda: now)
    for _ in range(ALL_OF):
        sampler.wants(failed())
    sampler.learned(failed(), "one")
    now = 601.0
    assert sampler.assumed(failed()) == ""
    assert sampler.wants(failed())
