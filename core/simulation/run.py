"""Runs a described grid tick by tick: what the agents and pilots of production do, at moments of virtual time.

Decides nothing itself: brokerage, shares, limits and dispatch are those of the system under trial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core.simulation.description import Description
from core.simulation.grid import Grid
from core.simulation.record import Recorder
from core.simulation.scratch import scratch_database
from core.simulation.steps import Stepper, Unmatched
from core.simulation.workload import Workload


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    part: float
    """From 0 to 1."""
    day: float
    """Virtual days since the start."""
    ended: int
    running: int
    waiting: int


@dataclass
class Outcome:
    """Everything that a report is made of."""

    description: Description
    recorder: Recorder
    grid: Grid
    workload: Workload
    unmatched: list[Unmatched]
    seconds: dict[str, float]
    """Real time by what it was spent on."""


def simulate(
    description: Description, server_url: str = "", progress: Callable[[Progress], None] = lambda _: None
) -> Outcome:
    """Run a description to its end in a scratch database.

    `server_url`: a PostgreSQL on which the database may be made; empty starts one. Raises ConfigurationError when that
    cannot be done, InvalidInput when the system under trial refuses something described, with the field.
    """
    with (
        scratch_database(server_url, description.start) as (database, clock),
        TemporaryDirectory(prefix="panda-simulated-") as directory,
    ):
        stepper = Stepper(description, database, clock, Path(directory))
        stepper.prepare()
        for tick in range(description.tick_count):
            stepper.step(tick)
            progress(_progress(stepper, tick + 1))
        return Outcome(
            description, stepper.recorder, stepper.grid, stepper.workload, stepper.unmatched(), dict(stepper.seconds)
        )


def _progress(stepper: Stepper, ticks: int) -> Progress:
    return Progress(
        part=ticks / stepper.description.tick_count,
        day=ticks * stepper.description.tick_s / 86400,
        ended=sum(tally.finished + tally.failed for tally in stepper.recorder.queues.values()),
        running=stepper.grid.running,
        waiting=sum(stepper.workload.waiting.values()),
    )
