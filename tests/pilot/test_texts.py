"""What is read from others: job descriptions, logs, ends of payloads. Nothing they hold may break the pilot."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pilot.description import JobDescription, whole_number
from pilot.diagnosis import failing_line, payload_failure
from pilot.errors import ERROR_CODES, JobFailure
from pilot.logs import tail
from pilot.payload import PayloadEnd

anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=5,
)


@given(anything)
def test_any_value_can_be_read_as_a_number(value: object) -> None:
    assert isinstance(whole_number(value), int)


@given(
    some.dictionaries(
        some.sampled_from(
            ["taskID", "attemptNr", "coreCount", "maxWalltime", "minRamCount", "jobPars", "transformation"]
        ),
        anything,
    ),
    some.lists(
        some.dictionaries(
            some.sampled_from(["lfn", "local_name", "type", "pfn", "size_bytes", "checksum", "mover"]), anything
        )
    ),
)
def test_any_description_is_read_or_fails_the_job(fields: dict[str, object], files: list[dict[str, object]]) -> None:
    job = JobDescription.from_wire({**fields, "PandaID": "17", "panda_files": files})
    assert job.panda_id == 17
    try:
        job.check()
    except JobFailure as failure:
        assert failure.error.code in (1110, 1371)


@given(some.lists(some.sampled_from(["..", ".", "a", "b c", "", "ü"]), min_size=1).map("/".join))
def test_accepted_local_names_stay_inside_the_job_directory(name: str) -> None:
    file = {"lfn": "x", "local_name": name, "type": "input", "pfn": "/x"}
    job = JobDescription.from_wire({"PandaID": 1, "transformation": "runShell", "panda_files": [file]})
    try:
        job.check()
    except JobFailure:
        return
    top = Path("/jobs/17/work")
    assert (top / job.files[0].local_name).resolve().is_relative_to(top)


def test_null_is_nothing_for_panda_and_a_name_for_us() -> None:
    job = JobDescription.from_wire(
        {"PandaID": 1, "transformation": "NULL", "panda_files": [{"lfn": "NULL", "pfn": "/NULL"}]}
    )
    assert job.transformation == ""
    assert job.files[0].lfn == "NULL"


@given(some.text())
def test_any_text_has_at_most_one_failing_line(text: str) -> None:
    line = failing_line(text)
    assert "\n" not in line
    assert len(line) <= 300


@pytest.mark.parametrize(
    ("stderr", "line"),
    [
        ("", ""),
        ("\n\n---\n", ""),
        ("first\nsecond: bad thing\n\n", "second: bad thing"),
        ("error: no newline at the end", "error: no newline at the end"),
        ("Traceback (most recent call last):\n  File 'x', line 1\nValueError: bad\nbye\n", "ValueError: bad"),
        (
            "Traceback (most recent call last):\n  File 'x'\nKeyError: 1\n\nDuring handling of the above exception, another "
            "exception occurred:\n\nTraceback (most recent call last):\n  File 'y'\nmy.module.Broken\n",
            "my.module.Broken",
        ),
        ("\x1b[31mred error\x1b[0m\x07\r\n", "red error"),
        ("../job.sh: line 1: nonsense: command not found", "../job.sh: line 1: nonsense: command not found"),
    ],
)
def test_the_failing_line_is_the_one_a_person_would_point_at(stderr: str, line: str) -> None:
    assert failing_line(stderr) == line


@pytest.mark.parametrize(
    ("end", "stderr", "name"),
    [
        (PayloadEnd(3, None, 0, 0), "", "PAYLOADEXECUTIONFAILURE"),
        (PayloadEnd(None, 11, 0, 0), "", "PAYLOADSIGSEGV"),
        (PayloadEnd(139, None, 0, 0), "Segmentation fault", "PAYLOADSIGSEGV"),
        (PayloadEnd(134, None, 0, 0), "terminate called: std::bad_alloc", "BADALLOC"),
        (PayloadEnd(1, None, 0, 0), "MemoryError", "PAYLOADOUTOFMEMORY"),
        (PayloadEnd(1, None, 0, 0), "cp: error writing 'x': No space left on device", "NOLOCALSPACE"),
        (PayloadEnd(None, 9, 0, 0), "", "PAYLOADEXECUTIONFAILURE"),
    ],
)
def test_ends_of_payloads_have_their_codes(end: PayloadEnd, stderr: str, name: str) -> None:
    failure = payload_failure(end, stderr, "", free_disk_mb=1000)
    assert failure is not None
    assert failure.error.name == name


def test_a_silent_failure_is_described_by_the_last_line_of_its_output() -> None:
    failure = payload_failure(PayloadEnd(2, None, 0, 0), "", "all is well\nnothing works\n", free_disk_mb=1000)
    assert failure is not None
    assert failure.diagnosis == "Failed to execute payload: exit code 2: nothing works"


@pytest.mark.parametrize(
    ("free_mb", "stderr", "diagnosis"),
    [
        (0, "", "Not enough local space: exit code 28 with 0 MB left on the node's disk"),
        (9, "aborted\n", "Not enough local space: exit code 28 with 9 MB left on the node's disk: aborted"),
        (10, "aborted\n", "Failed to execute payload: exit code 28: aborted"),
        (0, "std::bad_alloc\n", "Transform failed due to bad_alloc: exit code 28: std::bad_alloc"),
    ],
)
def test_a_payload_that_fails_on_a_full_disk_could_not_say_so(free_mb: int, stderr: str, diagnosis: str) -> None:
    failure = payload_failure(PayloadEnd(28, None, 0, 0), stderr, "", free_mb)
    assert failure is not None
    assert failure.diagnosis == diagnosis


@given(some.binary(max_size=300), some.integers(1, 100))
def test_a_tail_is_text_that_can_be_stored(content: bytes, limit_bytes: int) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        text = tail(Path(file.name), limit_bytes)
    assert "\0" not in text
    assert len(text) <= limit_bytes
    text.encode("utf-8")


@given(some.text(max_size=2000))
def test_a_diagnosis_begins_with_the_standard_sentence_and_fits(detail: str) -> None:
    failure = JobFailure(ERROR_CODES["STAGEINFAILED"], detail)
    assert failure.diagnosis.startswith("Failed to stage-in file")
    assert len(failure.diagnosis) <= 500
    assert "\0" not in failure.diagnosis


def test_pilot_and_server_have_the_same_table_of_codes() -> None:
    import core
    import pilot

    tables = [
        Path(str(core.__file__)).with_name("pilot_error_codes.csv"),
        Path(str(pilot.__file__)).with_name("error_codes.csv"),
    ]
    assert tables[0].read_bytes() == tables[1].read_bytes()
