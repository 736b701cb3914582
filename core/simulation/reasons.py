"""Why a share was far from its target in a simulation, in words and figures of the run. Knows no database.

Most of it is no fault of the order in which shares are served: a job is too large a part of a small share, nothing of it
waits where slots become free, or its jobs fit few queues. Who reads a deviation should not have to guess.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_COARSE = 0.05
"""A job that is a larger part of what its share is due than this cannot be split to fit."""
_MOVED = 1.2
"""Largest over smallest target from which on it is the target that moved."""
_LITTLE_TURNOVER = 1.5
"""Slots given out anew over slots, below which the run is too short to put anything right."""
_HEADROOM = 1.1
"""A share needs jobs at queues that give out so much more than its part, for others are served there too."""
_MANY_PASSED = 0.05


@dataclass
class Chances:
    """What a share could have had over the steady state; powers are cores times the power of a core."""

    missed_power: float = 0.0
    """Given out at queues where nothing of it was left."""
    largest_job_power: float = 0.0
    passing_power: float = 0.0
    """Of its jobs that are served before all shares: tests, urgent jobs of users."""
    least_part: float = 1.0
    most_part: float = 0.0
    """Of what executes, that it was due."""
    queues: set[str] = field(default_factory=set)
    """Where jobs of it have waited."""


class ChanceBook:
    """Chances of all shares, while a run goes on."""

    def __init__(self) -> None:
        self.queue_powers: dict[str, float] = defaultdict(float)
        """Of all slots that a queue offered, summed over the samples."""
        self.given_power = 0.0
        self.shares: dict[str, Chances] = defaultdict(Chances)

    def note_start(self, share: str, power: float, *, passes: bool) -> None:
        """A job has got a slot."""
        chances = self.shares[share]
        chances.largest_job_power = max(chances.largest_job_power, power)
        chances.passing_power += power if passes else 0.0

    def note_round(
        self, waited: Mapping[str, Mapping[str, int]], taken: Mapping[str, Mapping[str, tuple[int, float]]]
    ) -> None:
        """Pilots have asked once: jobs that waited by queue and share, and what was taken of them (jobs, their power)."""
        for queue, jobs in waited.items():
            for share in jobs:
                self.shares[share].queues.add(queue)
        for queue, gone in taken.items():
            power = sum(power for _, power in gone.values())
            self.given_power += power
            here = waited.get(queue, {})
            for share, chances in self.shares.items():
                if here.get(share, 0) <= gone.get(share, (0, 0.0))[0]:
                    chances.missed_power += power - gone.get(share, (0, 0.0))[1]

    def note_targets(self, targets: Mapping[str, float]) -> None:
        """What each share is due until the next tick, in power."""
        whole = sum(targets.values())
        for share, target in targets.items() if whole else ():
            chances = self.shares[share]
            chances.least_part = min(chances.least_part, target / whole)
            chances.most_part = max(chances.most_part, target / whole)

    def reach_of(self, share: str) -> float:
        """The part of all power that stands at queues where jobs of the share have waited."""
        whole = sum(self.queue_powers.values())
        return sum(self.queue_powers.get(queue, 0.0) for queue in self.shares[share].queues) / whole if whole else 0.0


@dataclass(frozen=True)
class Standing:
    """Where a share stood over the steady state, as means over its samples."""

    name: str
    executing_power: float
    target_power: float
    whole_power: float
    """Of all that executed."""
    work_part: float
    """Part of the time at which jobs of it waited for a slot."""

    @property
    def is_below(self) -> bool:
        """Whether it had less than it was due."""
        return self.executing_power < self.target_power


def reasons_of(book: ChanceBook, far: Iterable[Standing]) -> dict[str, str]:
    """A sentence for each of these shares, which are far from their targets."""
    shares = sorted(far, key=lambda standing: not standing.is_below)
    reasons: dict[str, str] = {}
    short: list[str] = []
    """Shares that could not have their part, so that others have it."""
    for standing in shares:
        what = _bound(book, standing) if standing.is_below else ""
        if what:
            short.append(standing.name)
        said = [*([what] if what else []), *_circumstances(book, standing)]
        if not standing.is_below and short:
            said.append(
                f"has what could not be used by {', '.join(short[:3])}{' and others' if len(short) > 3 else ''}"
            )
        reasons[standing.name] = "; ".join(said) or "no reason is seen in the figures of this run"
    return reasons


def _bound(book: ChanceBook, standing: Standing) -> str:
    """What kept a share from having its part, whoever is served first."""
    part = standing.target_power / standing.whole_power
    reach = book.reach_of(standing.name)
    chances = book.shares[standing.name]
    within_reach = 1 - chances.missed_power / book.given_power if book.given_power else 1.0
    if reach < part:
        count = f"{len(chances.queues)} of {len(book.queue_powers)} queues, which have"
        return f"its jobs go to {count} {100 * reach:.3g} % of the power: it is due {100 * part:.3g} %"
    if within_reach < _HEADROOM * part:
        return (
            f"too little queued: nothing more of it waited at queues that gave out {100 * (1 - within_reach):.0f} % of the "
            "power to others"
        )
    return ""


def _circumstances(book: ChanceBook, standing: Standing) -> list[str]:
    """What lets any share be off for a while, or by a little."""
    chances, said = book.shares[standing.name], []
    if standing.work_part < 1:
        said.append(f"nothing of it waited for {100 * (1 - standing.work_part):.2g} % of the time")
    if chances.largest_job_power > _COARSE * standing.target_power:
        said.append(
            f"granularity: one job is {100 * chances.largest_job_power / standing.target_power:.3g} % of its target"
        )
    if not standing.is_below and chances.passing_power > _MANY_PASSED * standing.target_power:
        said.append("its tests and urgent jobs are served before all shares")
    if chances.most_part > _MOVED * chances.least_part:
        moved = f"between {100 * chances.least_part:.3g} and {100 * chances.most_part:.3g} %"
        said.append(f"its target moved {moved} as work came and went, and slots follow as jobs end")
    turnover = book.given_power / standing.whole_power
    if turnover < _LITTLE_TURNOVER:
        said.append(
            f"slots changed hands {turnover:.2g} times in the steady state: simulate more days, or look later "
            "(steady_after_hours)"
        )
    return said
