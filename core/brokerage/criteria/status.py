"""Whether a queue is there for such jobs at all: its status, the labels and kinds of processing it takes. No numbers."""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion

_TEST_LABELS = ("test", "prod_test", "ptest")


def is_test(request: Request) -> bool:
    """Whether the jobs test queues rather than do work."""
    label = request.prod_source_label
    return label in _TEST_LABELS or label.startswith("rc_")


class QueueIsOnline(Criterion):
    """Only test jobs may go to a queue in test; nothing goes elsewhere than to online queues."""

    name = "status"
    sentence = "the queue is online"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare the status of the queue with the label of the jobs."""
        allowed = ("online", "test") if is_test(request) else ("online",)
        return None if queue.status in allowed else f"is {queue.status}"


class QueueTakesLabel(Criterion):
    """Queues may be for production or for users only (schedconfig `type`); those that say nothing take both."""

    name = "type"
    sentence = "the queue is for this kind of work"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare the kind of the request with the type of the queue; tests go anywhere."""
        wanted = queue.stated.type
        if wanted in ("", "unified", request.kind) or is_test(request):
            return None
        return f"is for {wanted}, this is {request.kind}"


class ProcessingIsWelcome(Criterion):
    """Queues may name the processing types they take, or do not take."""

    name = "processing"
    sentence = "the queue takes this type of processing"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Look the processing type up in both lists."""
        kind, stated = request.processing_type, queue.stated
        if stated.allowed_processing and kind not in stated.allowed_processing:
            return f"takes only {', '.join(sorted(stated.allowed_processing)[:5])}, this is {kind or 'of no type'}"
        if kind and kind in stated.excluded_processing:
            return f"does not take {kind}"
        return None
