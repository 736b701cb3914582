"""From counts to a verdict: who or what a trouble is, by Wilson bounds. Knows no SQL and no clock.

Whatever holds a large part of a trouble, and a much larger part of it than of all work, is what the trouble is: *score* =
lower bound of its share of the failures / upper bound of its share of all that ended. What kind of error it is never
decides; it only says in which order equals are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from logger.bad_nodes import EXPLAINED_JOBS, EXPLAINED_RATE, BadNodes, bad_nodes
from logger.counts import DIMENSIONS, Counts, Dimension, wilson
from logger.steps import owner_hint

VERDICTS: Mapping[Dimension, str] = {
    "site": "site",
    "task": "task",
    "user": "user",
    "node": "node",
    "storage": "data",
    "dataset": "data",
}

STRONG_SCORE = 4.0
STRONG_JOBS = 10
WEAK_JOBS = 5
FEWEST_JOBS = 3
"""Fewer failures are never anybody's: unclear."""
CENTRAL_TASKS_OR_USERS = 3
STRONG_OVERLAP = 0.8

MOST_OF_ALL = 0.5
LARGE_CONTRAST = 5.0
"""Who has most of all work cannot have twice that share of the failures: his jobs fail so many times as often as others."""
LARGE_OTHERS = 20
"""And at least so many others ended."""

LIKELY_SCORE = 2.0
"""So many times the score that is asked for makes up for a share that small numbers leave unsure."""
NEARLY = 0.75
"""And so much of it is enough where the jobs elsewhere do not fail like this."""

_EQUALS = 1.2
"""Scores that differ by less are equal; then `_ORDER` decides."""
_OF_DATA = frozenset({"data", "storage", "auth"})


class VerdictSettings(Protocol):
    """How sure a verdict must be (core/incident_settings.py)."""

    @property
    def verdict_min_share(self) -> float:
        """Of the failures that a culprit holds."""

    @property
    def verdict_min_score(self) -> float:
        """How many times its share of all work."""

    @property
    def central_queues(self) -> int:
        """At least so many are hit by a central trouble."""

    @property
    def central_overlap(self) -> float:
        """And so much of failures and work is common."""


@dataclass(frozen=True)
class Verdict:
    """Who or what it is. `document`: every number it rests on, as the pages show it (docs/api.md)."""

    verdict: str
    value: str
    score: float
    confidence: str
    sentence: str
    document: Mapping[str, Any]


@dataclass
class _Standing:
    """How a dimension's top value stands."""

    dimension: Dimension
    value: str
    k: int
    b: int
    share: tuple[float, float]
    usual: tuple[float, float]
    score: float
    is_candidate: bool
    elsewhere: tuple[int, int]
    """Failures and ended jobs with other values."""
    explained_by: str = ""
    others: tuple[int, int] = (0, 0)

    def document(self, n: int, ended: int) -> dict[str, Any]:
        return {
            "dimension": self.dimension,
            "value": self.value,
            "k": self.k,
            "p": _rounded(self.k / n if n else 0.0),
            "p_low": _rounded(self.share[0]),
            "p_high": _rounded(self.share[1]),
            "b": self.b,
            "q": _rounded(self.b / ended if ended else 0.0),
            "q_low": _rounded(self.usual[0]),
            "q_high": _rounded(self.usual[1]),
            "score": _rounded(self.score),
            "rate": _rounded(self.k / self.b if self.b else 0.0),
            "elsewhere_failed": self.elsewhere[0],
            "elsewhere": self.elsewhere[1],
            "is_candidate": self.is_candidate,
            "explained_by": self.explained_by,
            "others_failed": self.others[0],
            "others": self.others[1],
        }


def judge(counts: Counts, error_class: str, settings: VerdictSettings) -> Verdict:
    """Who or what it is, with every number it rests on.

    `error_class`: what kind of error it is (logger/steps.py); it only orders equals and gives the hint of an unclear case.
    """
    standings = [_standing(counts, name, settings) for name in DIMENSIONS if counts.values.get(name)]
    n, overlap = counts.failures, _overlap(counts)
    candidates = _candidates(standings, n, settings)
    winner = _winner(candidates, error_class) if n >= FEWEST_JOBS else None
    bad: BadNodes | None = None
    if winner is not None:
        winner = _wider(counts, winner, candidates, error_class)
        _explain(counts, winner, candidates)
        bad = bad_nodes(counts) if winner.dimension in ("site", "node") else None
        if bad is not None and winner.dimension == "node" and winner.value not in bad.nodes:
            bad = None
        verdict, value, score = VERDICTS[winner.dimension], winner.value, winner.score
        sentence = _sentence(winner, candidates, n, counts.ended)
        if bad is not None:
            verdict, value, score, sentence = "node", bad.worst, bad.score, bad.sentence
    elif _is_central(counts, overlap, settings):
        verdict, value, score = "central", "", 0.0
        sentence = (
            f"everywhere: {len(_hit(counts))} queues are hit as much as work is there"
            f" ({_percent(overlap)} of both is common)"
        )
    else:
        verdict, value, score = "unclear", "", 0.0
        sentence = _unclear(counts, overlap, settings)
    is_likely_only = winner is not None and winner.share[0] < settings.verdict_min_share
    confidence = "weak" if is_likely_only else _confidence(verdict, score, n, overlap)
    document = {
        "n": n,
        "ended": counts.ended,
        "window": {"from": _time(counts.start), "to": _time(counts.end)},
        "dimensions": [one.document(n, counts.ended) for one in sorted(standings, key=lambda one: -one.score)],
        "overlap": _rounded(overlap),
        "confidence": confidence,
        "sentence": sentence,
        "hint": owner_hint(error_class) if verdict == "unclear" else "",
        "estimated": list(counts.estimated),
        "note": counts.note,
        **({"nodes": bad.document()} if bad else {}),
    }
    return Verdict(verdict, value, score, confidence, sentence, document)


def stated(verdict: str, value: str, sentence: str, *, confidence: str = "fair", hint: str = "") -> Verdict:
    """A verdict that follows from what an incident is about, without counts: a measure of one queue, our own service."""
    document = {"confidence": confidence, "sentence": sentence, "hint": hint, "dimensions": []}
    return Verdict(verdict, value, 0.0, confidence, sentence, document)


def _standing(counts: Counts, dimension: Dimension, settings: VerdictSettings) -> _Standing:
    k, b = counts.of(dimension)
    share, usual = wilson(k, counts.failures), wilson(b, counts.ended)
    score = share[0] / usual[1] if usual[1] else 0.0
    elsewhere = counts.failures - k, counts.ended - b
    one = _Standing(dimension, counts.values[dimension], k, b, share, usual, score, False, elsewhere)
    # who has most of the work cannot have twice that share: not even all of the failures would be
    is_much = _is_contrast(one) if usual[1] > MOST_OF_ALL else score >= settings.verdict_min_score
    one.is_candidate = share[0] >= settings.verdict_min_share and is_much
    return one


def _is_contrast(one: _Standing) -> bool:
    """Whether its jobs fail like this much more often than those elsewhere."""
    return one.elsewhere[1] >= LARGE_OTHERS and wilson(one.k, one.b)[0] >= LARGE_CONTRAST * wilson(*one.elsewhere)[1]


def _candidates(standings: Sequence[_Standing], n: int, settings: VerdictSettings) -> list[_Standing]:
    """Who can be it. In small numbers no share is sure: when nobody can, those are looked at whose jobs alone fail like
    this, and who hold half of the failures and by far more of them than of the work."""
    sure = [one for one in standings if one.is_candidate]
    if sure:
        return sure
    for one in standings:
        holds_half = one.k >= WEAK_JOBS and 2 * one.k >= n and one.score >= LIKELY_SCORE * settings.verdict_min_score
        holds_much = one.share[0] >= settings.verdict_min_share and one.score >= NEARLY * settings.verdict_min_score
        one.is_candidate = holds_half or (holds_much and _is_contrast(one))
    return [one for one in standings if one.is_candidate]


def _order(error_class: str) -> tuple[Dimension, ...]:
    """In which order equals are named. A missing or changed file is its dataset's fault wherever it is read; storage comes
    early only for what storage can do."""
    if error_class in ("data", "storage"):
        return ("dataset", "node", "storage", "task", "user", "site")
    if error_class in _OF_DATA:
        return ("node", "dataset", "storage", "task", "user", "site")
    return ("node", "task", "user", "site", "storage", "dataset")


def _able(candidates: Sequence[_Standing], error_class: str) -> list[_Standing]:
    """Of errors that are not of data a dataset is never the verdict."""
    return [one for one in candidates if error_class in _OF_DATA or one.dimension != "dataset"]


def _winner(candidates: Sequence[_Standing], error_class: str) -> _Standing | None:
    able = _able(candidates, error_class)
    if not able:
        return None
    best = max(one.score for one in able)
    order = _order(error_class)
    equals = [one for one in able if one.score * _EQUALS >= best]
    return min(equals, key=lambda one: order.index(one.dimension))


def _wider(counts: Counts, winner: _Standing, candidates: Sequence[_Standing], error_class: str) -> _Standing:
    """Who holds surely more of the failures than the winner, and whose jobs fail like this without it, too: of a user's
    two broken tasks neither is the verdict, because the other would go unnamed."""
    wider = [
        one
        for one in _able(candidates, error_class)
        if one.share[0] > winner.share[1]
        and wilson(*counts.outside(one.dimension, winner.dimension))[0] >= EXPLAINED_RATE
    ]
    return max(wider, key=lambda one: one.score, default=winner)


def _explain(counts: Counts, winner: _Standing, candidates: Sequence[_Standing]) -> None:
    """What else looked guilty is innocent when its other jobs do not fail like this."""
    for one in candidates:
        if one is winner:
            continue
        one.others = counts.outside(one.dimension, winner.dimension)
        if one.others[1] >= EXPLAINED_JOBS and wilson(*one.others)[1] < EXPLAINED_RATE:
            one.explained_by = winner.dimension


def _hit(counts: Counts) -> list[str]:
    return [queue for queue, (k, _) in counts.queues.items() if k]


def _overlap(counts: Counts) -> float:
    """How much the queues' shares of the failures and of the work have in common, from 0 to 1."""
    failures = sum(k for k, _ in counts.queues.values())
    ended = sum(max(k, b) for k, b in counts.queues.values())
    if not failures or not ended:
        return 0.0
    return sum(min(k / failures, max(k, b) / ended) for k, b in counts.queues.values())


def _is_central(counts: Counts, overlap: float, settings: VerdictSettings) -> bool:
    return (
        counts.failures >= WEAK_JOBS
        and len(_hit(counts)) >= settings.central_queues
        and max(counts.task_count, counts.user_count) >= CENTRAL_TASKS_OR_USERS
        and overlap >= settings.central_overlap
    )


def _confidence(verdict: str, score: float, n: int, overlap: float) -> str:
    if verdict == "unclear" or n < WEAK_JOBS:
        return "weak"
    is_sure = overlap >= STRONG_OVERLAP if verdict == "central" else score >= STRONG_SCORE
    return "strong" if is_sure and n >= STRONG_JOBS else "fair"


_NAMES: Mapping[Dimension, str] = {
    "site": "the queue",
    "task": "the task",
    "user": "the user",
    "node": "the node",
    "storage": "the storage",
    "dataset": "the dataset",
}


def _sentence(winner: _Standing, candidates: Sequence[_Standing], n: int, ended: int) -> str:
    failures = f"all {n} failures are there" if winner.k == n else f"{winner.k} of {n} failures are there"
    text = f"{_NAMES[winner.dimension]} {winner.value}: {failures}, {_percent(winner.b / ended)} of all work is"
    if winner.usual[1] > MOST_OF_ALL:
        text += f"; of {winner.elsewhere[1]} jobs elsewhere {winner.elsewhere[0] or 'none'} failed like this"
    explained = [one for one in candidates if one.explained_by]
    if explained:
        one = max(explained, key=lambda other: other.score)
        place = f"of {_NAMES[one.dimension]} {one.value}"
        text += f"; {one.others[0]} of {one.others[1]} other jobs {place} failed like this"
    return text


def _unclear(counts: Counts, overlap: float, settings: VerdictSettings) -> str:
    """Why it is nobody's, and what would decide."""
    n, hit = counts.failures, len(_hit(counts))
    if n < FEWEST_JOBS:
        return f"{n} failure{'' if n == 1 else 's'}: too few to say whose it is"
    if n < WEAK_JOBS or overlap < settings.central_overlap:
        return "nothing holds much more of the failures than of all work"
    common = f"failures are spread like the work ({_percent(overlap)} of both is common)"
    if hit < settings.central_queues:
        queues = "one queue" if hit == 1 else f"{hit} queues"
        return (
            f"{common}, but over {queues} only, and less than {settings.central_queues} are never called central: "
            "jobs that end at another queue would tell"
        )
    return (
        f"{common}, but of {counts.task_count} task{'' if counts.task_count == 1 else 's'} of {counts.user_count}"
        f" user{'' if counts.user_count == 1 else 's'} only: the work of others there would tell whether it is the"
        " work or everything"
    )


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "less than 1 %"
    return f"{share:.0%}".replace("%", " %")


def _rounded(number: float) -> float:
    return round(number, 6)


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
