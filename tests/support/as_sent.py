"""A LogRecord as the real handler would send it, without thread and socket."""

from __future__ import annotations

import json
import logging
from typing import Any

from logger.handler import PandaHandler


def as_sent(handler: PandaHandler, record: logging.LogRecord) -> dict[str, Any]:
    """The JSON object of the record in a batch."""
    kept, _ = handler._kept(record)
    entry: dict[str, Any] = json.loads(kept if isinstance(kept, bytes) else kept())
    return entry
