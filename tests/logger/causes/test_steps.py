"""Where a trouble happened and of what kind it is, from codes, the phase of the job and the culprit line."""

from __future__ import annotations

import pytest

from core.error_codes import known_error_codes
from logger.culprit import Culprit, find_culprit
from logger.steps import ERROR_CLASSES, STEPS, STEPS_OF_A_JOB, owner_hint, phase_of, step_and_class


def test_every_known_code_has_a_step_and_a_class_and_no_other() -> None:
    assert set(STEPS) == set(known_error_codes())
    for step, error_class in STEPS.values():
        assert step in {"", *STEPS_OF_A_JOB} and error_class in ERROR_CLASSES


@pytest.mark.parametrize(
    ("component", "code", "phase", "expected"),
    [
        ("pilot", 1137, "", ("stage-out", "storage")),
        ("pilot", -1137, "", ("stage-out", "storage")),
        ("pilot", 1151, "", ("stage-in", "storage")),
        ("pilot", 1103, "payload", ("stage-in", "data")),
        ("pilot", 1098, "payload", ("payload", "disk")),
        ("pilot", 1305, "", ("payload", "user")),
        ("pilot", 1235, "", ("payload", "memory")),
        ("pilot", 9999, "setup", ("setup", "unknown")),
        ("trans", 127, "", ("payload", "user")),
        ("exe", 65, "", ("payload", "user")),
        ("ddm", 206, "", ("stage-out", "storage")),
        ("ddm", 999, "", ("stage-out", "data")),
        ("sup", 2, "", ("batch", "batch")),
        ("job_dispatcher", 100, "", ("heartbeat", "node")),
        ("brokerage", 100, "", ("service", "central")),
        ("task_buffer", 102, "", ("service", "central")),
        ("job", 0, "", ("", "unknown")),
        ("collector", None, "service", ("service", "unknown")),
    ],
)
def test_a_code_tells_step_and_class(component: str, code: int | None, phase: str, expected: tuple[str, str]) -> None:
    assert step_and_class(component, code, phase, None) == expected


def test_the_culprits_word_wins_over_the_codes_and_a_general_one_does_not() -> None:
    mount = find_culprit("ls: cannot access '/cvmfs/sw.example.org': Transport endpoint is not connected\n")
    assert step_and_class("pilot", 1305, "", mount) == ("setup", "software")
    full = find_culprit("cp: error writing 'x': No space left on device\n")
    assert step_and_class("trans", 1, "", full) == ("payload", "disk")
    general = find_culprit("ERROR something is wrong\n")
    assert step_and_class("pilot", 1137, "", general) == ("stage-out", "storage")
    assert step_and_class("pilot", 1137, "", Culprit(1, "x", "last_line")) == ("stage-out", "storage")


def test_a_storage_that_is_full_or_silent_is_no_trouble_of_the_node_whose_transfer_failed() -> None:
    full = Culprit(1, "cp: error writing '/storage/o.root': No space left on device", "no_space", error_class="disk")
    silent = Culprit(1, "xrdcp: Connection timed out", "timed_out", error_class="network")
    assert step_and_class("pilot", 1137, "", full) == ("stage-out", "storage")
    assert step_and_class("pilot", 1137, "", silent) == ("stage-out", "storage")
    assert step_and_class("pilot", 1099, "", silent) == ("stage-in", "storage")
    assert step_and_class("pilot", 1099, "", full) == ("stage-in", "disk"), "input fills the disk of the node"
    assert step_and_class("pilot", 1305, "", silent) == ("payload", "network"), "what a payload transfers is its own"
    assert step_and_class("pilot", 1338, "", silent) == ("stage-in", "network")


@pytest.mark.parametrize(
    ("previous_status", "pilot_timing", "exit_code", "phase"),
    [
        ("starting", "", 0, "setup"),
        ("running", "", 0, "payload"),
        ("stagein", "", 0, "stage-in"),
        ("stageout", "", 0, "stage-out"),
        ("transferring", "", 0, "stage-out"),
        ("sent", "", 0, "heartbeat"),
        ("activated", "", 0, "service"),
        ("holding", "", 0, ""),
        ("holding", "1|20|0|0|2|1", 0, "stage-in"),
        ("holding", "1|20|300|0|2|1", 0, "payload"),
        ("holding", "1|20|300|4|2|1", 0, "stage-out"),
        ("holding", "1|20|300|4|2|1", 3, "payload"),
        ("holding", "1|0|0|0|2|0", 0, "setup"),
        ("holding", "0|0|0|0|0|0", 1, "payload"),
        ("holding", "0|12|0|0|0|0", 1, "payload"),
        ("running", "no|timing|at|all", 0, "payload"),
        ("unheard of", "", None, ""),
    ],
)
def test_the_phase_is_the_last_step_that_took_time_or_what_the_state_says(
    previous_status: str, pilot_timing: str, exit_code: int | None, phase: str
) -> None:
    assert phase_of(previous_status, pilot_timing, exit_code) == phase


def test_every_class_but_the_unknown_one_has_somebody_to_ask() -> None:
    assert {owner_hint(error_class) for error_class in ERROR_CLASSES} == {"user", "site", "operators", "data", ""}
    assert owner_hint("unknown") == owner_hint("no class") == ""
    assert owner_hint("memory") == "user" and owner_hint("storage") == "site"
