"""Which candidates become incidents: those whose work is lost, that cost much, or that are many at one place.

A failure that the system tries again by itself is counted in a candidate that nobody is told of (docs/decisions.md). Knows
the counts of candidates and the parameters of job rules; knows no job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from pydantic import ValidationError

from core.database import Row, Transaction
from core.states import IncidentState
from logger import life
from logger.counts import Counts, Dimension, wilson
from logger.rules.job_parameters import JobRuleParameters

# throughput_totals by its primary key, which begins with bin_time
_ENDED = """
SELECT coalesce(sum(job_count), 0)::bigint AS count FROM throughput_totals
WHERE bin_time >= %(since)s AND job_status IN ('finished', 'failed')
"""
# ix_incident_jobs_residue
_LOST_LATELY = """
SELECT c.incident_id, count(*) AS residue_count, coalesce(sum(c.lost_core_s), 0)::bigint AS residue_lost_core_s
FROM unnest(%(incident_ids)s::bigint[], %(since)s::timestamptz[]) AS w (incident_id, since)
JOIN incident_jobs c ON c.incident_id = w.incident_id AND c.is_residue AND c.time > w.since
GROUP BY 1
"""
# uq_incident_rules_name
_RULES = (
    "SELECT name, version, parameters FROM incident_rules WHERE name = ANY(%(names)s::text[]) AND evaluator = 'job'"
)
# primary key; whoever comes second finds it open
_OPEN = """
UPDATE incidents i SET state = 'open', opened_time = %(now)s, opened_by = o.who, change_seq = i.change_seq + 1,
                       rule_version = o.version, modification_time = clock_timestamp()
FROM unnest(%(incident_ids)s::bigint[], %(who)s::text[], %(versions)s::bigint[]) AS o (incident_id, who, version)
WHERE i.incident_id = o.incident_id AND i.state = 'candidate'
RETURNING i.incident_id, i.severity
"""

LOST_WITHIN = timedelta(hours=1)
"""Lost work counts together within so long: at a busy site some job is lost now and then, and a candidate lives for days."""

PLACES: tuple[Dimension, ...] = ("node", "task", "user", "site")
"""Where failures can be a burst."""
BURST_WITHIN = timedelta(hours=1)
"""A candidate may live for days on failures here and there; a burst is what came of it lately."""
BURST_SHARE = 0.4
"""At least this part of a burst is at its place (lower Wilson bound)."""

_NAMES: Mapping[Dimension, str] = {"node": "the node", "task": "task", "user": "user", "site": "queue"}


@dataclass(frozen=True)
class Opened:
    """Why a candidate is an incident, in words."""

    reason: str


def decide(row: Mapping[str, Any], ended_last_hour: int, parameters: JobRuleParameters) -> Opened | None:
    """Whether a candidate is an incident by lost work or by cost; pure, shared with the back-test.

    `row`: residue_count and residue_lost_core_s of what failed `LOST_WITHIN`. `ended_last_hour`: jobs that ended in the hour
    before, of all queues.
    """
    wanted = max(parameters.min_residue_jobs, ceil(parameters.residue_part_of_ended * ended_last_hour))
    lost = row["residue_count"]
    if lost >= wanted:
        return Opened(f"{lost} job{' is' if lost == 1 else 's are'} lost after all retries")
    if row["residue_lost_core_s"] >= 3600 * parameters.min_lost_core_h:
        return Opened(f"{row['residue_lost_core_s'] // 3600} core-hours are lost after all retries")
    return None


def is_burst(counts: Counts, parameters: JobRuleParameters) -> Opened | None:
    """Whether a candidate's failures are a large part of what ended at one node, queue, or of one task or user; pure."""
    if counts.failures < parameters.burst_jobs:
        return None
    for place in PLACES:
        if place not in counts.values:
            continue
        k, b = counts.of(place)
        if wilson(k, counts.failures)[0] >= BURST_SHARE and wilson(k, b)[0] >= parameters.burst_rate:
            return Opened(f"{k} of {b} jobs that ended at {_NAMES[place]} {counts.values[place]} failed like this")
    return None


def promote(transaction: Transaction, candidates: Sequence[Row], now: datetime) -> list[int]:
    """Open the candidates that their rule opens, by lost work or cost, and return which. The caller holds their rows.

    `candidates`: incident_id, rule_name, residue_count, residue_lost_core_s of each in all its life, and `batch_start`, the
    time of the first failure that was just counted; `must_open`: whatever the rule says.
    """
    if not candidates:
        return []
    rules = rules_of(transaction, candidates)
    ended = transaction.fetch(_ENDED, {"since": now - timedelta(hours=1)})[0]["count"]
    opened = [(row, Opened("")) for row in candidates if row.get("must_open")]
    enough = [row for row in candidates if not row.get("must_open") and _decided(row, row, ended, rules)]
    lately = _lost_lately(transaction, enough) if enough else {}
    for row in enough:
        reason = _decided(row, lately.get(row["incident_id"], _NOTHING_LOST), ended, rules)
        if reason is not None:
            opened.append((row, reason))
    return open_candidates(transaction, opened, rules, now)


_NOTHING_LOST = {"residue_count": 0, "residue_lost_core_s": 0}


def _decided(row: Row, lost: Mapping[str, Any], ended: int, rules: Mapping[str, JobRuleInForce]) -> Opened | None:
    return decide(lost, ended, rules.get(row["rule_name"], _NO_RULE).parameters)


def _lost_lately(transaction: Transaction, candidates: Sequence[Row]) -> dict[int, Row]:
    values = {
        "incident_ids": [row["incident_id"] for row in candidates],
        "since": [row["batch_start"] - LOST_WITHIN for row in candidates],
    }
    return {row["incident_id"]: row for row in transaction.fetch(_LOST_LATELY, values)}


@dataclass(frozen=True)
class JobRuleInForce:
    """A rule of failed jobs as it is now."""

    version: int = 0
    parameters: JobRuleParameters = field(default_factory=JobRuleParameters)


_NO_RULE = JobRuleInForce()


def rules_of(transaction: Transaction, candidates: Sequence[Row]) -> dict[str, JobRuleInForce]:
    """The rules that made the candidates, by name; a rule that is gone or does not fit counts with its defaults."""
    names = sorted({row["rule_name"] for row in candidates})
    rules = {}
    for row in transaction.fetch(_RULES, {"names": names}):
        try:
            parameters = JobRuleParameters.model_validate(row["parameters"])
        except ValidationError:
            parameters = _NO_RULE.parameters
        rules[row["name"]] = JobRuleInForce(row["version"], parameters)
    return rules


def open_candidates(
    transaction: Transaction, opened: Sequence[tuple[Row, Opened]], rules: Mapping[str, JobRuleInForce], now: datetime
) -> list[int]:
    """Make incidents of candidates, which the caller has locked, and note it; returns which."""
    if not opened:
        return []
    reasons = {row["incident_id"]: reason.reason for row, reason in opened}
    versions = {row["incident_id"]: rules.get(row["rule_name"], _NO_RULE).version for row, _ in opened}
    names = {row["incident_id"]: row["rule_name"] for row, _ in opened}
    who = {key: f"rule {names[key]} v{versions[key]}" if versions[key] else f"rule {names[key]}" for key in names}
    ids = sorted(reasons)
    rows = transaction.fetch(
        _OPEN,
        {
            "incident_ids": ids,
            "who": [who[key] for key in ids],
            "versions": [versions[key] for key in ids],
            "now": now,
        },
    )
    openings = [
        life.Opening(key, IncidentState.OPEN.value, row["severity"], who[key], reasons[key])
        for row in sorted(rows, key=lambda row: row["incident_id"])
        if (key := row["incident_id"])
    ]
    life.note_openings(transaction, openings, now)
    return [one.incident_id for one in openings]
