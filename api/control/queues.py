"""Queues and storage endpoints: read and set by operators."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

import core.queues
from api.identity.access import Access
from api.operations import Context, operation
from api.strict import StrictBody


class QueueBody(StrictBody):
    """Attributes of a queue; those left out stay. A limit of 0 means none."""

    site: str | None = Field(None, max_length=100)
    status: Literal["online", "offline", "test", "brokeroff", "paused"] | None = None
    comment: str | None = Field(None, max_length=1000)
    max_ram_mb: int | None = Field(None, ge=0, lt=2**40)
    max_disk_mb: int | None = Field(None, ge=0, lt=2**40)
    max_core_count: int | None = Field(None, ge=0, lt=2**31)
    max_walltime_s: int | None = Field(None, ge=0, lt=2**40)
    storage_endpoint: str | None = None
    parameters: dict[str, Any] | None = None
    reason: str = Field("", max_length=1000)
    """Why the status is changed, for the history."""
    release: bool = False
    """Give the queue back to the automaton, which puts it into test and back by its test jobs."""


class EndpointBody(StrictBody):
    """A storage endpoint: the mover that reads and writes it, its directory, and whether files lie there by rule.

    Of one that is there, what is left out stays as it is; a new one needs a path.
    """

    mover: Literal["cp", "symlink"] = "cp"
    path: str = Field("", min_length=1, max_length=4096)
    state: Literal["online", "offline"] = "online"
    is_deterministic: bool = False
    kind: Literal["disk", "tape"] = "disk"
    is_nucleus: bool = False
    """Whether outputs of whole production tasks may be collected here."""
    free_mb: int | None = Field(None, ge=0, lt=2**62)
    total_mb: int | None = Field(None, ge=0, lt=2**62)
    """Room, where somebody reports it."""


@operation("PUT", "/api/control/queue/{queue_name}", access=Access.OPERATOR)
def set_queue(context: Context, queue_name: str, body: QueueBody) -> dict[str, Any]:
    """Create a queue or change its attributes; the automaton leaves alone a status that was set."""
    changes = body.model_dump(exclude_none=True, exclude={"reason", "release"})
    core.queues.check_parameters(body.parameters or {})
    who = context.caller.user_name
    queue = core.queues.set_queue(
        context.database, queue_name, changes, who=who, reason=body.reason, is_released=body.release
    )
    return {"queue": queue}


@operation("PUT", "/api/control/endpoint/{name}", access=Access.OPERATOR)
def set_endpoint(context: Context, name: str, body: EndpointBody) -> dict[str, Any]:
    """Create or change a storage endpoint."""
    changes = body.model_dump(exclude_unset=True)
    return {"endpoint": core.queues.set_endpoint(context.database, name, who=context.caller.user_name, **changes)}


@operation("GET", "/api/control/endpoints", access=Access.USER)
def endpoints(context: Context) -> dict[str, Any]:
    """All storage endpoints."""
    return {"endpoints": core.queues.endpoints(context.database)}
