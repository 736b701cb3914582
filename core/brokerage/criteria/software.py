"""Releases, platforms, containers and accelerators. Queues that publish nothing are taken to have everything."""

from __future__ import annotations

from fnmatch import fnmatchcase

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion


class ReleaseIsThere(Criterion):
    """Queues may publish the software releases they have; ANY among them means all."""

    name = "release"
    sentence = "the queue has the software release"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the release up; what runs in a container brings its own."""
        there = queue.stated.releases
        if request.release and there and not request.needs_container and not _is_among(request.release, there):
            return f"does not have the release {request.release}"
        return None


class PlatformFits(Criterion):
    """Queues may publish the platforms (architectures) of their nodes."""

    name = "architecture"
    sentence = "the queue has nodes of this platform"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the platform up; patterns with * count on both sides."""
        there = queue.stated.architectures
        if request.architecture and there and not _is_among(request.architecture, there):
            return f"has {', '.join(sorted(there)[:3])}, the job needs {request.architecture}"
        return None


class ContainersRun(Criterion):
    """Jobs that come with an image need a queue that runs containers."""

    name = "container"
    sentence = "the queue runs containers if the job comes with one"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Only a queue that says that it has none is left out."""
        if request.needs_container and queue.stated.runs_containers is False:
            return "runs no containers"
        return None


class AcceleratorIsThere(Criterion):
    """Jobs for GPUs need a queue that states them; here alone unknown means none."""

    name = "gpu"
    sentence = "the queue has the accelerator the job needs"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Any model does where none is named, on either side."""
        there = queue.stated.gpus
        if not request.gpu:
            return None
        if not there:
            return "states no GPU"
        generic = ("any", "true", "yes", "1")
        if request.gpu.lower() in generic or any(name.lower() in generic for name in there):
            return None
        return None if _is_among(request.gpu, there) else f"has {', '.join(sorted(there)[:3])}, not {request.gpu}"


def _is_among(wanted: str, there: frozenset[str]) -> bool:
    return any(_is_like(name, wanted) for name in there)


def _is_like(name: str, wanted: str) -> bool:
    """x86_64 is like x86_64-*, and like x86_64-el9-gcc13-opt."""
    return fnmatchcase(name, wanted) or fnmatchcase(wanted, name) or f"{wanted.rstrip('-*')}-".startswith(f"{name}-")
