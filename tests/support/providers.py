"""A second token issuer over real HTTP: publishes its discovery document and keys, signs with them, and can be away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.support.system import eventually, free_port

CLIENT = "physics-client"


class OtherIssuer:
    """An OIDC provider of the world outside."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.name = f"{self.url}/"
        self.keys: dict[str, RSAKey | ECKey] = {}
        self.requests: list[str] = []
        self.renew_keys()

    @property
    def discovery_url(self) -> str:
        """Where its discovery document is."""
        return f"{self.url}/.well-known/openid-configuration"

    def renew_keys(self) -> None:
        """Sign with new keys from now on, and publish no others."""
        self.keys = {
            "RS256": RSAKey.generate_key(2048, private=True, auto_kid=True),
            "ES256": ECKey.generate_key("P-256", private=True, auto_kid=True),
        }

    def token(self, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token of Jane Doe, member and producer of physics; a claim of None is left out."""
        now = int(time.time())
        claims = {
            "iss": self.name,
            "aud": CLIENT,
            "sub": "4711",
            "name": "jane DOE",
            "preferred_username": "jdoe",
            "groups": ["physics", "physics/production", "/physics/pilot"],
            "iat": now,
            "exp": now + 600,
            "jti": "1",
        } | changes
        key = self.keys[algorithm]
        given = {name: value for name, value in claims.items() if value is not None}
        head = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **(header or {})}
        return jws.serialize_compact(head, json.dumps(given), key)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer HTTP while in the block."""
        routes = [Route("/.well-known/openid-configuration", self._discovery), Route("/jwks", self._jwks)]
        server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=self.port, log_level="error")
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            eventually(lambda: server.started, what="the other issuer starts")
            yield
        finally:
            server.should_exit = True
            thread.join(timeout=10)

    async def _discovery(self, request: Request) -> JSONResponse:
        self.requests.append("discovery")
        return JSONResponse({"issuer": self.name, "jwks_uri": f"{self.url}/jwks"})

    async def _jwks(self, request: Request) -> JSONResponse:
        self.requests.append("jwks")
        odd = [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "odd"}, {"kty": "RSA", "n": "?"}, "nonsense", None]
        return JSONResponse({"keys": [*(key.as_dict(private=False) for key in self.keys.values()), *odd]})
