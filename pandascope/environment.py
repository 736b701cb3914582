"""Where the server is and how to speak to it: environment, else the `panda.env` that `panda up` writes.

Must not import core: this is read by every command and by pilots on other hosts.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pandascope.errors import ClientError, ServerUnreachable, Usage

ENVIRONMENT_FILE = "panda.env"


@dataclass(frozen=True)
class Credentials:
    """An address with the token for it; `source` says in words where they were found."""

    url: str
    token: str
    source: str

    def __repr__(self) -> str:
        """Without the token: this ends up in tracebacks."""
        return f"Credentials(url={self.url!r}, token={'set' if self.token else 'none'}, source={self.source!r})"


def default_data_directory(environ: Mapping[str, str] | None = None) -> Path:
    """The directory when none is named: PANDA_DATA, else /var/lib/pandascope for root, else below XDG data home."""
    environ = os.environ if environ is None else environ
    if environ.get("PANDA_DATA"):
        return Path(environ["PANDA_DATA"])
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/pandascope")
    share = environ.get("XDG_DATA_HOME")
    return (Path(share) if share else Path.home() / ".local" / "share") / "pandascope"


def find_credentials(
    url: str | None = None,
    token: str | None = None,
    data: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Credentials:
    """Address and token: as given, else of the data directory named, of the environment, of the default directory.

    A token found beside one address is never sent to another one; an empty token (not None) means: speak as nobody.
    Raises ServerUnreachable when no address is known, Usage for an address that is none.
    """
    environ = os.environ if environ is None else environ
    if url:
        known = _from_environment(environ, data) if token is None else None
        same = known is not None and known.url == _checked(url, "--url")
        return Credentials(_checked(url, "--url"), token or (known.token if known and same else ""), "as given")
    found = _from_environment(environ, data)
    if found is None:
        directory = Path(data) if data else default_data_directory(environ)
        raise ServerUnreachable(
            f"no server is known: PANDA_URL is not set and there is no {directory / ENVIRONMENT_FILE}",
            code="no_server",
            remedy="start one with `panda up`, or set PANDA_URL and PANDA_TOKEN",
        )
    return Credentials(found.url, token or found.token, found.source)


def read_environment_file(path: Path) -> dict[str, str]:
    """The NAME=value lines of a `panda.env`; comments and blank lines are skipped. Raises ClientError if unreadable."""
    try:
        text = path.read_text(encoding="utf-8")
    except PermissionError as error:
        raise ClientError(
            f"{path} is not readable for you",
            code="not_authorised",
            remedy="it holds the token of the user who ran `panda up`; ask for one made by `panda token create` "
            "and set PANDA_URL and PANDA_TOKEN",
        ) from error
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip().removeprefix("export "): value.strip().strip("'\"") for name, value in pairs}


def virtual_organisation(token: str) -> str:
    """The VO a token speaks for, for the Origin header; empty when it does not say.

    Read without checking the signature: only the server can decide what a token is worth.
    """
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        groups = claims.get("groups") or claims.get("wlcg.groups") or [""]
        return str(claims.get("vo") or str(groups[0]).strip("/").split("/")[0])
    except (IndexError, ValueError, AttributeError, TypeError, KeyError, binascii.Error):
        return ""


def _from_environment(environ: Mapping[str, str], data: Path | str | None) -> Credentials | None:
    if not data and environ.get("PANDA_URL"):
        url = _checked(environ["PANDA_URL"], "PANDA_URL")
        return Credentials(url, environ.get("PANDA_TOKEN") or _token_beside(environ, url), "PANDA_URL")
    path = (Path(data) if data else default_data_directory(environ)) / ENVIRONMENT_FILE
    if not _exists(path):
        return None
    values = read_environment_file(path)
    if not values.get("PANDA_URL"):
        raise ClientError(
            f"{path} names no PANDA_URL", code="configuration", remedy="write it anew with `panda up`, or set PANDA_URL"
        )
    # whoever names a token and no address means to speak as somebody else to the server that is here
    token = values.get("PANDA_TOKEN", "") if data else environ.get("PANDA_TOKEN") or values.get("PANDA_TOKEN", "")
    return Credentials(_checked(values["PANDA_URL"], str(path)), token, str(path))


def _token_beside(environ: Mapping[str, str], url: str) -> str:
    """The token of the default data directory, if it is for the same address."""
    path = default_data_directory(environ) / ENVIRONMENT_FILE
    values = read_environment_file(path) if _exists(path) and os.access(path, os.R_OK) else {}
    return values.get("PANDA_TOKEN", "") if values.get("PANDA_URL", "").rstrip("/") == url else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def _checked(url: str, field: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise Usage(f"'{url}' is not an http address", field=field, remedy="for example http://127.0.0.1:25080")
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, or brackets that do not match
        has_host = False
    if not has_host:
        raise Usage(f"'{url}' names no host and port", field=field, remedy="for example http://127.0.0.1:25080")
    # PanDA's client has the path in the variable of the same name
    return url.rstrip("/").removesuffix("/server/panda")
