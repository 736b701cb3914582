"""Fingerprints of version 1, which never change: what varies is put aside, what names the cause stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logger.fingerprints.v1 import MAX_WORDS, fingerprint, normalised_words


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("job 17 failed on wn042 after 3.5 s", "job 18 failed on wn7 after 12 s"),
        ("copy of /a/b/c.root failed", "copy of /tmp/x failed"),
        ("copy of root://eos.cern.ch:1094//eos/a failed", "copy of root://other.host.org//b/c/d failed"),
        ("no answer from se1.example.org:8443", "no answer from 10.0.0.7"),
        ("lost heartbeat since 2026-11-21T10:00:00+00:00", "lost heartbeat since 2025-01-02 03:04:05,678"),
        ("object at 0x7f3a2b is dead", "object at 0xdeadbeef is dead"),
        ("guid 123e4567-e89b-12d3-a456-426614174000 unknown", "guid 00000000-0000-0000-0000-000000000000 unknown"),
        ("KeyError: 'run_17'", 'KeyError: "anything else"'),
        ("dataset user.ann.test.0001 has no replica", "dataset mc23_13TeV.601229.PhPy8EG.AOD has no replica"),
        ("cannot open results.txt", "cannot open other_results.json"),
        ("checksum 0a1b2c3d4e differs", "checksum ffee00112233 differs"),
    ],
)
def test_what_varies_from_job_to_job_does_not_matter(first: str, second: str) -> None:
    assert normalised_words(first) == normalised_words(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("No module named 'numpy'", "No module named 'scipy'"),
        ("[Errno 28] writing", "[Errno 13] writing"),
        ("HTTP 404 from the server", "HTTP 503 from the server"),
        ("json.decoder.JSONDecodeError: x", "configparser.sections.ParsingError: x"),
        ("stage-in failed", "stage-out failed"),
        ("Input/output error", "Permission denied"),
        ("undefined reference to `foo'", "undefined reference to `bar'"),
    ],
)
def test_what_names_the_cause_matters(first: str, second: str) -> None:
    assert normalised_words(first) != normalised_words(second)


@given(st.text(max_size=400))
def test_any_text_has_at_most_twelve_words(message: str) -> None:
    words = normalised_words(message)
    assert len(words) <= MAX_WORDS
    assert all(word and not word.isspace() and word == word.lower() for word in words)


@given(
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.sampled_from(["file {} is missing", "wn{} died", "x={}", "{} MB used"]),
)
def test_numbers_never_matter(first: int, second: int, message: str) -> None:
    assert normalised_words(message.format(first)) == normalised_words(message.format(second))


def test_component_code_and_step_separate_what_reads_the_same() -> None:
    keys = {
        fingerprint("pilot", 1305, "failed").key,
        fingerprint("pilot", 1306, "failed").key,
        fingerprint("ddm", 1305, "failed").key,
        fingerprint("pilot", 1305, "failed", "payload a.py:main").key,
        fingerprint("pilot", 1305, "failed", "payload b.py:main").key,
        fingerprint("pilot", None, "failed").key,
    }
    assert len(keys) == 6
    assert all(key.startswith("v1:") for key in keys)


def test_the_emitters_own_key_wins_and_is_kept_readable() -> None:
    first = fingerprint("pilot", 1, "one", explicit="storage CERN down")
    second = fingerprint("ddm", 2, "two", "step", explicit="storage  CERN\ndown")
    assert first.key == second.key == "v1:storage CERN down"
    assert "same key, 'storage CERN down'" in first.grouping


def test_the_grouping_says_why() -> None:
    grouping = fingerprint(
        "pilot", 1305, "ValueError: 17", "payload count.py:main", code_name="PAYLOADEXECUTIONFAILURE"
    ).grouping
    assert grouping == (
        "They have the same component (pilot), the same code (1305 PAYLOADEXECUTIONFAILURE), the same failing step "
        "(payload count.py:main) and the same message, numbers and names aside ('valueerror <n>')."
    )


@given(
    st.text(max_size=50),
    st.one_of(st.none(), st.integers()),
    st.text(max_size=200),
    st.text(max_size=50),
    st.text(max_size=300),
)
def test_any_input_gives_a_bounded_key(
    component: str, code: int | None, message: str, step: str, explicit: str
) -> None:
    made = fingerprint(component, code, message, step, explicit=explicit)
    assert made.key.startswith("v1:") and len(made.key) < 300 and made.grouping.endswith(".")
