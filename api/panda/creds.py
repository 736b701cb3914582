"""`creds`: secrets that users keep for their jobs, tokens of services, and what does not exist here (server-api.md 1.8)."""

from __future__ import annotations

import time

import orjson

from api.identity.issuer import Issuer
from api.panda.kernel import Call, Refusal, Result, Success, endpoint, not_built
from core.credentials import (
    delete_all_secrets,
    delete_secret,
    is_token_key,
    new_token_key,
    secrets_of,
    set_secret,
)
from core.identity import permissions_of, record_token
from core.issuers import ServiceToken

_NOT_PERMITTED, _NO_KEY = 70, 80
"""Protocol status codes (server-api.md 1.15)."""


@endpoint("POST")
def set_user_secrets(call: Call, key: str | None = None, value: str | None = None) -> Result:
    """Keep a secret, delete it (no value), or delete all (no key)."""
    database, user_name = call.services.database, call.caller.user_name
    if key is None:
        delete_all_secrets(database, user_name)
    elif value is None:
        delete_secret(database, user_name, key)
    else:
        set_secret(database, user_name, key, value)
    return Success(None, "OK")


@endpoint("GET")
def get_user_secrets(call: Call, keys: list[str] | None = None) -> Result:
    """The caller's secrets as JSON text of a dictionary, as the real client reads them (client-wire.md 0.2)."""
    found = secrets_of(call.services.database, call.caller.user_name, keys or None)
    return Success(orjson.dumps(found).decode(), "OK")


@endpoint("GET")
def get_access_token(call: Call, client_name: str, token_key: str | None = None) -> Result:
    """A fresh token of a service; for permission p, and a token key where the service wants one.

    Under its own name, and under `user_proxy` as PanDA's programs expect it.
    """
    service = _permitted_service(call, client_name, "p")
    if isinstance(service, Refusal):
        return service
    database, settings = call.services.database, call.services.settings
    if service.use_token_key and not (token_key and is_token_key(database, token_key, client_name)):
        said = "missing" if not token_key else "not valid for this client, or has expired"
        return Refusal(f"the token key is {said} (ask for one: creds/get_token_key)", {"StatusCode": _NO_KEY})
    issuer = Issuer(settings.data, name=settings.issuer, audience=settings.audience)
    token = issuer.issue(
        user=service.client_name, vo=service.vo, roles=list(service.roles), lifetime_s=service.lifetime_s
    )
    record_token(
        database,
        token_id=token.token_id,
        user_name=token.user_name,
        vo=service.vo,
        roles=list(service.roles),
        expiry_time=token.expiry_time,
    )
    remaining_s = int(token.expiry_time.timestamp() - time.time())
    return Success({"access_token": token.text, "user_proxy": token.text, "expires_in": remaining_s})


@endpoint("GET")
def get_token_key(call: Call, client_name: str) -> Result:
    """A new key for tokens of a service; for permission t. It is shown this once."""
    service = _permitted_service(call, client_name, "t")
    if isinstance(service, Refusal):
        return service
    key, expiry_time = new_token_key(call.services.database, client_name=client_name, user_name=call.caller.user_name)
    return Success({"tokenKey": key, "expiry_time": expiry_time})


@endpoint("GET")
def get_key_pair(call: Call, public_key_name: str, private_key_name: str) -> Result:
    """Key pairs of object stores are not kept here."""
    return not_built("store of key pairs")


@endpoint("GET")
def get_proxy(call: Call, role: str | None = None, dn: str | None = None) -> Result:
    """X.509 proxies are not kept here."""
    return not_built("store of X.509 proxies")


def _permitted_service(call: Call, client_name: str, permission: str) -> ServiceToken | Refusal:
    """The service of the settings, or the refusal; who lacks the permission does not hear which services there are."""
    if permission not in permissions_of(call.services.database, call.caller.user_name):
        return Refusal(
            f"permission denied: {call.caller.user_name} does not have permission '{permission}' "
            "(an administrator gives it: PUT /api/control/user/NAME)",
            {"StatusCode": _NOT_PERMITTED},
        )
    named = (service for service in call.services.settings.service_tokens if service.client_name == client_name)
    return next(named, None) or Refusal(
        f"client_name: there is no client '{client_name[:100]}' (see [[service_tokens]] in panda.toml)",
        {"StatusCode": _NOT_PERMITTED},
    )
