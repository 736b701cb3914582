"""`system`: is the server there, and how does it see me."""

from __future__ import annotations

from api.panda.kernel import Auth, Call, Result, Success, endpoint


@endpoint("GET", auth=Auth.OPEN)
def is_alive(call: Call) -> Result:
    """Health check: the server answers, and so does its database."""
    call.services.database.ping()
    return Success()


@endpoint("GET")
def get_user_attributes(call: Call) -> Result:
    """How the server sees the caller: name, roles, organisation."""
    caller = call.caller
    attributes = {"user_name": caller.user_name, "vo": caller.vo, "roles": sorted(caller.roles)}
    return Success(attributes, "\n".join(f"{name} = {value}" for name, value in attributes.items()))
