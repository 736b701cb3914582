"""Actions of people on incidents, jobs, tasks and queues: previewed, confirmed once by a token, undone, written down.

Above both the incident store and core, because only here are both known: core's own commands do the work.
"""

from __future__ import annotations

from logger.deeds.base import Actor, PreviewOutdated, Selector
from logger.deeds.carrying_out import confirm, deed_row
from logger.deeds.previews import Preview, PreviewRequest, PreviewRules, preview
from logger.deeds.table import ACTIONS
from logger.deeds.undoing import cancel_revert, undo

__all__ = [
    "ACTIONS",
    "Actor",
    "Preview",
    "PreviewOutdated",
    "PreviewRequest",
    "PreviewRules",
    "Selector",
    "cancel_revert",
    "confirm",
    "deed_row",
    "preview",
    "undo",
]
