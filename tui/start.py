"""How the console begins: the address a person typed, and who the token says that person is."""

from __future__ import annotations

import base64
import binascii
import json

from pandascope.addresses import Address
from pandascope.errors import Usage
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
