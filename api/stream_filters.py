"""Filters of the live stream: which of the changed incidents a reader cares for. One question per filter and signal, shared
by all readers of a process. Knows no HTTP."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import parse_qsl

import anyio

from core.database import Database
from core.errors import InvalidInput, Unavailable
from core.monitor.question import Question, read_question
from logger.reading import INCIDENT_GRAMMAR
from logger.reading.membership import incidents_among, incidents_found

MOST_REMEMBERED = 1000
"""Incidents that a reader may have on its page; that one of them leaves the filter is a change too."""
MOST_FILTERS = 100
"""Different ones of one process: each is a question for every signal."""
_MOST_ANSWERS = 200
_AT_ONCE = 2
"""Threads that ask for all readers: the others of the process are for requests."""
_LONGEST = 1000
_ID = "incident:"


class IncidentFilters:
    """Answers of the database, remembered for the readers that ask the same of the same signal."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: OrderedDict[tuple[str, int], frozenset[int]] = OrderedDict()
        self._lock = threading.Lock()
        self._watched: Counter[str] = Counter()
        self.limiter = anyio.CapacityLimiter(_AT_ONCE)

    def check_room(self, text: str) -> None:
        """Raise Unavailable while as many other filters are watched as this process holds."""
        if text not in self._watched and len(self._watched) >= MOST_FILTERS:
            raise Unavailable(
                f"{MOST_FILTERS} different filters are watched already",
                remedy="watch without one, or one that others watch",
            )

    @contextmanager
    def watched(self, text: str) -> Iterator[None]:
        """Count a reader of this filter while the block runs, on the event loop."""
        self._watched[text] += 1
        try:
            yield
        finally:
            self._watched[text] -= 1
            if not self._watched[text]:
                del self._watched[text]

    def among(self, text: str, question: Question, seq: int, ids: frozenset[int]) -> frozenset[int]:
        """Those of the incidents of signal `seq` that the filter finds. Blocks; raises Unavailable."""
        with self._lock:
            found = self._answers.get((text, seq))
            if found is None:
                found = self._answers[text, seq] = incidents_among(self._database, question, ids)
                while len(self._answers) > _MOST_ANSWERS:
                    self._answers.popitem(last=False)
        return found

    def shown(self, question: Question) -> list[int]:
        """What a page with this filter may show now. Blocks; raises Unavailable."""
        return incidents_found(self._database, question, MOST_REMEMBERED)


class IncidentFilter:
    """What one reader wants to hear of incidents."""

    def __init__(self, text: str, now: datetime, filters: IncidentFilters) -> None:
        """`text`: as the query of the page Incidents. Raises InvalidInput."""
        if len(text) > _LONGEST:
            raise InvalidInput(f"holds {len(text)} signs", field="filter", remedy=f"at most {_LONGEST}")
        self.text = text
        self._question = read_question(
            [*parse_qsl(text, keep_blank_values=True), ("strict", "1")], INCIDENT_GRAMMAR, now
        )
        self._filters = filters
        self._shown: OrderedDict[int, None] = OrderedDict()

    def begin(self) -> None:
        """Learn what the reader may be shown now, so that it hears when that leaves. Blocks; raises Unavailable."""
        self._remember(reversed(self._filters.shown(self._question)))

    def kept(self, topics: frozenset[str], seq: int) -> frozenset[str]:
        """The topics of a signal without those of incidents that are none of the reader's. Blocks; raises Unavailable."""
        ids = frozenset(int(topic.removeprefix(_ID)) for topic in topics if topic.startswith(_ID))
        if not ids:
            return topics
        found = self._filters.among(self.text, self._question, seq, ids)
        gone = {one for one in ids - found if one in self._shown}
        for one in gone:
            del self._shown[one]
        self._remember(found)
        others = frozenset(topic for topic in topics if not topic.startswith(_ID) and topic != "incidents")
        wanted = {f"{_ID}{one}" for one in found | gone}
        return others | wanted | ({"incidents"} if wanted else set())

    def _remember(self, ids: Iterable[int]) -> None:
        for one in ids:
            self._shown[one] = None
            self._shown.move_to_end(one)
        while len(self._shown) > MOST_REMEMBERED:
            self._shown.popitem(last=False)
