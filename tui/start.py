"""How the console begins: the address a person typed, who the token says that person is, and where another token is found."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from contextlib import AsyncExitStack

from pandascope.addresses import Address
from pandascope.client import AsyncClient
from pandascope.environment import Credentials
from pandascope.errors import ClientError, Usage
from tui.command_line import parse_command
from tui.screens import SCREENS

_ROLES = ("admin", "operator", "production", "pilot", "user")
"""The highest first."""


def start_address(text: str) -> Address:
    """The address in an argument: an address, a link, or what one would type after `:`. Raises Usage."""
    command = parse_command(text)
    if not isinstance(command, Address):
        raise Usage(
            f"'{text}' is not a place", field="ADDRESS", remedy="for example: job 17, jobs failed 6h, /incident/5/"
        )
    if command.page not in SCREENS:
        raise Usage(
            f"the console has no page {command}", field="ADDRESS", remedy="the web monitor has it; here: / or deeds"
        )
    return command


def role_of(token: str) -> str:
    """Who a token names and the highest role it gives, for the status line; `guest` without a token.

    The server alone decides what the token is worth.
    """
    if not token:
        return "guest"
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        roles = claims.get("roles")
        name = claims.get("preferred_username") or claims.get("name") or claims.get("sub") or ""
    except (IndexError, ValueError, AttributeError, TypeError, binascii.Error):
        return ""
    held = [str(role) for role in roles] if isinstance(roles, list) else []
    highest = next((role for role in _ROLES if role in held), held[0] if held else "")
    return " ".join(filter(None, [str(name), f"({highest})" if highest else ""]))


class Renewing:
    """Looks where the token was found whether another one is there by now: `panda up` may have written it anew."""

    def __init__(self, used: Credentials, find: Callable[[], Credentials], clients: AsyncExitStack) -> None:
        """`clients` closes what is opened here."""
        self._used = used
        self._find = find
        self._clients = clients

    def again(self) -> tuple[AsyncClient, str] | None:
        """A client with the other token, and whose that is; None when it is the same. Never for another address."""
        try:
            found = self._find()
        except ClientError:
            return None
        if found.url != self._used.url or found.token == self._used.token:
            return None
        self._used = found
        client = AsyncClient(found.url, found.token, via="console")
        self._clients.push_async_callback(client.close)
        return client, role_of(found.token)
