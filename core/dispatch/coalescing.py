"""Group commit at the door: calls of one kind that meet in a process go to the database together. Knows no SQL.

The first caller becomes the leader and takes everybody who is waiting; while its statement runs, the next group
gathers. Nobody ever waits for company: an idle process serves a lone caller at once (stack.md, "coalesce at the door").
A leader that has its own answer hands the lead to one who waits, so that nobody works for others for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from core.errors import Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class _Waiting(Generic[Item, Answer]):
    """One caller's item and, later, its answer or the error of its group."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.wake = threading.Event()
        self.leads = False
        self.is_done = False
        self.answer: Answer | None = None
        self.error: BaseException | None = None


class Coalescer(Generic[Item, Answer]):
    """Runs `work` on groups of items. Items with the same key never share a group and keep their order."""

    def __init__(
        self,
        work: Callable[[list[Item]], list[Answer]],
        key: Callable[[Item], Hashable],
        *,
        most: int = 64,
        lanes: int = 2,
    ) -> None:
        """`most`: items in a group; `lanes`: groups on their way to the database at the same time."""
        self._work = work
        self._key = key
        self._most = most
        self._lock = threading.Lock()
        self._waiting: list[_Waiting[Item, Answer]] = []
        self._busy: set[Hashable] = set()
        self._free_lanes = lanes

    def submit(self, item: Item) -> Answer:
        """Do the work for `item`, alone or with others, and return its own answer. Raises what its group raised."""
        mine: _Waiting[Item, Answer] = _Waiting(item)
        with self._lock:
            self._waiting.append(mine)
            mine.leads = self._free_lanes > 0
            if mine.leads:
                self._free_lanes -= 1
        # in this order: whoever is appointed is not done yet, so a lane is never taken along
        while not mine.is_done or mine.leads:
            if mine.leads:
                mine.leads = False
                self._lead(mine)
            else:
                mine.wake.wait()
                mine.wake.clear()
        if mine.error is not None:
            raise mine.error
        return mine.answer  # type: ignore[return-value]

    def _lead(self, mine: _Waiting[Item, Answer]) -> None:
        """Serve groups until `mine` is answered, then pass the lane to one who waits, or give it back."""
        while True:
            with self._lock:
                group = self._next_group()
                if not group:
                    self._free_lanes += 1
                    return
            self._serve(group)
            with self._lock:
                if mine.is_done and self._waiting:
                    heir = self._waiting[0]
                    heir.leads = True
                    heir.wake.set()
                    return

    def _next_group(self) -> list[_Waiting[Item, Answer]]:
        group: list[_Waiting[Item, Answer]] = []
        later: list[_Waiting[Item, Answer]] = []
        passed: set[Hashable] = set()
        for entry in self._waiting:
            key = self._key(entry.item)
            if len(group) < self._most and key not in self._busy and key not in passed:
                self._busy.add(key)
                group.append(entry)
            else:
                later.append(entry)
            passed.add(key)
        self._waiting = later
        return group

    def _serve(self, group: list[_Waiting[Item, Answer]]) -> None:
        try:
            self._answer(group)
        finally:
            with self._lock:
                self._busy.difference_update(self._key(entry.item) for entry in group)
            for entry in group:
                entry.is_done = True
                entry.wake.set()

    def _answer(self, group: list[_Waiting[Item, Answer]]) -> None:
        """Fill in the answers. A group that fails is tried one by one: a bad item harms its own caller only."""
        try:
            answers = self._work([entry.item for entry in group])
        except Exception as error:  # noqa: BLE001  (handed to the callers, in their own threads)
            if len(group) == 1 or isinstance(error, Unavailable):
                for entry in group:
                    entry.error = error
                return
            for entry in group:
                self._answer([entry])
            return
        for entry, answer in zip(group, answers, strict=True):
            entry.answer = answer
