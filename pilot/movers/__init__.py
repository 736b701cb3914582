"""The movers: one file each, one contract (base.py), and the table of those there are."""

from __future__ import annotations

from pilot.movers.base import Mover, Transfer, TransferError
from pilot.movers.cp import CopyMover
from pilot.movers.symlink import SymlinkMover

MOVERS: dict[str, Mover] = {mover.name: mover for mover in (CopyMover(), SymlinkMover())}

__all__ = ["MOVERS", "Mover", "Transfer", "TransferError"]
