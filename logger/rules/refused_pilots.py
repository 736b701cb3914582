"""The key under which both doors for pilots tell that a queue's pilots are refused (api/panda/refused_pilots.py)."""

from __future__ import annotations

REFUSED_PILOTS = "v1:pilots refused:"
"""How the fingerprints of these incidents begin; the queue follows."""


def refused_queue(fingerprint: str) -> str:
    """The queue whose pilots an incident says are refused; empty for any other incident."""
    return fingerprint.removeprefix(REFUSED_PILOTS) if fingerprint.startswith(REFUSED_PILOTS) else ""
