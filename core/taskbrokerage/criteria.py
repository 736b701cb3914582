"""The reasons not to collect the outputs of a task at a nucleus, in the order they are asked (domain.md 5.1). Knows no SQL.

docs/brokerage.md has the table for people, with what was left out and why.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from core.brokerage.broker import broker
from core.brokerage.candidates import Candidate
from core.brokerage.criteria import Criterion as JobCriterion
from core.brokerage.wildcards import is_named
from core.taskbrokerage.candidates import DISK, Need, Nucleus
from core.wording import counted
from core.workload_settings import TaskBrokerageSettings


class Criterion(ABC):
    """One reason not to use a nucleus."""

    name: ClassVar[str]
    sentence: ClassVar[str]
    """What the criterion asks of a nucleus, for people."""
    is_temporary: ClassVar[bool] = False
    """Whether the reason goes by itself, while nobody changes anything."""

    @property
    def parameters(self) -> Mapping[str, object]:
        """The limits it applies, by the names of the settings."""
        return {}

    @abstractmethod
    def reason(self, need: Need, nucleus: Nucleus) -> str | None:
        """Why the outputs of the task cannot be collected there; None when they can."""

    def is_preference_of(self, need: Need) -> bool:
        """Whether it does not count for this task where it would leave nobody."""
        return False


class NucleusIsOnline(Criterion):
    """Nothing is written where nobody takes it."""

    name = "status"
    sentence = "the storage endpoint is online"

    def reason(self, need: Need, nucleus: Nucleus) -> str | None:
        """Look at the state."""
        return None if nucleus.is_online else "is offline"


class NucleusIsWritable(Criterion):
    """Jobs write to disk."""

    name = "storage"
    sentence = "the storage endpoint is a disk that jobs can write to"

    def reason(self, need: Need, nucleus: Nucleus) -> str | None:
        """Look at the kind."""
        return None if nucleus.kind == DISK else f"is {nucleus.kind}"


class NucleusIsNotExcluded(Criterion):
    """The submitter may name places that shall not be used."""

    name = "excluded"
    sentence = "the submitter did not exclude the storage endpoint"

    def reason(self, need: Need, nucleus: Nucleus) -> str | None:
        """Look its name up among the unwanted names and patterns."""
        is_unwanted = any(is_named(nucleus.name, pattern) for pattern in need.request.excluded)
        return "is among excludedSite" if is_unwanted else None


class NucleusHasSpace(Criterion):
    """What is free, without what is reserved and what other tasks will still write, must be enough."""

    name = "space"
    sentence = "the storage endpoint has room beside what is reserved and what other tasks will write"
    is_temporary = True

    def __init__(self, reserved_mb: int, min_usable_mb: int) -> None:
        self._reserved_mb = reserved_mb
        self._min_usable_mb = min_usable_mb

    @property
    def parameters(self) -> dict[str, object]:
        """What is kept back, and what must be left then."""
        return {"reserved_mb": self._reserved_mb, "min_usable_mb": self._min_usable_mb}

    def reason(self, need: Need, nucleus: Nucleus) -> str | None:
        """Compare in MB; a storage that reports nothing is taken to have room."""
        if nucleus.free_mb is None:
            return None
        usable = nucleus.free_mb - self._reserved_mb - nucleus.projected_mb
        if usable > self._min_usable_mb:
            return None
        promised = f", {nucleus.projected_mb:.0f} MB are still to come" if nucleus.projected_mb >= 1 else ""
        return (
            f"has {nucleus.free_mb} MB free{promised}: {usable:.0f} MB can be used, "
            f"more than {self._min_usable_mb} MB must be"
        )


class InputIsNear(Criterion):
    """Much input should not travel: outputs are collected where enough of it lies."""

    name = "locality"
    sentence = "enough of a large input lies at the storage endpoint or its site"

    def __init__(self, settings: TaskBrokerageSettings) -> None:
        self._settings = settings

    @property
    def parameters(self) -> dict[str, object]:
        """From which size on it matters, and which part must be there."""
        names = ("locality_min_mb", "locality_min_files", "locality_part", "no_locality_priority")
        return {name: getattr(self._settings, name) for name in names}

    def reason(self, need: Need, nucleus: Nucleus) -> str | None:
        """Compare the parts by size and by number of files, each where it is large."""
        limits, whole, near = self._settings, need.input, need.input_near(nucleus)
        if need.request.priority >= limits.no_locality_priority:
            return None
        if whole.mb > limits.locality_min_mb and near.mb < limits.locality_part * whole.mb:
            return f"has {near.mb:.0f} of {whole.mb:.0f} MB of the input, {limits.locality_part:.0%} must be there"
        if whole.files > limits.locality_min_files and near.files < limits.locality_part * whole.files:
            return f"has {near.files} of {whole.files} input files, {limits.locality_part:.0%} must be there"
        return None

    def is_preference_of(self, need: Need) -> bool:
        """A task that is light in I/O and not too large may read from afar."""
        is_light = need.request.io_kb_s <= self._settings.io_heavy_kb_s
        return is_light and need.input.mb <= self._settings.small_input_mb


class QueuesCanWrite(Criterion):
    """Some queue must take the jobs and be able to write there."""

    name = "job"
    sentence = "some queue takes an average job of the task and can write to the storage endpoint"

    def __init__(self, queues: list[Candidate], criteria: Mapping[str, Sequence[JobCriterion]]) -> None:
        self._queues = queues
        self._criteria = criteria

    def reason(self, need: Need, nucleus: Nucleus) -> str | None:
        """Ask job brokerage about an average job."""
        writers = sum(queue.writes_to(nucleus.name) for queue in self._queues)
        if not writers:
            return "has no queue that writes to it"
        request = replace(need.request, nucleus=nucleus.name, nucleus_is_online=nucleus.is_online)
        decision = broker(request, self._queues, self._criteria[request.kind])
        if decision.accepted:
            return None
        return f"has {counted(writers, 'queue')} that may write to it, but {decision.explanation()}"[:400]


def criteria_of_tasks(
    settings: TaskBrokerageSettings, queues: list[Candidate], criteria: Mapping[str, Sequence[JobCriterion]]
) -> list[Criterion]:
    """The criteria in their order. `queues` and `criteria`: those of job brokerage."""
    return [
        NucleusIsOnline(),
        NucleusIsWritable(),
        NucleusIsNotExcluded(),
        NucleusHasSpace(settings.reserved_mb, settings.min_usable_mb),
        InputIsNear(settings),
        QueuesCanWrite(queues, criteria),
    ]
