"""`data_carousel`: staging from tape, which this server does not have. Signatures and access as upstream (server-api.md 1.9)."""

from __future__ import annotations

from api.panda.kernel import Auth, Call, Result, endpoint, not_built

_FEATURE = "data carousel"


@endpoint("POST", auth=Auth.PRODUCTION)
def change_staging_destination(call: Call, request_id: int | None = None, dataset: str | None = None) -> Result:
    """Stage a dataset to another place."""
    return not_built(_FEATURE)


@endpoint("POST", auth=Auth.PRODUCTION)
def change_staging_source(
    call: Call,
    request_id: int | None = None,
    dataset: str | None = None,
    cancel_fts: bool = False,
    change_src_expr: bool = False,
    source_rse: str | None = None,
) -> Result:
    """Stage a dataset from another tape."""
    return not_built(_FEATURE)


@endpoint("POST", auth=Auth.PRODUCTION)
def force_to_staging(call: Call, request_id: int | None = None, dataset: str | None = None) -> Result:
    """Stage a dataset ahead of the queue."""
    return not_built(_FEATURE)


@endpoint("POST", auth=Auth.PRODUCTION)
def retire_unused(call: Call, request_id: int | None = None, dataset: str | None = None) -> Result:
    """Forget a staging request that no task needs."""
    return not_built(_FEATURE)
