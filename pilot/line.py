"""The line to the server, with a token that may be renewed on disk while a pilot or factory runs for weeks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pandascope.environment import Credentials
from pandascope.errors import NotAuthorised
from pandascope.transport import Manners, Request, Transport, unwrap

CALL_TIMEOUT_S = 30.0
MANNERS = Manners(timeout_s=CALL_TIMEOUT_S, tries=1)
"""One attempt per call: the loops of pilot and factory decide what is tried again, and when."""


class Line:
    """Calls of the server. When it refuses our token, the token is read anew and, if it is another, tried once."""

    def __init__(self, find_credentials: Callable[[], Credentials]) -> None:
        self._find_credentials = find_credentials
        self._credentials = find_credentials()
        self._transport = Transport(self._credentials.url, self._credentials.token, manners=MANNERS)

    def panda(self, path: str, body: dict[str, Any] | None = None, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """The data of a call of PanDA's API: POST with a body, GET without. Raises pandascope.errors.ClientError."""
        method = "GET" if body is None else "POST"
        return unwrap(self.call(Request(method, path, json=body, timeout_s=timeout_s)))

    def call(self, request: Request) -> Any:
        """The JSON answer to a request. Raises pandascope.errors.ClientError."""
        try:
            return self._transport.request(request)
        except NotAuthorised:
            credentials = self._find_credentials()
            if credentials == self._credentials:
                raise
            self.close()
            self._credentials = credentials
            self._transport = Transport(credentials.url, credentials.token, manners=MANNERS)
            return self._transport.request(request)

    @property
    def credentials(self) -> Credentials:
        """Address and token in use."""
        return self._credentials

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
