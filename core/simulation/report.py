"""What a simulation showed, as plain values: shares, waits, utilisation, waste, what nobody could run. Knows no database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from core.dispatch.acquire import QUEUES_WITH_DISPATCH
from core.simulation.description import Description
from core.simulation.reasons import Standing, reasons_of
from core.simulation.record import ShareIntegral, Tally
from core.simulation.run import Outcome
from core.simulation.steps import Unmatched

DEVIATION_LIMIT = 0.05
"""A share that has work shall be this near to its target (issue 4)."""


@dataclass(frozen=True)
class Waits:
    """Seconds between submission and start of jobs that started."""

    p50_s: float | None
    p90_s: float | None
    max_s: float | None


@dataclass(frozen=True)
class ShareResult:
    """A leaf over the steady state."""

    name: str
    target_percent: float
    """Of all power that executed; what others left unused included."""
    executing_percent: float
    deviation: float | None
    """(executing - target) / target; None without a target."""
    had_work: bool
    """Whether jobs of it waited for a slot the whole time."""
    work_part: float
    """Part of the time at which they did."""
    reason: str
    """Why it was farther from its target than `DEVIATION_LIMIT`; empty when it was not."""
    started: int
    finished: int
    failed: int
    waits: Waits


@dataclass(frozen=True)
class UserResult:
    """A user over the whole run."""

    name: str
    submitted: int
    started: int
    finished: int
    failed: int
    waits: Waits
    last_wait_s: float | None
    """From the first submission to the last start; None without any start."""


@dataclass(frozen=True)
class QueueResult:
    """A queue over the steady state."""

    name: str
    slots: int
    utilisation: float | None
    """Busy part of the cores it offered."""
    idle_core_hours: float
    """Free although jobs waited somewhere."""
    started: int
    finished: int
    failed: int


@dataclass(frozen=True)
class Totals:
    """The whole grid; hours of the steady state."""

    submitted: int
    finished: int
    failed: int
    closed: int
    """Taken back by the system before they started."""
    given_up: int
    """Failed with their last attempt."""
    running: int
    waiting: int
    core_hours: float
    failed_core_hours: float
    idle_core_hours: float
    utilisation: float | None
    largest_deviation: float | None
    """Of a share that had work, as a positive number."""


@dataclass(frozen=True)
class Report:
    """The answer of `panda simulate`."""

    title: str
    days: float
    seed: int
    tick_s: float
    totals: Totals
    shares: list[ShareResult]
    users: list[UserResult]
    queues: list[QueueResult]
    unmatched: list[Unmatched]
    notes: list[str]
    """What of the description lies behind the end of the run, and so shows nothing."""
    seconds: dict[str, float]
    """Real time by what it was spent on."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def deviating_shares(self) -> list[ShareResult]:
        """Shares with work that were farther from their target than `DEVIATION_LIMIT`."""
        return [
            share
            for share in self.shares
            if share.had_work and share.deviation is not None and abs(share.deviation) > DEVIATION_LIMIT
        ]


def report_of(outcome: Outcome) -> Report:
    """The report of a run that is over."""
    description, recorder = outcome.description, outcome.recorder
    hours = description.tick_s / 3600
    shares = _shares(outcome)
    queues = _queues(outcome)
    busy = sum(integral.busy for integral in recorder.queue_integrals.values())
    available = sum(integral.available for integral in recorder.queue_integrals.values())
    deviations = [abs(share.deviation) for share in shares if share.had_work and share.deviation is not None]
    totals = Totals(
        submitted=outcome.workload.submitted,
        finished=sum(tally.finished for tally in recorder.queues.values()),
        failed=sum(tally.failed for tally in recorder.queues.values()),
        closed=recorder.closed,
        given_up=recorder.given_up,
        running=outcome.grid.running,
        waiting=sum(outcome.workload.waiting.values()),
        core_hours=busy * hours,
        failed_core_hours=recorder.failed_core_ticks * hours,
        idle_core_hours=sum(queue.idle_core_hours for queue in queues),
        utilisation=busy / available if available else None,
        largest_deviation=max(deviations, default=None),
    )
    return Report(
        title=description.title,
        days=description.days,
        seed=description.seed,
        tick_s=description.tick_s,
        totals=totals,
        shares=shares,
        users=[_user(name, tally, description.tick_s) for name, tally in sorted(recorder.users.items())],
        queues=queues,
        unmatched=outcome.unmatched,
        notes=notes_on(description),
        seconds={name: round(value, 2) for name, value in outcome.seconds.items()},
    )


def notes_on(description: Description) -> list[str]:
    """What a description says in vain, one sentence each."""
    end_h = description.days * 24
    late = [
        f"work.{work.name}.from_hour: it comes from hour {work.from_hour:g} on, and the run ends at hour {end_h:g}"
        for work in description.work
        if work.from_hour >= end_h
    ]
    changes = [
        f"queues.{kind.name}.changes: nothing changes at hour {change.at_hour:g}, the run ends at hour {end_h:g}"
        for kind in description.queues
        for change in kind.changes
        if change.at_hour >= end_h
    ]
    return late + changes


def _shares(outcome: Outcome) -> list[ShareResult]:
    recorder = outcome.recorder
    integrals = recorder.share_integrals
    whole = sum(integral.executing for integral in integrals.values())
    standings = [_standing(name, integral, whole) for name, integral in integrals.items() if _is_far(integral)]
    reasons = reasons_of(recorder.chances, standings)
    results = []
    for name in sorted({*integrals, *recorder.shares}):
        integral, tally = integrals.get(name, ShareIntegral()), recorder.shares.get(name, Tally())
        results.append(
            ShareResult(
                name=name or "(no shares)",
                target_percent=100 * integral.target / whole if whole else 0.0,
                executing_percent=100 * integral.executing / whole if whole else 0.0,
                deviation=_deviation(integral),
                had_work=integral.samples > 0 and integral.with_work == integral.samples,
                work_part=integral.with_work / integral.samples if integral.samples else 0.0,
                reason=reasons.get(name, ""),
                started=tally.started,
                finished=tally.finished,
                failed=tally.failed,
                waits=_waits(tally, outcome.description.tick_s),
            )
        )
    return results


def _deviation(integral: ShareIntegral) -> float | None:
    return integral.executing / integral.target - 1 if integral.target else None


def _is_far(integral: ShareIntegral) -> bool:
    return abs(_deviation(integral) or 0.0) > DEVIATION_LIMIT


def _standing(name: str, integral: ShareIntegral, whole: float) -> Standing:
    samples = integral.samples
    return Standing(
        name, integral.executing / samples, integral.target / samples, whole / samples, integral.with_work / samples
    )


def _queues(outcome: Outcome) -> list[QueueResult]:
    hours = outcome.description.tick_s / 3600
    results = []
    for queue in outcome.grid.queues.values():
        integral, tally = outcome.recorder.queue_integrals[queue.name], outcome.recorder.queues[queue.name]
        results.append(
            QueueResult(
                name=queue.name,
                slots=queue.slots if queue.status in QUEUES_WITH_DISPATCH else 0,
                utilisation=integral.busy / integral.available if integral.available else None,
                idle_core_hours=integral.idle * hours,
                started=tally.started,
                finished=tally.finished,
                failed=tally.failed,
            )
        )
    return results


def _user(name: str, tally: Tally, tick_s: float) -> UserResult:
    return UserResult(
        name=name,
        submitted=tally.submitted,
        started=tally.started,
        finished=tally.finished,
        failed=tally.failed,
        waits=_waits(tally, tick_s),
        last_wait_s=tally.last_wait * tick_s if tally.started else None,
    )


def _waits(tally: Tally, tick_s: float) -> Waits:
    ticks = [tally.quantile(part) for part in (0.5, 0.9, 1.0)]
    return Waits(*(None if wait is None else wait * tick_s for wait in ticks))


@dataclass(frozen=True)
class Difference:
    """A figure of two runs."""

    name: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float | None:
        """After less before; None when one of them has no such figure."""
        return None if self.before is None or self.after is None else self.after - self.before


def differences(before: Report, after: Report) -> list[Difference]:
    """Every figure that differs between two runs: totals, then shares, queues and users by name."""
    old, new = dict(_figures(before)), dict(_figures(after))
    names = [*new, *(name for name in old if name not in new)]
    rows = [Difference(name, old.get(name), new.get(name)) for name in names]
    return [row for row in rows if row.before != row.after]


def _figures(report: Report) -> Iterator[tuple[str, float | None]]:
    for field in fields(Totals):
        yield field.name, getattr(report.totals, field.name)
    for share in report.shares:
        yield f"share {share.name}: executing %", share.executing_percent
        yield f"share {share.name}: deviation", share.deviation
        yield f"share {share.name}: wait p90 s", share.waits.p90_s
    for queue in report.queues:
        yield f"queue {queue.name}: utilisation", queue.utilisation
        yield f"queue {queue.name}: idle core hours", queue.idle_core_hours
    for user in report.users:
        yield f"user {user.name}: wait p50 s", user.waits.p50_s
        yield f"user {user.name}: wait p90 s", user.waits.p90_s
        yield f"user {user.name}: finished", user.finished
