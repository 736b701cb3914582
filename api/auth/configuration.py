"""What programs read before they sign in: the auth configuration of an organisation, discovery and keys of our issuer.

Addresses in it are those under which the client found this server, since it may be known by several.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.addresses import base_url_of
from api.auth.clients import client_id_of, is_served
from api.identity.issuer import ALGORITHM, Issuer
from api.identity.membership import Membership, split_origin
from api.operations import Services
from api.problems import json_response, problem
from core.issuers import ExternalIssuer

SUFFIX = "_auth_config.json"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Configuration:
    """Answers for one installation."""

    def __init__(self, services: Services, issuer: Issuer) -> None:
        self._services = services
        self._issuer = issuer

    def auth_configuration(self, request: Request, body: bytes) -> Response:
        """`<vo>[.role]_auth_config.json` (client-wire.md 2.2), for external issuers theirs, else ours."""
        file_name = str(request.path_params["file_name"])
        name = file_name.removesuffix(SUFFIX)
        settings = self._services.settings
        if file_name.endswith(SUFFIX) and name and "\x00" not in name:
            for asked in (Membership(name), split_origin(name)):  # a VO may have a dot in its name
                entry = _entry_for(settings.issuers, asked)
                if entry is not None:
                    return json_response(_external(entry))
                if is_served(settings, self._services.database, asked.vo):
                    return json_response(self._embedded(asked, base_url_of(request)))
        return problem(
            404,
            "Unknown organisation",
            code="unknown_object",
            detail=f"nobody signs in for the VO '{name[:200]}' here",
            field="vo",
            remedy="check PANDA_AUTH_VO; an administrator adds a VO under [[issuers]] in panda.toml, or makes a token of it",
        )

    def discovery(self, request: Request, body: bytes) -> Response:
        """The OpenID Connect discovery document of the embedded issuer."""
        base = f"{base_url_of(request)}/auth"
        document = {
            "issuer": self._issuer.name,
            "jwks_uri": f"{base}/jwks",
            "token_endpoint": f"{base}/token",
            "device_authorization_endpoint": f"{base}/device_authorization",
            "grant_types_supported": [DEVICE_GRANT, "refresh_token"],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["openid", "profile", "offline_access"],
            "claims_supported": ["sub", "name", "preferred_username", "groups", "vo", "roles"],
        }
        return json_response(document)

    def keys(self, request: Request, body: bytes) -> Response:
        """The public keys of the embedded issuer (JWKS)."""
        return json_response(self._issuer.public_keys())

    def _embedded(self, asked: Membership, base: str) -> dict[str, Any]:
        return {
            "client_id": client_id_of(asked),
            "client_secret": "",
            "audience": self._issuer.audience,
            "oidc_config_url": f"{base}/auth/.well-known/openid-configuration",
            "vo": asked.vo,
        }


def _entry_for(entries: list[ExternalIssuer], asked: Membership) -> ExternalIssuer | None:
    fitting = [entry for entry in entries if entry.vo == asked.vo and entry.role in ("", asked.role)]
    return max(fitting, key=lambda entry: entry.role == asked.role, default=None)


def _external(entry: ExternalIssuer) -> dict[str, Any]:
    known = {
        "client_id": entry.client_id,
        "client_secret": entry.client_secret,
        "audience": entry.audience or entry.client_id,
        "oidc_config_url": entry.oidc_config_url,
        "vo": entry.vo,
    }
    return known | ({"jwt_profile": entry.jwt_profile} if entry.jwt_profile else {})
