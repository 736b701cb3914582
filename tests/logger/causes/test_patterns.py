"""Every row of the table of patterns finds the line it is for in a whole log, and no row takes another's."""

from __future__ import annotations

import pytest

from logger.culprit import PATTERNS, find_culprit
from logger.culprit.cleaning import shown_culprit
from logger.steps import ERROR_CLASSES, STEPS_OF_A_JOB
from tests.logger.causes.tables import PAGE, sample_log, sample_rows, with_tables


@pytest.mark.parametrize("sample", sample_rows(), ids=lambda sample: sample["pattern"])
def test_a_whole_log_names_its_cause_by_its_own_pattern(sample: dict[str, str]) -> None:
    log = sample_log(sample["pattern"])
    number = int(sample["line_number"])
    culprit = find_culprit(log)
    assert culprit is not None
    assert (culprit.pattern, culprit.line_number) == (sample["pattern"], number)
    assert culprit.text == shown_culprit(log.split("\n")[number - 1])
    assert (culprit.step, culprit.error_class) == (sample["step"], sample["error_class"])


def test_every_pattern_has_one_sample_and_every_sample_a_pattern() -> None:
    listed = [sample["pattern"] for sample in sample_rows()]
    assert sorted(listed) == sorted(pattern.name for pattern in PATTERNS)


def test_samples_are_whole_logs() -> None:
    for sample in sample_rows():
        log = sample_log(sample["pattern"])
        assert 15 <= log.count("\n") <= 60, sample["pattern"]


def test_steps_and_classes_are_known_and_general_words_say_neither() -> None:
    for pattern in PATTERNS:
        assert pattern.step in {"", *STEPS_OF_A_JOB} and pattern.error_class in {"", *ERROR_CLASSES}
        if pattern.is_generic:
            assert (pattern.step, pattern.error_class) == ("", "")


def test_hints_are_what_they_are_compared_with() -> None:
    for pattern in PATTERNS:
        assert all(hint == hint.lower() and "\n" not in hint for hint in pattern.hints)
        assert pattern.hints or pattern.name == "last_line"


_NOISE = """\
0 failed, 0 errors, warnings: 3
errors: 0
Warning in <TClass::Init>: no dictionary for class xAOD::Jet_v1 is available
ERROR: ld.so: object 'libtracer.so' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.
W tensorflow] Could not load dynamic library 'libcudart.so.11.0'; dlerror: libcudart.so.11.0: cannot open shared object file
E cuda_driver.cc:271] failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected
WARNING: CPU does not support AVX512, falling back to AVX2
This binary is optimized to use AVX2 FMA instructions in performance-critical operations.
cgroup: memory cgroup v2 is used, limit 16 GB
signals handled: SIGTERM, SIGINT, SIGXCPU, SIGXFSZ
distributed.worker.memory - WARNING - Worker is at 81% memory usage. Pausing worker. Process memory: 3.04 GiB
INFO license found, checked out for 8 hours
Number of failed channels: 0
bash: module: command not found
tar: events: Cannot change ownership to uid 1000, gid 1000: Operation not permitted
connect to se1.example.org port 443 failed: Connection refused; retrying in 10 s
curl: (28) Operation timed out; will retry in 3 seconds
attempt 1 of 3: gfal-copy error: 5 (Input/output error) - the server is busy
frontier.c:1014: Request 3 on chan 2 failed at 10:00:00: -9; Trying next proxy squid2.example.org
psycopg.OperationalError: the connection was lost, trying again
ERROR: cannot draw image 17, it is empty
"""
_LATE = {
    "module_missing",
    "command_not_found",
    "permission",
    "shell",
    "make",
    "workflow",
    "killed",
    "aborted",
    "terminated",
}


def test_the_usual_noise_before_a_cause_does_not_hide_it() -> None:
    generic = {pattern.name for pattern in PATTERNS if pattern.is_generic}
    for sample in sample_rows():
        if sample["pattern"] in generic | _LATE:
            continue
        log = sample_log(sample["pattern"])
        found = find_culprit(_NOISE + log)
        assert found is not None
        expected = (sample["pattern"], int(sample["line_number"]) + _NOISE.count("\n"))
        assert (found.pattern, found.line_number) == expected


def test_the_page_shows_the_tables_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "python -m tests.logger.causes.tables"
    assert all(f"| {pattern.name} |" in page for pattern in PATTERNS)
