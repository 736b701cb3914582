"""The embedded issuer: signs and checks JSON Web Tokens with a key in the data directory. Knows no HTTP, no roles' meaning."""

from __future__ import annotations

import fcntl
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

from core.errors import NotAllowed, Unavailable

_ALGORITHM = "ES256"
_CLOCK_SKEW_S = 60


@dataclass(frozen=True)
class IssuedToken:
    """A token as handed out, with what the database remembers of it."""

    text: str
    token_id: str
    expiry_time: datetime


class Issuer:
    """Issues and verifies tokens for one data directory. The key is made on first use, readable by its owner only."""

    def __init__(self, data: Path, *, name: str = "pandascope", audience: str = "pandascope") -> None:
        self.name = name
        self.audience = audience
        self._key = _load_key(data / "issuer.jwk")

    def issue(self, *, user: str, vo: str, roles: list[str], lifetime_s: int) -> IssuedToken:
        """Make a token for `user` of `vo` with `roles` (production, pilot, operator, admin) valid for `lifetime_s` seconds."""
        now = int(time.time())
        token_id = uuid.uuid4().hex
        claims = {
            "iss": self.name,
            "aud": self.audience,
            "sub": user,
            "name": user,
            "preferred_username": user,
            "vo": vo,
            "roles": roles,
            "groups": [f"/{vo}", *(f"/{vo}/Role={role}" for role in roles)],
            "iat": now,
            "exp": now + lifetime_s,
            "jti": token_id,
        }
        text = jwt.encode({"alg": _ALGORITHM, "kid": self._key.kid or ""}, claims, self._key)
        return IssuedToken(text, token_id, datetime.fromtimestamp(now + lifetime_s, UTC))

    def verify(self, text: str) -> dict[str, Any]:
        """The claims of a token of ours. Raises NotAllowed, saying why, for any other."""
        try:
            token = jwt.decode(text, self._key, algorithms=[_ALGORITHM])
            jwt.JWTClaimsRegistry(
                leeway=_CLOCK_SKEW_S,
                iss={"essential": True, "value": self.name},
                aud={"essential": True, "value": self.audience},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(token.claims)
        except (JoseError, ValueError, TypeError) as error:
            raise NotAllowed(
                f"the token was refused: {error}",
                field="Authorization",
                remedy="ask for a new one: panda token create --user NAME --vo VO",
            ) from error
        return token.claims


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
