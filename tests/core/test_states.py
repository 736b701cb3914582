"""The tables of transitions, enumerated."""

from __future__ import annotations

from enum import StrEnum

import pytest

from core.errors import IllegalTransition
from core.states import (
    DATASET_TRANSITIONS,
    FILE_TRANSITIONS,
    FINAL_JOB_STATUSES,
    FINAL_TASK_STATUSES,
    INCIDENT_TRANSITIONS,
    JOB_STATUS_MEANING,
    JOB_TRANSITIONS,
    ON_WORKER_NODE,
    SUPER_STATUS,
    TASK_HOLDS,
    TASK_STATUS_MEANING,
    TASK_TRANSITIONS,
    DatasetStatus,
    FileStatus,
    IncidentState,
    JobStatus,
    TaskStatus,
    check_transition,
    job_statuses_before,
)

# table, where things begin, where they end for good
TABLES = [
    (JOB_TRANSITIONS, JobStatus, {JobStatus.PENDING}, set(FINAL_JOB_STATUSES)),
    # commands lead out of the other ends again (server-api.md 5.8)
    (TASK_TRANSITIONS, TaskStatus, {TaskStatus.REGISTERED}, {TaskStatus.BROKEN}),
    (
        FILE_TRANSITIONS,
        FileStatus,
        {FileStatus.DEFINED},
        {FileStatus.READY, FileStatus.MISSING, FileStatus.FAILED, FileStatus.NO_OUTPUT},
    ),
    (DATASET_TRANSITIONS, DatasetStatus, {DatasetStatus.OPEN}, {DatasetStatus.DELETED}),
    (INCIDENT_TRANSITIONS, IncidentState, {IncidentState.OPEN, IncidentState.CANDIDATE}, set()),
]
every_table = pytest.mark.parametrize(
    ("table", "states", "first", "final"), TABLES, ids=lambda v: getattr(v, "__name__", "")
)


@every_table
def test_every_state_has_a_row(table, states, first, final):
    assert set(table) == set(states)
    assert all(isinstance(target, states) for targets in table.values() for target in targets)


@every_table
def test_every_state_can_be_reached(table, states, first, final):
    reached, fresh = set(first), set(first)
    while fresh:
        fresh = {target for state in fresh for target in table[state]} - reached
        reached |= fresh
    assert reached == set(states)


@every_table
def test_final_states_are_final_and_no_other_is_a_dead_end(table, states, first, final):
    assert {state for state, targets in table.items() if not targets} == final


@every_table
def test_no_state_leads_to_itself(table, states, first, final):
    assert not [state for state, targets in table.items() if state in targets]


def test_every_job_that_has_not_ended_can_be_ended_by_the_system():
    for status in set(JobStatus) - FINAL_JOB_STATUSES:
        assert {JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.CLOSED} <= JOB_TRANSITIONS[status], status


def test_only_accounted_outputs_make_a_job_finished():
    assert set(job_statuses_before(JobStatus.FINISHED)) == {"holding", "merging", "transferring"}


def test_only_an_activated_job_is_given_to_a_pilot():
    assert job_statuses_before(JobStatus.SENT) == ("activated",)


def test_a_job_on_a_worker_node_never_goes_back_to_the_queue():
    for status in ON_WORKER_NODE:
        assert not JOB_TRANSITIONS[status] & {
            JobStatus.DEFINED,
            JobStatus.ASSIGNED,
            JobStatus.ACTIVATED,
            JobStatus.SENT,
        }


def test_every_job_status_has_a_meaning_in_words():
    assert set(JOB_STATUS_MEANING) == set(JobStatus)
    assert all(JOB_STATUS_MEANING.values())


def test_every_task_status_has_a_meaning_and_a_super_status():
    assert set(TASK_STATUS_MEANING) == set(SUPER_STATUS) == set(TaskStatus)
    assert all(TASK_STATUS_MEANING.values())
    for status in TaskStatus:
        # what `pbook show run` and `pbook show fin` ask for (client-wire.md 5.1)
        known = (
            set(FINAL_TASK_STATUSES)
            if status in FINAL_TASK_STATUSES
            else {"running", "submitting", "registered", "ready"}
        )
        assert SUPER_STATUS[status] in known, status


def test_a_task_leaves_its_end_only_by_a_command_that_opens_it_again():
    for status in FINAL_TASK_STATUSES:
        assert TASK_TRANSITIONS[status] <= {TaskStatus.TORETRY, TaskStatus.TOINCEXEC, TaskStatus.READY}


def test_every_task_under_way_can_be_killed_and_finished():
    refused = {"done", "finished", "failed", "aborted", "broken", "prepared", "toabort", "aborting", "finishing"}
    for status in set(TaskStatus) - refused:
        assert {TaskStatus.ABORTING, TaskStatus.FINISHING} <= TASK_TRANSITIONS[status], status


def test_a_task_comes_back_from_a_hold_to_where_it_was():
    for hold in TASK_HOLDS:
        before = {status for status, targets in TASK_TRANSITIONS.items() if hold in targets} - TASK_HOLDS
        stops = {TaskStatus.PREPARED, TaskStatus.REASSIGNING}  # where no task rests, so that none can be held there
        left = before - TASK_TRANSITIONS[hold] - stops
        assert not left, hold


def test_a_step_is_legal_exactly_when_the_table_has_it():
    for current in JobStatus:
        for target in JobStatus:
            if target in JOB_TRANSITIONS[current]:
                check_transition(JOB_TRANSITIONS, current, target)
                assert current.value in job_statuses_before(target)
            else:
                with pytest.raises(IllegalTransition) as refused:
                    check_transition(JOB_TRANSITIONS, current, target)
                assert refused.value.field == "status"
                assert refused.value.remedy
                assert current.value not in job_statuses_before(target)


def test_a_refused_step_says_what_would_be_legal():
    class Light(StrEnum):
        RED = "red"
        GREEN = "green"
        BROKEN = "broken"

    table = {Light.RED: frozenset({Light.GREEN}), Light.GREEN: frozenset({Light.RED}), Light.BROKEN: frozenset[Light]()}
    with pytest.raises(IllegalTransition, match=r"Light cannot go from red to broken \(legal: green\)"):
        check_transition(table, Light.RED, Light.BROKEN)
    with pytest.raises(IllegalTransition, match="it is final"):
        check_transition(table, Light.BROKEN, Light.RED)
