"""Keys of external OIDC providers: discovery and JWKS by HTTP, remembered. Knows no claim but the issuer's name.

A provider is asked once an hour, and for a key it has not shown yet, that at most once a minute, whatever comes. While it
is away, the keys it showed last go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from core.errors import Unavailable

log = logging.getLogger("panda.api")

KEEP_S = 3600.0
PAUSE_S = 60.0
_TIMEOUT_S = 5.0
_PATIENCE_S = 2.0
_MAX_BYTES = 1_000_000
_MAX_KEYS = 100

Key = RSAKey | ECKey
ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
"""The only algorithms accepted, each for its own kind of key: a public key can never become a shared secret."""


@dataclass(frozen=True)
class Published:
    """What a provider says about itself."""

    issuer: str
    keys: tuple[Key, ...]
    time: float


class Provider:
    """One discovery address. Safe to share between threads: one of them asks, the others go on with what is known."""

    def __init__(self, discovery_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = discovery_url
        self._clock = clock
        self._published: Published | None = None
        self._next_try = float("-inf")
        self._failure = ""
        self._asking = threading.Lock()

    def published(self) -> Published:
        """Issuer and keys, at most an hour old unless the provider is away. Raises Unavailable when nothing is known."""
        known = self._published
        if known is None or self._clock() > known.time + KEEP_S:
            self._ask_unless_newer(known, patience_s=0.0 if known else _PATIENCE_S)
        if self._published is None:
            raise Unavailable(
                f"the token issuer {self.url} does not answer: {self._failure or 'it is being asked'}",
                field="Authorization",
                remedy="try again later; an administrator should look at the issuer and at [[issuers]] in panda.toml",
            )
        return self._published

    def keys_for(self, kid: str | None, kind: str) -> list[Key]:
        """Keys that may have signed a token: those of `kind` (RSA, EC) and named `kid`, asking anew once for a new name."""
        published = self.published()
        found = _matching(published, kid, kind)
        if found:
            return found
        self._ask_unless_newer(published, patience_s=_PATIENCE_S, pause_s=PAUSE_S)
        return _matching(self._published or published, kid, kind)

    def _ask_unless_newer(self, known: Published | None, *, patience_s: float, pause_s: float = 0.0) -> None:
        """Ask, unless another thread has meanwhile; wait for one that is asking, but not for long: threads are few."""
        if not self._asking.acquire(timeout=patience_s):
            return
        try:
            if self._published is known:
                self._ask(pause_s)
        finally:
            self._asking.release()

    def _ask(self, pause_s: float = 0.0) -> None:
        """Ask the provider, unless there is a pause; then pause for `pause_s`, or longer after a failure, which keeps what
        is known."""
        now = self._clock()
        if now < self._next_try:
            return
        self._next_try = now + pause_s
        try:
            with httpx.Client(timeout=_TIMEOUT_S) as client:
                discovery = _document(client, self.url)
                issuer, keys_url = discovery.get("issuer"), discovery.get("jwks_uri")
                if not isinstance(issuer, str) or not isinstance(keys_url, str) or not issuer:
                    raise ValueError("its discovery document has no issuer or no jwks_uri")
                entries = _document(client, keys_url).get("keys")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._failure = str(error) or type(error).__name__
            self._next_try = now + PAUSE_S
            log.warning("the token issuer %s cannot be read: %s", self.url, self._failure, extra={"component": "api"})
            return
        keys = [_key_of(entry) for entry in (entries if isinstance(entries, list) else [])[:_MAX_KEYS]]
        self._published = Published(issuer, tuple(key for key in keys if key is not None), now)


def _document(client: httpx.Client, url: str) -> dict[str, Any]:
    """A JSON object of a web server that is not trusted with our memory or our time."""
    content = bytearray()
    with client.stream("GET", url, headers={"Accept": "application/json"}) as response:
        if response.status_code != 200:
            raise ValueError(f"{url} answered HTTP {response.status_code}")
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _MAX_BYTES:
                raise ValueError(f"{url} is longer than {_MAX_BYTES} bytes")
    document = orjson.loads(content)
    if not isinstance(document, dict):
        raise ValueError(f"{url} is no JSON object")
    return document


def _key_of(entry: object) -> Key | None:
    """A signing key that we accept, or None: RSA from 2048 bits, EC on P-256."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        if entry.get("kty") == "RSA":
            rsa = RSAKey.import_key(entry)
            return rsa if rsa.raw_value.key_size >= 2048 else None
        if entry.get("kty") == "EC" and entry.get("crv") == "P-256":
            return ECKey.import_key(entry)
    except (JoseError, ValueError, TypeError):
        return None
    return None


def _matching(published: Published, kid: str | None, kind: str) -> list[Key]:
    """A token that names no key may be of any; providers show few."""
    return [key for key in published.keys if key.key_type == kind and kid in (None, key.kid)]
