"""How a worker node is named, so that one machine is one value wherever it is counted. Knows text only."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[\d.]+|.*:.*")


def node_name(host: str) -> str:
    """The node of a host as pilots write it: without its slot (`slot1_3@`) and its domain; an IP address stays whole."""
    name = host.rsplit("@", 1)[-1].strip()
    return name if _ADDRESS.fullmatch(name) else name.split(".", 1)[0]


def node_value(computing_site: str, host: str) -> str:
    """A node as a value of the dimension `node`: nodes of different queues are different, whatever they are called."""
    return f"{computing_site} {node_name(host)}".strip() if host else ""
