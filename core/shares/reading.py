"""Reads the tree and its use out of the database. Knows global_shares, share_usage and the power of queues."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol

from core.database import Row
from core.shares.tree import Load, ShareNode, ShareTree

_NODE_COLUMNS = tuple(field.name for field in fields(ShareNode))


class Reader(Protocol):
    """A Database or a Transaction: whoever can be asked."""

    def fetch(self, statement: str, parameters: Any = None) -> list[Row]:
        """Rows of a statement."""


# both tables whole: a tree has tens of nodes, the use of it some thousand rows
_NODES = f"SELECT {', '.join(_NODE_COLUMNS)} FROM global_shares ORDER BY position, name"
_LOADS = """
SELECT gshare, sum(executing_power) AS executing, sum(queued_power) AS queued FROM share_usage GROUP BY gshare
"""


def read_nodes(reader: Reader) -> list[ShareNode]:
    """All nodes in order of position."""
    return [ShareNode(**row) for row in reader.fetch(_NODES)]


def read_tree(reader: Reader) -> ShareTree:
    """The tree as operators left it; without any node when there is none."""
    return ShareTree(read_nodes(reader))


def read_loads(reader: Reader) -> dict[str, Load]:
    """What each share uses and has queued, as last counted (`core.shares.usage`); shares in no tree too."""
    return {row["gshare"]: Load(row["executing"], row["queued"]) for row in reader.fetch(_LOADS)}
