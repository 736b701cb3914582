"""What can be known of an installation without being it: names of its processes, whether it answers. Imports little.

Commands that only look at an installation, start one in the background or end one need no more than this.
"""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from core.errors import PandaError

SUPERVISOR, DATABASE, SITE, API_PREFIX, PILOT_PREFIX = "supervisor", "postgres", "site", "api-", "pilot-"

ALIVE_PATH = "/api/v1/system/is_alive"

STOP_PATIENCE_S = 180.0
"""More than all of the patience of a stop together: how long somebody else should wait for the supervisor to end."""


class AlreadyRunning(PandaError):
    """Another supervisor has this data directory."""

    code = "already_running"


def is_alive(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a server answers at an address."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", ALIVE_PATH)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
