"""Hosts that are not found or do not answer. Late in the order: what was being done there says more."""

from __future__ import annotations

from logger.culprit.pattern import refinement, row

PATTERNS = (
    row(
        "dns",
        ("could not resolve host", "name or service not known", "name resolution"),
        r"Could not resolve host|Name or service not known|Temporary failure in name resolution",
        error_class="network",
    ),
    row(
        "refused_connection",
        ("connection refused", "no route to host", "network is unreachable", "connection reset by peer"),
        r"Connection refused|No route to host|Network is unreachable|Connection reset by peer",
        error_class="network",
    ),
)

PYTHON_EXCEPTIONS = (
    refinement(
        "python_network",
        ("timeout", "timed", "connect", "urlerror", "sslerror", "httperror", "httpstatuserror"),
        r"^[| ]*(?:requests|urllib3?|httpx|httpcore|aiohttp|http|socket|ssl)\.[\w.]*"
        r"(?:Timeout|Timeout[Ee]rror|ConnectionError|ConnectError|Disconnected|DisconnectedError|URLError|SSLError)\b"
        r"|^[| ]*(?:requests|urllib|httpx)\.[\w.]*(?:HTTPError|HTTPStatusError): (?:HTTP Error |Server error ')?5\d\d\b"
        r"|^[| ]*Connection(?:Reset|Refused|Aborted)Error\b|^[| ]*TimeoutError: \[Errno 110\]",
        error_class="network",
    ),
)
