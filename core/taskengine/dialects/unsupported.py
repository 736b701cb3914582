"""What tasks may ask for and is not built: refused where a job would go wrong without it, else told. Knows no table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput

REFUSED: dict[str, str] = {
    "hpoWorkflow": "hyperparameter search is not built",
    "segmentedWork": "segments of hyperparameter search are not built",
    "preproSpec": "preprocessing jobs (good run lists) are not built",
    "tarBallViaDDM": "sandboxes travel through the cache only",
    "nEventsPerWorker": "the event service is not built",
    "useJobCloning": "job cloning is not built",
}
"""Keys without which the jobs of a task would do something else than the user means."""

IGNORED: dict[str, str] = {
    "osMatching": "operating systems of queues are not known: any may run it",
    "orderInputBy": "files are taken in the order of the catalogue",
    "stayOutputOnSite": "outputs go to the storage of the queue anyway",
    "inputPreStaging": "files are not brought back from tape before",
    "putLogToOS": "logs go to the storage of the queue",
    "walltime": "seconds per MB are not counted: say cpuTime or maxWalltime",
}
"""Keys that may be left out: the result is complete all the same."""

IGNORED_OF_ITEMS: dict[str, str] = {
    "eventRatio": "files are counted, not their events",
    "random": "files are taken in the order of the catalogue",
}
"""The same of items of jobParameters."""


def refuse_unsupported(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidInput for the first key that asks for what is not built."""
    for name, why in REFUSED.items():
        if parameters.get(name):
            raise InvalidInput(why, field=name, remedy="submit without it")


def notes(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """What was asked for and is not done, one sentence each."""
    items = parameters.get("jobParameters")
    return (
        *(f"{name}: {what}" for name, what in IGNORED.items() if parameters.get(name)),
        *(
            f"jobParameters.{position}.{name}: {what}"
            for position, item in enumerate(items if isinstance(items, list) else ())
            if isinstance(item, dict)
            for name, what in IGNORED_OF_ITEMS.items()
            if item.get(name)
        ),
    )
