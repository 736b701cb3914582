"""Which error of a job counts when it is known whether a pilot gave its verdict: first in time, then most specific."""

from __future__ import annotations

from itertools import product

from core.models.errors import ERROR_COMPONENTS, errors_of_job, primary_error

_ALL = {component.code_column: 100 for component in ERROR_COMPONENTS}


def test_without_knowledge_of_time_the_order_is_the_one_of_lists_and_facets() -> None:
    assert [error.component for error in errors_of_job(_ALL)] == [component.name for component in ERROR_COMPONENTS]


def test_after_a_verdict_what_the_pilot_said_was_first() -> None:
    row = {"pilot_error_code": 1137, "sup_error_code": 2, "job_dispatcher_error_code": 103, "ddm_error_code": 200}
    assert [error.component for error in errors_of_job(row, True)] == ["pilot", "ddm", "sup", "job_dispatcher"]


def test_without_a_verdict_what_ended_the_job_was_first_and_leftovers_of_heartbeats_come_last() -> None:
    row = {"trans_exit_code": 3, "exe_error_code": 9, "job_dispatcher_error_code": 100}
    assert [error.component for error in errors_of_job(row, False)] == ["job_dispatcher", "exe", "trans"]
    killed = {"pilot_error_code": 1200, "task_buffer_error_code": 100, "sup_error_code": 2}
    assert [error.component for error in errors_of_job(killed, False)] == ["sup", "task_buffer", "pilot"]


def test_a_transformation_that_says_what_failed_is_more_specific_than_the_pilots_note_of_it() -> None:
    row = {"pilot_error_code": 1305, "exe_error_code": 65, "exe_error_diag": "Athena: FATAL in execute"}
    error = primary_error(row, True)
    assert error is not None
    assert (error.component, error.diag) == ("exe", "Athena: FATAL in execute")
    for other in ({"exe_error_diag": ""}, {"pilot_error_code": 1137}, {"exe_error_code": 0}):
        found = primary_error({**row, **other}, True)
        assert found is not None and found.component == "pilot"


def test_every_error_is_there_once_in_any_order() -> None:
    for had_verdict, row in product((None, True, False), (_ALL, {}, {"trans_exit_code": 1})):
        assert len(errors_of_job(row, had_verdict)) == len(row)
