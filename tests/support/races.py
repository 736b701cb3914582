"""Two at the same time, really: work that is put beside a transaction until it waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.database import Database
from tests.support.system import eventually

# pg_blocking_pids would take the locks' own lock for each; all backends of this database that wait for another's
_WAITING = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ %(pattern)s AND pid <> pg_backend_pid()
"""


class Beside:
    """A call in a thread of its own, and what came of it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._answer: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._call()
        except BaseException as error:  # noqa: BLE001  (handed to whoever asks for the answer)
            self._error = error

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def answer(self) -> Any:
        """Wait for it. Raises what it raised."""
        self._thread.join(timeout=60)
        assert self.is_over, "it waits for ever"
        if self._error is not None:
            raise self._error
        return self._answer


@contextmanager
def waiting(database: Database, call: Callable[[], Any], pattern: str) -> Iterator[Beside]:
    """Start a call and go on when a statement like `pattern` waits for a lock, or the call is over already."""
    beside = Beside(call)
    watcher = Database(database.url)
    try:
        eventually(
            lambda: beside.is_over or watcher.fetch(_WAITING, {"pattern": pattern}), what=f"{pattern} waits for a lock"
        )
        yield beside
        beside.answer()
    finally:
        watcher.close()
