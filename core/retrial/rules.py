"""Which rules a failed job meets, and which of them act (domain.md 15, Matching). Knows no table and no statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.retrial.actions import ACTIONS


@dataclass(frozen=True)
class Failure:
    """One error of a job: who reported it, its code, and what was said."""

    source: str
    code: int
    diag: str = ""


@dataclass(frozen=True)
class Circumstances:
    """What rules may ask of a job beside its errors."""

    architecture: str = ""
    releases: frozenset[str] = frozenset()
    gshare: str = ""


@dataclass(frozen=True)
class Pattern:
    """Which errors something is about; what is empty matches everything."""

    source: str = ""
    code: int = 0
    diag: str = ""
    """Regular expression, anchored at the start of what was said."""

    def may_fit(self, failure: Failure) -> bool:
        """Whether source and code fit; the database decides about the expression."""
        return self.source in ("", failure.source) and self.code in (0, failure.code)


@dataclass(frozen=True)
class Rule:
    """One row of the table of rules."""

    rule_id: int
    pattern: Pattern
    action: str
    parameters: dict[str, Any] = field(default_factory=dict)
    architecture: str = ""
    release: str = ""
    gshare: str = ""
    is_active: bool = True
    """Of the rule and of its action."""

    @property
    def specificity(self) -> int:
        """How many things it asks for."""
        asked = (
            self.pattern.source,
            self.pattern.code,
            self.pattern.diag,
            self.architecture,
            self.release,
            self.gshare,
        )
        return sum(bool(value) for value in asked)

    def suits(self, circumstances: Circumstances) -> bool:
        """Whether architecture, release and share are those it asks for."""
        return (
            self.architecture in ("", circumstances.architecture)
            and (not self.release or self.release in circumstances.releases)
            and self.gshare in ("", circumstances.gshare)
        )


@dataclass(frozen=True)
class ErrorClass:
    """One row of the table of classes."""

    class_id: int
    pattern: Pattern
    error_class: str
    is_active: bool = True


Says = Callable[[str, str], bool]
"""Whether an expression matches a message."""


@dataclass(frozen=True)
class Match:
    """A rule that a job meets, and whether it acts; `hindrance` says why not."""

    rule: Rule
    failure: Failure
    hindrance: str = ""

    @property
    def acts(self) -> bool:
        """Whether it is carried out."""
        return not self.hindrance


PASSIVE = "passive"


def choose(failures: Sequence[Failure], circumstances: Circumstances, rules: Iterable[Rule], says: Says) -> list[Match]:
    """Every rule that the job meets, with the error that met it first: those that act, and why the others do not.

    `failures`: the error that counts first. One rule about memory or CPU time acts, the most specific for the first error;
    of several limits the most specific, then the smallest; no_retry as found; passive rules are only noted.
    """
    met: dict[int, Match] = {}
    rank: dict[int, int] = {}
    suitable = [rule for rule in rules if rule.suits(circumstances)]
    for position, failure in enumerate(failures):
        for rule in suitable:
            if rule.rule_id not in met and _fits(rule.pattern, failure, says):
                met[rule.rule_id] = Match(rule, failure, "" if rule.is_active else PASSIVE)
                rank[rule.rule_id] = position
    ordered = sorted(met.values(), key=lambda match: _order(match, rank[match.rule.rule_id]))
    chosen: dict[str, int] = {}
    decided = []
    for match in ordered:
        group = _group(match.rule.action)
        if match.acts and group:
            if group in chosen:
                match = Match(match.rule, match.failure, f"rule {chosen[group]} goes before")  # noqa: PLW2901
            else:
                chosen[group] = match.rule.rule_id
        decided.append(match)
    return decided


def class_of(
    failures: Sequence[Failure], classes: Iterable[ErrorClass], says: Says
) -> tuple[ErrorClass, Failure] | None:
    """The class of the first error that has an active one, by the row that says more; else what a passive one would say.

    A passive row is for trying out: it keeps no active one from acting, whichever error it is about.
    """
    ordered = sorted(
        classes,
        key=lambda row: (not row.is_active, not row.pattern.diag, not row.pattern.code, row.class_id),
    )
    passive = None
    for failure in failures:
        row = next((row for row in ordered if _fits(row.pattern, failure, says)), None)
        if row is not None and row.is_active:
            return row, failure
        if row is not None and passive is None:
            passive = row, failure
    return passive


def _fits(pattern: Pattern, failure: Failure, says: Says) -> bool:
    return pattern.may_fit(failure) and (not pattern.diag or says(pattern.diag, failure.diag))


def _group(action: str) -> str:
    """Actions of one group are carried out once for a job; no_retry has none."""
    if action == "no_retry":
        return ""
    known = ACTIONS.get(action)
    return "needs" if known and known.is_about_needs else action


def _order(match: Match, position: int) -> tuple[int, ...]:
    rule = match.rule
    if rule.action == "limit_retry":
        return (-rule.specificity, int(rule.parameters.get("maxAttempt", 0)), rule.rule_id)
    return (position, -rule.specificity, rule.rule_id)
