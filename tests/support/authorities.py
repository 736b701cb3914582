"""Reads the authorities of the whole world once in a process, where httpx reads them for every client that is made.

That costs 20 ms of a processor, and thousands of clients are made here to ask a server on loopback.
"""

from __future__ import annotations

import functools
import os
import ssl
from typing import Any

import httpx
import httpx._transports.default as default_transport

_make_context = httpx.create_ssl_context


def read_authorities_once() -> None:
    """From now on, clients that name no authorities share them: those of the environment at the time."""
    vars(default_transport)["create_ssl_context"] = _context


@functools.cache
def _authorities(file: str | None, directory: str | None) -> ssl.SSLContext:
    return _make_context()


def _context(verify: ssl.SSLContext | str | bool = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is True and cert is None and trust_env:
        return _authorities(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return _make_context(verify=verify, cert=cert, trust_env=trust_env)
