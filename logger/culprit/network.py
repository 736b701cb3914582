"""Hosts that are not found or do not answer. Late in the order: what was being done there says more."""

from __future__ import annotations

from logger.culprit import locales
from logger.culprit.pattern import refinement, row

PATTERNS = (
    row(
        "dns",
        (
            "could not resolve host",
            "name or service not known",
            "name resolution",
            *locales.hints(*locales.UNKNOWN_HOST),
        ),
        r"Could not resolve host|Name or service not known|Temporary failure in name resolution"
        rf"|{locales.any_of(*locales.UNKNOWN_HOST)}",
        error_class="network",
    ),
    row(
        "refused_connection",
        (
            *("connection refused", "no route to host", "network is unreachable", "connection reset by peer"),
            *locales.hints(*locales.REFUSED),
        ),
        r"Connection refused|No route to host|Network is unreachable|Connection reset by peer"
        rf"|{locales.any_of(*locales.REFUSED)}",
        error_class="network",
    ),
)

PYTHON_EXCEPTIONS = (
    refinement(
        "python_network",
        ("timeout", "timed", "connect", "urlerror", "sslerror", "httperror", "httpstatuserror"),
        r"^[| ]*(?:pip\._vendor\.)?(?:requests|urllib3?|botocore|httpx|httpcore|aiohttp|http|socket|ssl)\.[\w.]*"
        r"(?:Timeout|Timeout[Ee]rror|ConnectionError|ConnectError|Disconnected|DisconnectedError|URLError|SSLError)\b"
        r"|^[| ]*(?:requests|urllib|httpx)\.[\w.]*(?:HTTPError|HTTPStatusError): (?:HTTP Error |Server error ')?5\d\d\b"
        r"|^[| ]*Connection(?:Reset|Refused|Aborted)Error\b|^[| ]*TimeoutError: \[Errno 110\]",
        error_class="network",
    ),
)
