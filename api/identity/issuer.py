"""The embedded issuer: signs and checks JSON Web Tokens with a key in the data directory. Knows no HTTP, no roles' meaning."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from api.identity.names import user_name_of
from core.errors import NotAllowed, Unavailable

ALGORITHM = "ES256"
CLOCK_SKEW_S = 60


@dataclass(frozen=True)
class IssuedToken:
    """A token as handed out, with what the database remembers of it."""

    text: str
    token_id: str
    expiry_time: datetime
    user_name: str
    """The owner name that jobs and tasks of its bearer get."""


class Issuer:
    """Issues and verifies tokens for one data directory. The key is made on first use, readable by its owner only."""

    def __init__(self, data: Path, *, name: str = "pandascope", audience: str = "pandascope") -> None:
        self.name = name
        self.audience = audience
        self._key = _load_key(data / "issuer.jwk")

    def issue(
        self, *, user: str, vo: str, roles: list[str], lifetime_s: int, name: str = "", nickname: str = ""
    ) -> IssuedToken:
        """Make a token for `user` of `vo` with `roles` (production, pilot, operator, admin) valid for `lifetime_s` seconds.

        `name` (of the person) and `nickname` (in names of datasets) are the account's own unless given.
        """
        identity = {
            "sub": user,
            "name": name or user,
            "preferred_username": nickname or user,
            "vo": vo,
            "roles": roles,
        }
        return self.sign(identity, token_id=uuid.uuid4().hex, expiry_time=time.time() + lifetime_s)

    def sign(self, identity: dict[str, Any], *, token_id: str, expiry_time: float, client_id: str = "") -> IssuedToken:
        """Make a token of the claims `sub`, `name`, `preferred_username`, `vo` and `roles` in `identity`, until `expiry_time`
        (seconds since 1970). A token for a client names it in its audience, as OIDC wants."""
        vo, roles = str(identity["vo"]), [str(role) for role in identity["roles"]]
        claims = {
            "iss": self.name,
            "aud": [self.audience, client_id] if client_id else self.audience,
            "sub": identity["sub"],
            "name": identity["name"],
            "preferred_username": identity["preferred_username"],
            "vo": vo,
            "roles": roles,
            # the real client looks for vo/role, people who know VOMS for the other form
            "groups": [f"/{vo}", *(f"{vo}/{role}" for role in roles), *(f"/{vo}/Role={role}" for role in roles)],
            "iat": int(time.time()),
            "exp": int(expiry_time),
            "jti": token_id,
        }
        if client_id:
            claims["azp"] = client_id
        text = jwt.encode({"alg": ALGORITHM, "kid": self._key.kid or ""}, claims, self._key)
        return IssuedToken(text, token_id, datetime.fromtimestamp(int(expiry_time), UTC), user_name_of(claims))

    def verify(self, text: str) -> dict[str, Any]:
        """The claims of a token of ours. Raises NotAllowed, saying why, for any other."""
        try:
            token = jwt.decode(text, self._key, algorithms=[ALGORITHM])
            jwt.JWTClaimsRegistry(
                leeway=CLOCK_SKEW_S,
                iss={"essential": True, "value": self.name},
                aud={"essential": True, "value": self.audience},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(token.claims)
        except (JoseError, ValueError, TypeError) as error:
            raise refused(error) from error
        return token.claims

    def public_keys(self) -> dict[str, Any]:
        """The JSON Web Key Set that others check our tokens with."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": ALGORITHM}]}

    def seal(self, text: str) -> str:
        """A proof that only processes with our key can make of `text`, for forms that come back."""
        secret = str(self._key.as_dict(private=True)["d"]).encode()
        return hmac.new(hashlib.sha256(b"seal" + secret).digest(), text.encode(), hashlib.sha256).hexdigest()


def refused(reason: object) -> NotAllowed:
    """The refusal of a token."""
    return NotAllowed(
        f"the token was refused: {reason}",
        field="Authorization",
        remedy="ask for a new one: panda token create --user NAME --vo VO, or sign in again at your issuer",
    )


def _load_key(path: Path) -> ECKey:
    """Read the signing key, making it first under a lock when it is not there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            if text:
                return ECKey.import_key(json.loads(text))
            key = ECKey.generate_key("P-256", private=True, auto_kid=True)
            json.dump(key.as_dict(private=True), file)
            file.flush()
            os.fsync(file.fileno())
            return key
    except (OSError, ValueError, JoseError) as error:
        raise Unavailable(
            f"the issuer's key {path} cannot be read: {error}", field="data", remedy="check its owner and mode (600)"
        ) from error
