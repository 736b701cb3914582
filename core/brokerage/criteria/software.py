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


_GENERIC = ("any", "true", "yes", "1")


class AcceleratorIsThere(Criterion):
    """Jobs for GPUs keep away from queues that state others, or none."""

    name = "gpu"
    sentence = "the queue has the accelerator the job needs"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Any model does where none is named, on either side."""
        there = queue.stated.gpus
        if not request.gpu or not there or any(name.lower() in _GENERIC for name in there):
            return None
        has_any = any(name.lower() not in ("none", "no", "false", "0") for name in there)
        if has_any and (request.gpu.lower() in _GENERIC or _is_among(request.gpu, there)):
            return None
        return f"has {', '.join(sorted(there)[:3])}, the job needs {request.gpu}"


class AcceleratorIsStated(Criterion):
    """Jobs for GPUs go to queues that state some before those that say nothing."""

    name = "gpu_stated"
    sentence = "the queue states an accelerator if the job needs one"
    is_preference = True

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look whether anything was stated."""
        return "states no GPU" if request.gpu and not queue.stated.gpus else None


def _is_among(wanted: str, there: frozenset[str]) -> bool:
    return any(_is_like(name, wanted) for name in there)


def _is_like(name: str, wanted: str) -> bool:
    """x86_64 is like x86_64-*, and like x86_64-el9-gcc13-opt."""
    return fnmatchcase(name, wanted) or fnmatchcase(wanted, name) or f"{wanted.rstrip('-*')}-".startswith(f"{name}-")
