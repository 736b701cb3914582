"""Of messages that differ in numbers only few are looked at in full, and the answer is the same as if all were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logger import classifying
from logger.classifying import LOOKED_AT, Classifier
from logger.events import Event
from logger.records import Record, read_record
from logger.rules import RuleRow, record_event
from logger.rules.parameters import RecordParameters
from tests.logger.builders import record

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = (RuleRow(1, "service_errors", "record", "service", "warning", {}, 1, RecordParameters()),)


def read(message: str, **fields: Any) -> Record:
    return read_record(record(message, time=NOW.isoformat(), **fields), NOW)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that were looked at in full."""
    seen: list[str] = []

    def counting(rules: Sequence[RuleRow], looked_at: Record) -> Event | None:
        seen.append(looked_at.message)
        return record_event(rules, looked_at)

    monkeypatch.setattr(classifying, "record_event", counting)
    return seen


def test_of_a_flood_few_are_looked_at_and_each_event_is_its_records_own(looks: list[str]) -> None:
    classifier = Classifier()
    for number in range(100, 900):
        said = read(f"cannot write block {number} of /data/x", computing_site="CERN", host=f"wn{number}")
        assert classifier.event(RULES, said) == record_event(RULES, said)
    assert len(looks) == LOOKED_AT


def test_numbers_that_name_a_cause_divide_what_is_alike() -> None:
    classifier = Classifier()
    for _ in range(2 * LOOKED_AT):
        keys = {
            classifier.event(RULES, read(f"write failed: [Errno {code}] on block 17")).fingerprint for code in (28, 13)
        }  # type: ignore[union-attr]
        assert len(keys) == 2


def test_a_rule_that_changed_is_asked_again(looks: list[str]) -> None:
    classifier = Classifier()
    said = read("disk 7 is slow", level="WARNING")
    for _ in range(5):
        assert classifier.event(RULES, said) is None
    stricter = (replace(RULES[0], version=2, limits=RecordParameters(level="WARNING")),)
    assert classifier.event(stricter, said) is not None
    assert len(looks) == LOOKED_AT + 1


def test_queues_are_alike_unless_a_rule_selects_by_them(looks: list[str]) -> None:
    said = [read("disk 7 is slow", computing_site=f"SITE{number}") for number in range(20)]
    classifier = Classifier()
    assert {event.computing_site for one in said if (event := classifier.event(RULES, one))} == {
        f"SITE{n}" for n in range(20)
    }
    assert len(looks) == LOOKED_AT
    choosy = (replace(RULES[0], version=3, limits=RecordParameters(queues="SITE1|SITE2")),)
    assert [one.computing_site for one in said if classifier.event(choosy, one)] == ["SITE1", "SITE2"]


def test_what_is_alike_and_told_apart_by_the_rules_is_always_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_parity(rules: Sequence[RuleRow], said: Record) -> Event | None:
        return record_event(rules, said) if said.message.endswith(("0", "2", "4", "6", "8")) else None

    monkeypatch.setattr(classifying, "record_event", by_parity)
    classifier = Classifier()
    found = [classifier.event(RULES, read(f"block {number}")) for number in range(10, 30)]
    assert [event is None for event in found] == [number % 2 == 1 for number in range(10, 30)]


_WORDS = [
    "cannot",
    "write",
    "failed",
    "http",
    "errno",
    "exit code",
    "status",
    "signal",
    "error",
    "returned error",
    "of",
    "ORA-",
]
_VARYING = [
    "{n}",
    "{m}",
    "wn{n}",
    "wn{m}.cern.ch",
    "/data/{n}/x",
    "ad:{n}a{m}b",
    "{n} MB",
    "10.0.{n}.{m}",
    "x{n}.root",
    "[{n}]",
]


@settings(max_examples=150)
@given(
    pieces=st.lists(st.sampled_from(_WORDS + _VARYING), min_size=1, max_size=8),
    numbers=st.lists(st.tuples(st.integers(10, 99), st.integers(10, 99)), min_size=5, max_size=12),
    host=st.sampled_from(["wn{n}", "slot1@wn{m}.cern.ch", "other"]),
)
def test_the_answer_is_the_same_as_if_every_record_was_looked_at(
    pieces: list[str], numbers: list[tuple[int, int]], host: str
) -> None:
    classifier = Classifier()
    for n, m in [numbers[0]] * LOOKED_AT + numbers:
        said = read(" ".join(pieces).format(n=n, m=m), host=host.format(n=n, m=m), panda_id=n, jedi_task_id=m)
        answer, full = classifier.event(RULES, said), record_event(RULES, said)
        assert answer is not None and full is not None
        assert answer.fingerprint == full.fingerprint
        assert (answer.title, answer.host, answer.time) == (full.title, full.host, full.time)
