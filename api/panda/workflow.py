"""`workflow`: native workflows, which do not exist here. Signatures as upstream (server-api.md 1.12, client-wire.md 6.2)."""

from __future__ import annotations

from typing import Any

from api.panda.kernel import Call, Result, endpoint, not_built

_FEATURE = "native workflows"


@endpoint("POST")
def submit_workflow_raw_request(call: Call, params: dict[str, Any] | str) -> Result:
    """Register a workflow from raw parameters."""
    return not_built(_FEATURE)


@endpoint("POST")
def submit_workflow(call: Call, workflow_definition: dict[str, Any]) -> Result:
    """Register a workflow from its definition."""
    return not_built(_FEATURE)


@endpoint("GET")
def get_workflow_details(call: Call, workflow_id: int) -> Result:
    """A workflow with its steps and data: asked by the user client, not in the published server."""
    return not_built(_FEATURE)
