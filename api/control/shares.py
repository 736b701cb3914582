"""Global shares: read and set by operators, one node or the whole tree at once; live work tagged anew."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field

from api.identity.access import Access
from api.operations import Context, operation
from api.strict import StrictBody, Whole
from core.shares.checking import MAX_NODES
from core.shares.editing import remove_share, replace_tree
from core.shares.editing import set_share as store_share
from core.shares.reading import read_nodes
from core.shares.retagging import retag
from core.shares.unseen import unseen_by, warnings_of


class ShareBody(StrictBody):
    """Attributes of a share; those left out stay. Expressions are regular expressions of the whole value, empty for all."""

    parent: str | None = None
    """Empty for the top."""
    value: float | None = None
    """Weight among its siblings."""
    position: Whole | None = None
    """Work goes to the first leaf that matches, in this order."""
    vo: str | None = None
    prod_source_label: str | None = None
    working_group: str | None = None
    campaign: str | None = None
    processing_type: str | None = None
    trans_path: str | None = None
    rtype: str | None = None
    """Kind of resource (`parameters.resource_type` of a queue) at which alone it runs."""
    max_queued_jobs: Whole | None = None
    """Jobs of a resource type that may wait; 0: as the installation says."""
    description: str | None = None


class NamedShare(ShareBody):
    """A share of a whole tree; what is left out is empty."""

    name: str


class TreeBody(StrictBody):
    """A whole tree; shares without a position follow the order of the list. Without any share there is no tree."""

    shares: list[NamedShare] = Field(max_length=MAX_NODES)


class RetagBody(StrictBody):
    """Which live work is tagged anew."""

    running_too: bool = False
    """Also jobs that a pilot has."""


@operation("GET", "/api/control/shares", access=Access.READER)
def tree_of_shares(context: Context) -> dict[str, Any]:
    """The tree as it can be sent back: all shares in order of position."""
    return {"shares": [asdict(node) for node in read_nodes(context.database)]}


@operation("PUT", "/api/control/shares", access=Access.OPERATOR)
def set_tree_of_shares(context: Context, body: TreeBody) -> dict[str, Any]:
    """Put a whole tree in place of the one that is, all or nothing; `warnings` name what no work matches so far."""
    shares = [share.model_dump(exclude_none=True) for share in body.shares]
    nodes = replace_tree(context.database, shares, who=context.caller.user_name)
    context.services.ranking.forget()
    warnings = warnings_of(unseen_by(context.database, nodes))
    return {"shares": [asdict(node) for node in nodes], "warnings": warnings}


@operation("PUT", "/api/control/share/{name}", access=Access.OPERATOR)
def set_share(context: Context, name: str, body: ShareBody) -> dict[str, Any]:
    """Make a share or change some of its attributes; `warnings` says what of it no work matches that was seen so far.

    Leaves that never can match, for one before them takes it all, are named whichever share was changed.
    """
    node = store_share(context.database, name, body.model_dump(exclude_none=True), who=context.caller.user_name)
    context.services.ranking.forget()
    found = unseen_by(context.database, read_nodes(context.database))
    unseen = [entry for entry in found if entry.share == name or entry.field == "position"]
    return {"share": asdict(node), "warnings": warnings_of(unseen)}


@operation("DELETE", "/api/control/share/{name}", access=Access.OPERATOR)
def delete_share(context: Context, name: str) -> dict[str, Any]:
    """Take a leaf out of the tree; its work is served after that of the others until it is tagged anew."""
    remove_share(context.database, name, who=context.caller.user_name)
    context.services.ranking.forget()
    return {"removed": name}


@operation("POST", "/api/control/shares/retag", access=Access.OPERATOR)
def retag_live_work(context: Context, body: RetagBody) -> dict[str, Any]:
    """Give live tasks and jobs the shares that the tree gives them now."""
    changed = retag(context.database, who=context.caller.user_name, running_too=body.running_too)
    context.services.ranking.forget()
    return {"tasks": changed.tasks, "jobs": changed.jobs}
