"""Tokens of an installation: made by the embedded issuer, and the `panda.env` of the user who runs it."""

from __future__ import annotations

import getpass
import logging
import os
import time
from pathlib import Path

from api.identity.issuer import IssuedToken, Issuer
from api.identity.names import is_usable_name, user_name_of
from core import device_codes
from core.configuration import Settings
from core.database import Database
from core.device_codes import DeviceRequest
from core.errors import PandaError, Unavailable
from core.identity import record_token
from pandascope.environment import ENVIRONMENT_FILE

ROLES = ("production", "pilot", "operator", "admin")

_HERE = "panda token"
"""The address in whose name wrong codes from the command line are counted."""

log = logging.getLogger("panda.supervisor")


def issue_token(
    settings: Settings,
    database_url: str,
    *,
    user: str,
    vo: str,
    roles: list[str],
    lifetime_s: int | None = None,
    name: str = "",
    nickname: str = "",
) -> IssuedToken:
    """Make a token and remember in the database that it was given out (it is valid without that, but not revocable).

    `name` and `nickname` are the person's, when they are not the account's own. `database_url` may be empty when no
    database runs. Raises PandaError for an unknown role or a name that cannot be one.
    """
    _check_names(user=user, name=name or user, nickname=nickname or user, vo=vo)
    _check_roles(roles)
    issuer = Issuer(settings.data, name=settings.issuer, audience=settings.audience)
    token = issuer.issue(
        user=user,
        vo=vo,
        roles=roles,
        lifetime_s=lifetime_s or settings.token_lifetime_s,
        name=name,
        nickname=nickname,
    )
    if database_url:
        database = Database(database_url, pool_size=1)
        try:
            record_token(
                database,
                token_id=token.token_id,
                user_name=token.user_name,
                vo=vo,
                roles=roles,
                expiry_time=token.expiry_time,
            )
        except Unavailable as error:
            log.warning("the token of %s was made but not recorded: %s", user, error)
        finally:
            database.close()
    return token


def approve_code(
    settings: Settings, database_url: str, user_code: str, *, user: str, name: str = "", nickname: str = ""
) -> DeviceRequest:
    """Confirm the code that a program shows, as `user`, and return what it asked for.

    Whoever may read the issuer's key may speak for anybody, so nothing else is asked. Raises PandaError for a code that
    is not waiting, a role that does not exist, and a name that cannot be one.
    """
    _check_names(user=user, name=name or user, nickname=nickname or user)
    database = Database(database_url, pool_size=1)
    try:
        asked = device_codes.look_up(database, user_code, _HERE)
        _check_roles([asked.role] if asked.role else [])
        identity = {
            "sub": user,
            "name": name or user,
            "preferred_username": nickname or user,
            "vo": asked.vo,
            "roles": [asked.role] if asked.role else [],
            "until": time.time() + settings.token_lifetime_s,
            "confirmed_with": "",
        }
        identity["user_name"] = user_name_of(identity)
        return device_codes.decide(database, user_code, _HERE, is_approved=True, identity=identity)
    finally:
        database.close()


def _check_names(**names: str) -> None:
    for field, given in names.items():
        if not is_usable_name(given):
            raise PandaError(f"{given[:40]!r} cannot be a name", field=field, remedy="1 to 200 printable characters")


def _check_roles(roles: list[str]) -> None:
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise PandaError(f"there is no role '{unknown[0]}'", field="role", remedy=f"roles are {', '.join(ROLES)}")


def local_user() -> str:
    """Name of the user who runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid{os.geteuid()}"


def write_environment_file(data: Path, url: str, token: str) -> Path:
    """Write `panda.env`, readable by its owner only from its first byte on, and replace the old one in one step."""
    path = data / ENVIRONMENT_FILE
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("# Written by `panda up`: where the server is, and the token of the user who started it.\n")
        file.write(f"PANDA_URL={url}\nPANDA_TOKEN={token}\n")
    unfinished.replace(path)
    return path
