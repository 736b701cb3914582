"""What payloads on the nodes of a queue reach (`wnconnectivity`). Queues that say nothing are taken to reach all."""

from __future__ import annotations

from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion

_REACH = {"none": 0, "http": 1, "full": 2}


class NetworkReaches(Criterion):
    """Payloads may need the whole network or HTTP only, over a certain version of IP."""

    name = "network"
    sentence = "payloads at the queue reach what they need"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        """Compare reach and version."""
        there = queue.stated.network
        if request.network and there and _REACH[there] < _REACH[request.network]:
            return f"has network {there} for payloads, the task needs {request.network}"
        version = queue.stated.ip_version
        if request.ip_version and version not in ("", "both", request.ip_version):
            return f"has {version} for payloads, the task needs {request.ip_version}"
        return None
