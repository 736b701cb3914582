"""What submitters want and do not want (includedSite, excludedSite; client-wire.md 4.4). Knows names only."""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion
from core.brokerage.wildcards import is_named


class QueueIsIncluded(Criterion):
    """The submitter may name the queues that are wanted."""

    name = "included"
    sentence = "the queue is among those that the submitter named"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the queue up among the wanted names and patterns."""
        if request.included and not _is_among(queue, request.included):
            return "is not among includedSite"
        return None


class QueueIsNotExcluded(Criterion):
    """The submitter may name queues that shall not be used."""

    name = "excluded"
    sentence = "the submitter did not exclude the queue"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the queue up among the unwanted names and patterns."""
        return "is among excludedSite" if _is_among(queue, request.excluded) else None


def _is_among(queue: Candidate, patterns: tuple[str, ...]) -> bool:
    return any(is_named(queue.queue_name, pattern) for pattern in patterns)
