"""`system`: is the server there, and how does it see me (server-api.md 1.11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.identity.caller import Caller
from api.panda.kernel import Auth, Call, Result, Success, endpoint

_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that nobody gets back, not even who sent them: answers end up in logs."""


@endpoint("GET", auth=Auth.OPEN)
def is_alive(call: Call) -> Result:
    """Health check: the server answers, and so does its database."""
    call.services.database.ping()
    return Success()


@endpoint("GET", takes_any=True)
def get_attributes(call: Call) -> Result:
    """Whatever parameters came, and how the request and its sender look from here."""
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": value
        for name, value in call.headers.items()
        if name.lower() not in _CREDENTIALS
    }
    environment = {
        "REQUEST_METHOD": call.method,
        "SERVER_URL": call.base_url,
        "SSL_CLIENT_S_DN": call.caller.user_name,
        **headers,
        **_credentials_of(call.caller),
    }
    data = {"parameters": dict(call.sent), "environment": environment}
    return Success(data, f"===== param =====\n{_lines(call.sent)}\n\n====== env ======\n{_lines(environment)}")


@endpoint("GET")
def get_voms_attributes(call: Call) -> Result:
    """The caller's organisation and roles in the form of VOMS attributes."""
    attributes = _credentials_of(call.caller)
    return Success(attributes, _lines(attributes))


@endpoint("GET")
def get_user_attributes(call: Call) -> Result:
    """How the server sees the caller: name, organisation, roles, groups."""
    caller = call.caller
    attributes = {
        "user_name": caller.user_name,
        "vo": caller.vo,
        "roles": sorted(caller.roles),
        "nickname": caller.nickname,
        "groups": list(caller.groups),
    }
    return Success(attributes, _lines(attributes))


def _credentials_of(caller: Caller) -> dict[str, str]:
    """The names PanDA's servers give to attributes of a credential, which the real client looks for."""
    attributes = [f"VOMS /{caller.vo}/Role={role}" for role in sorted(caller.roles)] or [f"VOMS /{caller.vo}"]
    return {f"GRST_CRED_AUTH_TOKEN_{number}": text for number, text in enumerate(attributes)}


def _lines(pairs: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {value}" for name, value in sorted(pairs.items()))
