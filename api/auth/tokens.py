"""The OAuth endpoints of the embedded issuer: codes for devices, and tokens for confirmed codes and refresh tokens.

Speaks RFC 8628 and RFC 6749: forms in (with or without a Content-Type), JSON out, refusals as HTTP 400 with `error`.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.addresses import address_of, base_url_of
from api.auth.clients import is_served, membership_of
from api.auth.configuration import DEVICE_GRANT
from api.bodies import parse_form, refuse_nul
from api.identity.issuer import Issuer
from api.operations import Services
from api.problems import json_response
from core import device_codes
from core.device_codes import Refused
from core.errors import Conflict, InvalidInput, NotAllowed, PandaError, Unavailable
from core.grants import Grant, renew

_INTERVAL_S = 2
_NEVER_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_SAID = {
    Refused.PENDING: "nobody has confirmed the code yet",
    Refused.SLOW_DOWN: f"asked too often; wait {_INTERVAL_S + 5} seconds or more between two requests",
    Refused.EXPIRED: "the code has expired; start again",
    Refused.DENIED: "the request was denied in the browser",
    Refused.INVALID: "the code is not known, was used already, or belongs to another client; start again",
}


class TokenEndpoints:
    """The endpoints of one installation."""

    def __init__(self, services: Services, issuer: Issuer) -> None:
        self._services = services
        self._issuer = issuer

    def device_authorization(self, request: Request, body: bytes) -> Response:
        """Open a device flow (RFC 8628, 3.1)."""
        form = _form(body)
        client_id = _required(form, "client_id")
        asked = membership_of(client_id)
        if asked is None or not is_served(self._services.settings, self._services.database, asked.vo):
            return oauth_error("invalid_client", f"there is no client '{client_id[:100]}' here")
        started = device_codes.start(
            self._services.database, client_id=client_id, vo=asked.vo, role=asked.role, address=address_of(request)
        )
        page = f"{base_url_of(request)}/auth/device"
        answer = {
            "device_code": started.device_code,
            "user_code": started.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={started.user_code}",
            "expires_in": device_codes.LIFETIME_S,
            "interval": _INTERVAL_S,
        }
        return json_response(answer, headers=_NEVER_KEPT)

    def token(self, request: Request, body: bytes) -> Response:
        """Tokens for a confirmed device code or for a refresh token (RFC 8628 3.4, RFC 6749 6)."""
        form = _form(body)
        client_id, kind = _required(form, "client_id"), _required(form, "grant_type")
        lifetime_s = self._services.settings.device_token_lifetime_s
        if kind not in (DEVICE_GRANT, "refresh_token"):
            return oauth_error("unsupported_grant_type", f"grant_type is {DEVICE_GRANT} or refresh_token")
        secret = _required(form, "device_code" if kind == DEVICE_GRANT else "refresh_token")
        database = self._services.database
        try:
            if kind == DEVICE_GRANT:
                granted = device_codes.redeem(database, secret, client_id=client_id, lifetime_s=lifetime_s)
            else:
                granted = renew(database, secret, client_id=client_id, lifetime_s=lifetime_s)
        except NotAllowed as error:
            return oauth_error("invalid_grant", str(error))
        if isinstance(granted, Refused):
            return oauth_error(granted.value, _SAID[granted])
        return self._answer(granted, client_id)

    def _answer(self, granted: Grant, client_id: str) -> Response:
        expiry_time = granted.expiry_time.timestamp()
        token = self._issuer.sign(
            granted.identity, token_id=granted.access_token_id, expiry_time=expiry_time, client_id=client_id
        )
        answer = {
            "access_token": token.text,
            "id_token": token.text,
            "refresh_token": granted.refresh_token,
            "token_type": "Bearer",
            "expires_in": max(0, int(expiry_time - time.time())),
            "scope": "openid profile offline_access",
        }
        return json_response(answer, headers=_NEVER_KEPT)


def oauth_error(code: str, description: str, status: int = 400) -> Response:
    """A refusal as OAuth clients read it."""
    headers = _NEVER_KEPT | ({"Retry-After": "2"} if status == 503 else {})
    return json_response({"error": code, "error_description": description}, status, headers)


def oauth_refusal(error: PandaError) -> Response:
    """One of our errors as OAuth clients read it."""
    if isinstance(error, Unavailable | Conflict):
        return oauth_error("temporarily_unavailable", str(error), 503)
    return oauth_error("invalid_request", str(error))


def _form(body: bytes) -> dict[str, Any]:
    form = parse_form(body)
    refuse_nul(form, "")
    return form


def _required(form: dict[str, Any], name: str) -> str:
    """A parameter of a request, which must be there once (RFC 6749, 3.2)."""
    value = form.get(name, "")
    if not isinstance(value, str) or not value:
        what = "repeated" if value else "missing"
        raise InvalidInput(what, field=name, remedy="send it once, form-encoded")
    return value
