"""What a rule would have done with the stored past: when it would have opened incidents, and which real ones it would not.

Reads only, ten seconds at most; says what it could not look at. A rule is tried alone: rules before it in the list may count
an event first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg2.errors import QueryCanceled

from core.database import Database, Transaction
from core.errors import InvalidInput
from logger.replays.base import Limit, Opening, Replay
from logger.replays.jobs import JobReplay
from logger.replays.measures import MeasureReplay
from logger.replays.records import replay_records
from logger.rule_rows import RuleDraft, active_rules, checked
from logger.rules import EVALUATORS, RuleRow

MAX_DAYS = 30
MOST_OPENINGS = 200
_NAMED = 5

# what the rule itself has opened since; ix_incidents_shown
_REAL = """
SELECT incident_id FROM incidents
WHERE opened_time >= %(start)s AND opened_time < %(end)s AND last_seen >= %(start)s AND rule_name = %(name)s
ORDER BY incident_id
"""


@dataclass(frozen=True)
class BackTest:
    """`openings`: the latest two hundred of `count`. `missed`: incidents of the rule of that name which it would not have
    opened. `is_complete`: whether all of the past was looked at; `exact_from`: since when it is known."""

    count: int
    openings: list[Opening]
    missed: list[int]
    sentence: str
    is_complete: bool
    exact_from: datetime | None
    looked_at: int
    cautions: list[str]

    def as_document(self) -> dict[str, Any]:
        """The same for an answer."""
        return {**asdict(self), "openings": [asdict(one) for one in self.openings]}


def back_test(database: Database, draft: RuleDraft, days: float, now: datetime, limit: Limit | None = None) -> BackTest:
    """When the rule would have opened incidents in the last `days` (30 at most), and what present ones it would not have.

    Raises InvalidInput as when the rule is made, and for the days.
    """
    if not 0 < days <= MAX_DAYS:
        raise InvalidInput(f"not a number of days: {days:g}", field="days", remedy=f"more than 0, at most {MAX_DAYS}")
    rule = checked(draft)
    present = next((row for row in active_rules(database) if row.name == rule.name), None)
    start = now - timedelta(days=days)
    with database.transaction() as transaction:
        transaction.execute("SET TRANSACTION READ ONLY")
        replay = _replayed(transaction, rule, present, start, now, limit or Limit())
        transaction.execute("SET LOCAL statement_timeout = '2s'")
        real = transaction.fetch(_REAL, {"start": start, "end": now, "name": rule.name})
    found = {one.incident_id for one in replay.openings}
    covered = replay.exact_from or start
    missed = [row["incident_id"] for row in real if row["incident_id"] not in found] if replay.is_complete else []
    return BackTest(
        count=len(replay.openings),
        openings=replay.openings[-MOST_OPENINGS:],
        missed=missed,
        sentence=_sentence(replay, days, missed),
        is_complete=replay.is_complete,
        exact_from=covered,
        looked_at=replay.looked_at,
        cautions=replay.cautions,
    )


def _replayed(
    transaction: Transaction, rule: RuleRow, present: RuleRow | None, start: datetime, end: datetime, limit: Limit
) -> Replay:
    sort = EVALUATORS[rule.evaluator].sort
    limit.set(transaction)
    try:
        with transaction.savepoint():
            if sort == "record":
                return replay_records(transaction, rule, start, end, limit)
            if sort == "job":
                return JobReplay(transaction, rule, start, end, limit).run()
            return MeasureReplay(transaction, rule, present, start, end, limit).run()
    except QueryCanceled:
        return Replay(is_complete=False, exact_from=end, cautions=["it took too long to look at all of it"])


def _sentence(replay: Replay, days: float, missed: list[int]) -> str:
    """`would have fired 3 times in the last 7 days, at Mon 10:02 (CERN), ...; two of them are incidents 17 and 21`."""
    span = "day" if days == 1 else f"{days:g} days"
    openings = replay.openings
    if not openings:
        said = f"would not have fired in the last {span}"
    else:
        times = {1: "once", 2: "twice"}.get(len(openings), f"{len(openings)} times")
        places = [f"{one.time:%a %H:%M}{f' ({one.subject})' if one.subject else ''}" for one in openings[:_NAMED]]
        more = f" and {len(openings) - _NAMED} more" if len(openings) > _NAMED else ""
        said = f"would have fired {times} in the last {span}, at {', '.join(places)}{more}"
        known = sorted({one.incident_id for one in openings if one.incident_id is not None})
        if known:
            said += f"; {_incidents(known)} {'was' if len(known) == 1 else 'were'} among them"
    if missed:
        said += f"; {_incidents(missed)} would not have been opened"
    if not replay.is_complete:
        said += "; not all of it could be looked at in ten seconds"
    return "; ".join([said, *replay.cautions])


def _incidents(numbers: list[int]) -> str:
    shown = [str(number) for number in numbers[:_NAMED]]
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    if len(shown) > 1 and not more:
        shown[-2:] = [f"{shown[-2]} and {shown[-1]}"]
    return f"incident{'s' if len(numbers) > 1 else ''} {', '.join(shown)}{more}"
