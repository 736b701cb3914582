"""A process that carries out deeds one target at a time, to be killed in the middle by the tests of this folder."""

from __future__ import annotations

import sys
import time

from core.clock import utc_now
from core.database import Database
from logger.deeds.loops import DeedWorker


def main(url: str) -> None:
    """Work until killed."""
    worker = DeedWorker(Database(url), utc_now, page=1)
    while True:
        if not worker.cycle():
            time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1])
