"""What the measure rules measured, the worst of each subject in five minutes, so that every rule has a past.

Knows the table, no limit. Kept are the subjects that are nearest to their limits: those at half of it or more and always
some, so that also a limit of half the size can be tried on the past.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.database import Database, Transaction
from core.text import clean
from logger.folding import BIN_S, bin_start
from logger.rules.base import Measurement, MeasureRule, RuleRow

KEPT = timedelta(days=30)
_ALWAYS = 20
_MOST = 200
_MAX_SUBJECT_CHARACTERS = 300

# primary key; `note` is the number that the subject's own limit was worked out from
_NOTE_LOW, _NOTE_HIGH = (
    f"""
    INSERT INTO watch_samples (rule_name, bin_time, subject, value, note) VALUES %s
    ON CONFLICT (rule_name, bin_time, subject) DO UPDATE SET
        value = {worst}(watch_samples.value, excluded.value), note = excluded.note
    """
    for worst in ("least", "greatest")
)
# ix_watch_samples_time
_FORGET = "DELETE FROM watch_samples WHERE bin_time < %(before)s"
# primary key, a range of one rule
_OF_RULE = """
SELECT bin_time, subject, value, note FROM watch_samples
WHERE rule_name = %(name)s AND bin_time >= %(from)s AND bin_time < %(to)s
ORDER BY bin_time, subject LIMIT %(most)s
"""
_BIN = timedelta(seconds=BIN_S)


class Samples:
    """Gathers what is measured and writes it now and then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bins: dict[tuple[str, bool], dict[tuple[datetime, str], tuple[float, float]]] = {}
        self._forgotten: datetime | None = None

    def add(self, rule: MeasureRule[Any], name: str, measured: Sequence[Measurement], now: datetime) -> None:
        """Remember the worst values."""
        kept = self._bins.setdefault((name, rule.is_low), {})
        bin_time = bin_start(now)
        for one in _nearest(rule, measured):
            place = (bin_time, clean(one.subject, _MAX_SUBJECT_CHARACTERS))
            value, _ = kept.get(place, (one.value, 0.0))
            kept[place] = ((min if rule.is_low else max)(value, one.value), one.usual)

    def flush(self, now: datetime) -> None:
        """Write what is remembered, and once an hour forget what is old. Raises Unavailable."""
        with self._database.transaction() as transaction:
            for (name, is_low), kept in sorted(self._bins.items()):
                rows = [
                    (name, *place, value, f"{usual:g}" if usual else "")
                    for place, (value, usual) in sorted(kept.items())
                ]
                transaction.insert_many(_NOTE_LOW if is_low else _NOTE_HIGH, rows)
            if self._forgotten is None or now - self._forgotten >= timedelta(hours=1):
                transaction.execute(_FORGET, {"before": now - KEPT})
                self._forgotten = now
        self._bins.clear()


def samples_of(
    transaction: Transaction, name: str, start: datetime, end: datetime, most: int
) -> Iterator[tuple[datetime, str, float, float]]:
    """(bin, subject, value, usual) of a rule from `start` to `end` in order of time, at most `most`."""
    for row in transaction.fetch(_OF_RULE, {"name": name, "from": start, "to": end, "most": most}):
        yield row["bin_time"], row["subject"], row["value"], float(row["note"] or 0)


def over_since(
    transaction: Transaction, rule: MeasureRule[Any], row: RuleRow, measured: Sequence[Measurement], now: datetime
) -> dict[str, datetime]:
    """Since when the subjects that are beyond their limits now have been so without a break, as far as it is known.

    A bin tells only that the limit was passed at some time in it: its end counts, so that nothing opens too early.
    """
    parameters: Any = row.limits
    beyond = {one.subject: one.limit for one in measured if rule.is_beyond(one.value, one.limit)}
    if not beyond or not parameters.for_s:
        return {}
    first = bin_start(now - timedelta(seconds=parameters.for_s)) - 2 * _BIN
    bins: dict[str, set[datetime]] = {}
    for bin_time, subject, value, _ in samples_of(transaction, row.name, first, now, 100_000):
        if subject in beyond and rule.is_beyond(value, beyond[subject]):
            bins.setdefault(subject, set()).add(bin_time)
    since = {}
    for subject, passed in bins.items():
        place = bin_start(now)
        earliest = now
        if place not in passed:
            place -= _BIN
        while place in passed:
            earliest = min(now, place + _BIN)
            place -= _BIN
        since[subject] = earliest
    return since


def _nearest(rule: MeasureRule[Any], measured: Sequence[Measurement]) -> list[Measurement]:
    ordered = sorted(measured, key=lambda one: _nearness(rule, one), reverse=True)
    return [one for place, one in enumerate(ordered[:_MOST]) if place < _ALWAYS or _nearness(rule, one) >= 0.5]


def _nearness(rule: MeasureRule[Any], one: Measurement) -> float:
    """1 at the limit, more beyond it."""
    if rule.is_low:
        return one.limit / one.value if one.value > 0 else float("inf")
    return one.value / one.limit if one.limit > 0 else float("inf")
