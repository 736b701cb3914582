"""Tokens of external OIDC providers: which provider, which client of it, whether signature and claims are good.

Knows the settings of `[[issuers]]` and what a provider publishes; does not know what a role allows.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from api.identity.issuer import CLOCK_SKEW_S, refused
from api.identity.providers import ALGORITHMS, Provider
from core.errors import Unavailable
from core.issuers import ExternalIssuer

_KINDS = {algorithm: kind for kind, algorithm in ALGORITHMS.items()}


@dataclass(frozen=True)
class Verified:
    """A good token of a provider, and the entries of the settings whose client it was made for."""

    claims: dict[str, Any]
    entries: tuple[ExternalIssuer, ...]

    @property
    def subject(self) -> str:
        """Who it is, among all people of all providers."""
        return f"{self.claims['iss']}#{self.claims['sub']}"


class ExternalIssuers:
    """All configured providers. Safe to share between threads."""

    def __init__(self, entries: list[ExternalIssuer]) -> None:
        self._entries: dict[str, list[ExternalIssuer]] = {}
        for entry in entries:
            self._entries.setdefault(entry.oidc_config_url, []).append(entry)
        self._providers = [Provider(url) for url in self._entries]

    def verify(self, text: str, issuer: str) -> Verified:
        """Check a token that says it is `issuer`'s. Raises NotAllowed saying why it is refused, Unavailable when its issuer
        cannot be asked."""
        provider = self._provider_of(issuer)
        header, _ = peek(text)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in _KINDS:
            raise refused(f"it is signed with {algorithm!r}, and only RS256 and ES256 are taken")
        keys = provider.keys_for(str(kid) if kid is not None else None, _KINDS[algorithm])
        if not keys:
            raise refused(f"its issuer has no {_KINDS[algorithm]} key '{kid}'")
        claims = _checked(text, provider, keys, algorithm)
        clients = _clients_of(claims)
        entries = tuple(entry for entry in self._entries[provider.url] if clients & _accepted_by(entry))
        if not entries:
            raise refused(f"it was made for another audience ({', '.join(sorted(clients)) or 'none'})")
        return Verified(claims, entries)

    def _provider_of(self, issuer: str) -> Provider:
        """The provider that says of itself that it is `issuer`."""
        away: Unavailable | None = None
        for provider in sorted(self._providers, key=lambda known: not known.url.startswith(issuer)):
            try:
                if provider.published().issuer == issuer:
                    return provider
            except Unavailable as error:
                # discovery stands below the issuer's own address, nearly always: then it is this one that is away
                away = error if provider.url.startswith(issuer.rstrip("/") + "/") else away
        if away is not None:
            raise away
        raise refused(f"its issuer {issuer[:200]!r} is not known here")


def peek(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token as it came, unchecked. Raises NotAllowed for what is no token."""
    try:
        header, claims = (json.loads(_decoded(part)) for part in text.split(".")[:2])
        # half characters and NUL: nothing here could keep them or say them again
        is_text = b"\\u0000" not in json.dumps(claims, ensure_ascii=False).encode()
    except (ValueError, binascii.Error, RecursionError) as error:
        raise refused("it is no JSON Web Token") from error
    if not isinstance(header, dict) or not isinstance(claims, dict) or not is_text:
        raise refused("it is no JSON Web Token")
    return header, claims


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))


def _checked(text: str, provider: Provider, keys: list[Any], algorithm: str) -> dict[str, Any]:
    """The claims, once one of the keys fits and time and issuer are right."""
    claims: dict[str, Any] | None = None
    reason: Exception | None = None
    for key in keys:
        try:
            claims = jwt.decode(text, key, algorithms=[algorithm]).claims
            break
        except (JoseError, ValueError, TypeError) as error:
            reason = error
    if claims is None:
        raise refused(reason) from reason
    try:
        jwt.JWTClaimsRegistry(
            leeway=CLOCK_SKEW_S,
            iss={"essential": True, "value": provider.published().issuer},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise refused(error) from error
    return claims


def _clients_of(claims: dict[str, Any]) -> set[str]:
    """The clients a token names: its audience, else `client_id`, else the subject (client-wire.md 2.1)."""
    named = claims.get("aud") or claims.get("client_id") or claims.get("sub")
    return {str(entry) for entry in named} if isinstance(named, list) else {str(named)}


def _accepted_by(entry: ExternalIssuer) -> set[str]:
    own = {entry.client_id, *entry.secondary_ids, *entry.robot_ids}
    return own | {entry.audience} if entry.audience else own


def is_robot(claims: dict[str, Any], entry: ExternalIssuer) -> bool:
    """Whether a token is one of a configured robot's own.

    Its audience does not make it one: people may ask their provider for any audience.
    """
    return bool({str(claims.get("client_id")), str(claims.get("sub"))} & set(entry.robot_ids))
