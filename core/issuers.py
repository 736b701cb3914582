"""What is configured about token issuers: external ones, and services that tokens are made for. Knows no token and no HTTP."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, field_validator

from core.settings_table import Documented

_LOOPBACK_NAMES = ("localhost", "::1")


class ExternalIssuer(Documented):
    """An OIDC provider whose tokens count for one VO (or one role of it), with the words of PanDA's own
    `<vo>[.role]_auth_config.json` files (client-wire.md 2.2)."""

    vo: str = Field(min_length=1, pattern=r"^[^\s:/]+$")
    """Virtual organisation whose members this provider knows."""
    role: str = Field(default="", pattern=r"^[^\s:/.]*$")
    """The role these clients are for; empty for any."""
    client_id: str = Field(min_length=1)
    """Client that users sign in with."""
    secondary_ids: list[str] = []
    """Further clients of this VO whose tokens are taken."""
    client_secret: str = ""
    """Secret of the client; users' programs read it from the auth configuration, so it is no secret to them."""
    audience: str = ""
    """Audience to ask tokens for; empty takes the client's own."""
    oidc_config_url: str
    """Address of its discovery document (.../.well-known/openid-configuration)."""
    jwt_profile: Literal["", "wlcg"] = ""
    """Where groups stand in its tokens: the claim groups, or wlcg.groups with wlcg."""
    robot_ids: list[str] = []
    """Clients that act for no person: members of the VO without a groups claim."""
    auto_roles: list[str] = []
    """Roles (production, pilot, operator, admin) those robots have without asking."""

    @field_validator("oidc_config_url")
    @classmethod
    def _is_safe(cls, address: str) -> str:
        """Keys that come over plain HTTP from another machine could be anybody's."""
        try:
            parts = urlsplit(address)
            host = parts.hostname or ""
        except ValueError as error:
            raise ValueError("it is no address") from error
        is_near = host.startswith("127.") or host in _LOOPBACK_NAMES
        if not host or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not is_near):
            raise ValueError("give an https address (http only for this machine)")
        return address


class ServiceToken(Documented):
    """A service that tokens are made for on request (creds/get_access_token)."""

    client_name: str = Field(min_length=1)
    """Name it is asked for by; the tokens speak for a user of this name."""
    vo: str = Field(min_length=1)
    """Virtual organisation of its tokens."""
    roles: list[str] = []
    """Roles of its tokens."""
    lifetime_s: PositiveInt = 3600
    """Life of each token, in seconds."""
    use_token_key: bool = False
    """Whether whoever asks must show a token key (creds/get_token_key)."""


class IssuerSettings(Documented):
    """The settings about issuers, a part of `core.configuration.Settings`."""

    issuers: list[ExternalIssuer] = []
    """External OIDC providers, one `[[issuers]]` table each in the file."""
    service_tokens: list[ServiceToken] = []
    """Services that bearers of permission p may get tokens for, one `[[service_tokens]]` table each."""
    device_token_lifetime_s: PositiveInt = 24 * 3600
    """Life of a token got by confirming a code in the browser, in seconds; it is refreshed without asking."""

    @field_validator("issuers")
    @classmethod
    def _are_distinct(cls, issuers: list[ExternalIssuer]) -> list[ExternalIssuer]:
        pairs = [(issuer.vo, issuer.role) for issuer in issuers]
        repeated = next((pair for pair in pairs if pairs.count(pair) > 1), None)
        if repeated:
            raise ValueError(f"two entries for VO '{repeated[0]}' and role '{repeated[1]}'")
        return issuers
