"""What tasks may ask for and is not built: refused where a job would go wrong without it, else told. Knows no table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.brokerage.operating_system import platforms_of
from core.errors import InvalidInput

REFUSED: dict[str, str] = {
    "hpoWorkflow": "hyperparameter search is not built",
    "segmentedWork": "segments of hyperparameter search are not built",
    "tarBallViaDDM": "sandboxes travel through the cache only",
    "nEventsPerWorker": "the event service is not built",
    "useJobCloning": "job cloning is not built",
}
"""Keys without which the jobs of a task would do something else than the user means."""

IGNORED: dict[str, str] = {
    "putLogToOS": "logs go to the storage of the queue",
    "walltime": "seconds per MB are not counted: say cpuTime or maxWalltime",
}
"""Keys that may be left out: the result is complete all the same."""


def refuse_unsupported(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidInput for the first key that asks for what is not built."""
    for name, why in REFUSED.items():
        if parameters.get(name):
            raise InvalidInput(why, field=name, remedy="submit without it")


def notes(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """What was asked for and is not done, one sentence each."""
    said = [f"{name}: {what}" for name, what in IGNORED.items() if parameters.get(name)]
    if (
        parameters.get("osMatching")
        and not parameters.get("container_name")
        and not platforms_of(parameters.get("osInfo"))
    ):
        said.append("osMatching: osInfo names no operating system as queues state theirs: any may run it")
    return tuple(said)
