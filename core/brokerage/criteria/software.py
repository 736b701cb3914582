"""Releases, platforms, containers and accelerators. Queues that publish nothing are taken to have everything."""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion
from core.brokerage.wildcards import alternatives, is_like


class ReleaseIsThere(Criterion):
    """Queues may publish the software releases they have; ANY among them means all."""

    name = "release"
    sentence = "the queue has the software release"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the release up; what runs in a container brings its own."""
        there = queue.stated.releases
        is_there = any(_fits(name, request.release) for name in there)
        if request.release and there and not request.needs_container and not is_there:
            return f"does not have the release {request.release}"
        return None


class PlatformFits(Criterion):
    """Queues may publish the platforms (architectures) of their nodes."""

    name = "architecture"
    sentence = "the queue has nodes of this platform"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the platform up; patterns with * count on both sides."""
        there = queue.stated.architectures
        wanted = request.architecture
        if wanted and there and not any(_is_platform(name, one) for one in alternatives(wanted) for name in there):
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
        """Any model does where none is named, on either side; some queues are kept for those who need theirs."""
        there = queue.stated.gpus
        if not request.gpu and queue.stated.only_for_gpus:
            return f"is kept for jobs that need {', '.join(sorted(there)[:3])}"
        if not request.gpu or not there or any(name.lower() in _GENERIC for name in there):
            return None
        has_any = any(name.lower() not in ("none", "no", "false", "0") for name in there)
        if has_any and (request.gpu.lower() in _GENERIC or any(_is_model(name, request.gpu) for name in there)):
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


_VENDORS = ("intel", "amd", "arm", "ampere", "apple", "ibm", "*", "")
"""What follows a processor's architecture; in a software platform an operating system does."""


def _fits(name: str, wanted: str) -> bool:
    """x86_64 fits x86_64-*, and x86_64-el9-gcc13-opt."""
    return is_like(name, wanted) or is_like(wanted, name) or f"{wanted.rstrip('-*')}-".startswith(f"{name}-")


def _is_platform(name: str, wanted: str) -> bool:
    """Platforms compare as a whole, and so do processors; of a platform and a processor the architectures do."""
    if _is_software(name) != _is_software(wanted):
        name, wanted = name.partition("-")[0], wanted.partition("-")[0]
    return _fits(name, wanted) or _fits(wanted, name)


def _is_software(text: str) -> bool:
    _, _, more = text.partition("-")
    return more.split("-")[0].lower() not in _VENDORS


def _is_model(name: str, wanted: str) -> bool:
    """nvidia is as good for nvidia-a100 as the other way round: the one says nothing of the model."""
    name, wanted = name.lower(), wanted.lower()
    return _fits(name, wanted) or _fits(wanted, name)
