"""`data_carousel`: what operators do to requests that bring datasets from tape (server-api.md 1.9). The rules are in core."""

from __future__ import annotations

from api.panda.kernel import Auth, Call, Result, Success, endpoint
from core.carousel import commands


@endpoint("POST", auth=Auth.PRODUCTION)
def change_staging_destination(call: Call, request_id: int | None = None, dataset: str | None = None) -> Result:
    """Bring the rest of a dataset to another disk: its request is cancelled, a new one made."""
    database, who = call.services.database, call.caller.user_name
    request, new_id = commands.change_destination(database, request_id, dataset, who=who)
    return Success(
        {"request_id": request["request_id"], "new_request_id": new_id, "dataset": request["dataset"]},
        f"request {request['request_id']} is cancelled, {new_id} takes its place",
    )


@endpoint("POST", auth=Auth.PRODUCTION)
def change_staging_source(
    call: Call,
    request_id: int | None = None,
    dataset: str | None = None,
    cancel_fts: bool = False,
    change_src_expr: bool = False,
    source_rse: str | None = None,
) -> Result:
    """Bring a dataset from another tape. There is no FTS and no source expression here: both flags change nothing."""
    database, who = call.services.database, call.caller.user_name
    request = commands.change_source(database, request_id, dataset, source_rse, who=who)
    return Success(
        {
            **{"request_id": request["request_id"], "dataset": request["dataset"]},
            **{"source_rse": request["source_endpoint"], "ddm_rule_id": None},
        }
    )


@endpoint("POST", auth=Auth.PRODUCTION)
def force_to_staging(call: Call, request_id: int | None = None, dataset: str | None = None) -> Result:
    """Bring a queued dataset at once."""
    return _status(commands.force(call.services.database, request_id, dataset, who=call.caller.user_name))


@endpoint("POST", auth=Auth.PRODUCTION)
def retire_unused(call: Call, request_id: int | None = None, dataset: str | None = None) -> Result:
    """Delete the copies of a request that no task needs any more."""
    return _status(commands.retire(call.services.database, request_id, dataset, who=call.caller.user_name))


def _status(request: dict[str, object]) -> Result:
    names = ("request_id", "dataset", "status")
    # the rules of a data management system of its own; the catalogue that is built in has none
    return Success({**{name: request[name] for name in names}, "ddm_rule_id": None})
