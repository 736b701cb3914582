"""`idds`: relays to iDDS, which this server does not stand beside. Signatures as upstream (server-api.md 1.13)."""

from __future__ import annotations

from api.panda.kernel import Call, Result, endpoint, not_built

_FEATURE = "iDDS"


@endpoint("POST")
def relay_idds_command(
    call: Call,
    command_name: str,
    args: str | None = None,
    kwargs: str | None = None,
    manager: bool = False,
    json_outputs: bool = False,
) -> Result:
    """Relay a call to iDDS."""
    return not_built(_FEATURE)


@endpoint("POST")
def execute_idds_workflow_command(
    call: Call, command_name: str, kwargs: str | None = None, json_outputs: bool = False
) -> Result:
    """Steer a workflow in iDDS."""
    return not_built(_FEATURE)
