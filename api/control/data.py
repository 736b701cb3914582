"""Datasets and replicas: register, describe, announce arrivals."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.identity.access import Access
from api.operations import Answer, Context, Created, operation
from api.strict import StrictBody
from core.dataservice.activation import Arrival, register_arrivals
from core.dataservice.catalogue import NewCatalogueFile, NewReplica, check_owner, describe_dataset, register_dataset
from core.dataservice.open_datasets import add_files, set_dataset_status
from core.states import DatasetStatus


class ReplicaBody(StrictBody):
    """Where a copy lies; a deterministic endpoint knows the place by itself."""

    endpoint: str
    pfn: str = Field("", max_length=4096)


class FileBody(StrictBody):
    """A file with the facts that every copy must match."""

    lfn: str = Field(min_length=1, max_length=4096)
    size_bytes: int = Field(ge=0, lt=2**63)
    checksum: str
    guid: str = ""
    replicas: list[ReplicaBody] = []
    n_events: int | None = Field(None, ge=0, le=10**12)
    """Events in it: tasks that are split by events need it, unless they state a number for all files."""
    boundary_id: str = Field("", max_length=255)
    """What it must not be mixed across (a luminosity block): tasks with respectLB or groupBoundaryID obey it."""


class DatasetBody(StrictBody):
    """A dataset to register."""

    name: str = Field(min_length=1, max_length=255)
    scope: str = ""
    kind: Literal["input", "sandbox"] = "input"
    files: list[FileBody]
    is_open: bool = False
    """Whether files will be added later; tasks with runUntilClosed follow it until it is closed."""


class MoreFilesBody(StrictBody):
    """Files to add to an open dataset."""

    dataset: str = Field(min_length=1, max_length=255)
    files: list[FileBody] = Field(min_length=1)


class DatasetStatusBody(StrictBody):
    """Whether a dataset may grow."""

    dataset: str = Field(min_length=1, max_length=255)
    status: Literal["open", "closed"]


class ArrivalBody(StrictBody):
    """A replica that exists now; a deterministic endpoint knows its place by itself."""

    dataset: str
    lfn: str
    endpoint: str
    pfn: str = Field("", max_length=4096)


class ArrivalsBody(StrictBody):
    """Replicas that exist now."""

    replicas: list[ArrivalBody] = Field(min_length=1, max_length=100_000)


def _new_files(bodies: list[FileBody]) -> list[NewCatalogueFile]:
    return [
        NewCatalogueFile(
            *(file.lfn, file.size_bytes, file.checksum, file.guid),
            [NewReplica(copy.endpoint, copy.pfn) for copy in file.replicas],
            *(file.n_events, file.boundary_id),
        )
        for file in bodies
    ]


def _is_manager(context: Context) -> bool:
    return context.caller.may(Access.PRODUCTION) or context.caller.may(Access.OPERATOR)


@operation("POST", "/api/control/datasets", access=Access.USER)
def register(context: Context, body: DatasetBody) -> Answer:
    """Register a dataset with its files, sizes, checksums and replicas."""
    caller = context.caller
    registered = register_dataset(
        context.database,
        name=body.name,
        scope=body.scope or f"user.{caller.user_name}",
        kind=body.kind,
        owner=caller.user_name,
        vo=caller.vo,
        files=_new_files(body.files),
        is_open=body.is_open,
    )
    return Created(registered)


@operation("POST", "/api/control/datasets/files", access=Access.USER)
def add_to_dataset(context: Context, body: MoreFilesBody) -> Answer:
    """Add files to an open dataset; tasks that follow it take them within seconds."""
    by, is_manager = context.caller.user_name, _is_manager(context)
    return Created(add_files(context.database, body.dataset, _new_files(body.files), by=by, is_manager=is_manager))


@operation("POST", "/api/control/datasets/status", access=Access.USER)
def open_or_close(context: Context, body: DatasetStatusBody) -> dict[str, Any]:
    """Close a dataset: tasks that follow it (runUntilClosed) end with what is in it. Or open it again."""
    by, is_manager = context.caller.user_name, _is_manager(context)
    return set_dataset_status(context.database, body.dataset, DatasetStatus(body.status), by=by, is_manager=is_manager)


@operation("GET", "/api/control/dataset/{name}", access=Access.USER)
def describe(context: Context, name: str) -> dict[str, Any]:
    """A dataset with its files and their replicas."""
    return describe_dataset(context.database, name)


@operation("POST", "/api/control/replicas", access=Access.USER)
def register_replicas(context: Context, body: ArrivalsBody) -> dict[str, Any]:
    """Announce replicas; jobs that waited for nothing else are activated."""
    caller = context.caller
    is_manager = _is_manager(context)
    for name in sorted({entry.dataset for entry in body.replicas}):
        check_owner(context.database, name, caller.user_name, is_manager=is_manager)
    arrivals = [Arrival(entry.dataset, entry.lfn, entry.endpoint, entry.pfn) for entry in body.replicas]
    return register_arrivals(context.database, arrivals)
