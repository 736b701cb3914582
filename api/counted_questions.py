"""Counts of pages that change under their readers: one question for each distinct filter of a process, however many watch it.

Knows pages with their filters, and when a count is due; knows no HTTP and no SQL.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread

from core.clock import Clock
from core.database import Database
from core.errors import InvalidInput, PandaError
from core.monitor.jobs import job_list
from core.monitor.question import Grammar, Question, read_question
from core.monitor.selection import JOB_GRAMMAR
from core.monitor.tasks import TASK_GRAMMAR, task_list
from logger.reading import INCIDENT_GRAMMAR, incident_list

log = logging.getLogger("panda.live")

PERIOD_S = 2.0
"""A question is asked at most so often, and only after its page changed."""
MOST_OF_READER = 5
MOST_OF_PROCESS = 50
_AT_ONCE = 2
_LONGEST = 1000
_PREFIX = "counts:"

_PAGES: dict[str, tuple[Grammar, Callable[[Database, Question], dict[str, Any]]]] = {
    "jobs": (JOB_GRAMMAR, job_list),
    "incidents": (INCIDENT_GRAMMAR, incident_list),
    "tasks": (TASK_GRAMMAR, task_list),
}


@dataclass(frozen=True)
class CountedTopic:
    """`counts:jobs?job_status=failed`: the counts of a page with a filter."""

    text: str
    page: str
    items: tuple[tuple[str, str], ...]

    def question(self, now: datetime) -> Question:
        """What is asked now: windows move. Raises InvalidInput."""
        return read_question([*self.items, ("limit", "1"), ("strict", "1")], _PAGES[self.page][0], now)


def counted_topic(text: str, now: datetime) -> CountedTopic | None:
    """The topic that a text means; None when it is of another kind. Raises InvalidInput for a page or filter there is not."""
    if not text.startswith(_PREFIX):
        return None
    page, _, query = text.removeprefix(_PREFIX).partition("?")
    if page not in _PAGES or len(text) > _LONGEST:
        raise InvalidInput(
            f"there is no topic {text[:40]!r}", field="topics", remedy=f"counts: of {', '.join(_PAGES)}, with a filter"
        )
    topic = CountedTopic(text, page, tuple(parse_qsl(query, keep_blank_values=True)))
    topic.question(now)
    return topic


@dataclass
class _Known:
    """The last answer to a question."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    answer: dict[str, Any] | None = None
    seq: int = -1
    """Number of the change up to which the answer knows everything."""
    asked: float = -PERIOD_S


class CountedQuestions:
    """The questions of one process and who watches them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watched: Counter[str] = Counter()
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    def check_room(self, topics: Sequence[CountedTopic]) -> None:
        """Raise InvalidInput when these are too many for a reader, or with those of others for the process."""
        if len(topics) > MOST_OF_READER:
            remedy = f"at most {MOST_OF_READER} of one reader"
            raise InvalidInput(f"{len(topics)} counts are too many", field="topics", remedy=remedy)
        if len({*self._watched, *(topic.text for topic in topics)}) > MOST_OF_PROCESS:
            remedy = "watch one that others watch, or ask the page now and then"
            raise InvalidInput(f"{MOST_OF_PROCESS} different counts are watched already", field="topics", remedy=remedy)

    @contextmanager
    def watched(self, topics: Sequence[CountedTopic]) -> Iterator[None]:
        """Keep the answers to these while the block runs."""
        with self._lock:
            for topic in topics:
                self._watched[topic.text] += 1
                self._known.setdefault(topic.text, _Known())
        try:
            yield
        finally:
            with self._lock:
                for topic in topics:
                    self._watched[topic.text] -= 1
                    if not self._watched[topic.text]:
                        del self._watched[topic.text], self._known[topic.text]

    def due(self, topic: CountedTopic) -> float:
        """When the question may be asked again, on the monotonic clock."""
        known = self._known.get(topic.text)
        return known.asked + PERIOD_S if known else 0.0

    async def answer(
        self, topic: CountedTopic, seq: int, newest: Callable[[], int], clock: Clock
    ) -> dict[str, Any] | None:
        """The counts as of change `seq` or later; None when the database cannot say. `newest`: the last change there is."""
        return await anyio.to_thread.run_sync(self._answer, topic, seq, newest, clock, limiter=self._limiter)

    def _answer(self, topic: CountedTopic, seq: int, newest: Callable[[], int], clock: Clock) -> dict[str, Any] | None:
        known = self._known.get(topic.text) or _Known()
        with known.lock:
            if known.answer is not None and known.seq >= seq:
                return known.answer
            known.asked = time.monotonic()
            until, now = newest(), clock()
            try:
                page = _PAGES[topic.page][1](self._database, topic.question(now))
            except PandaError as error:
                log.info("counts of the live stream are left out: %s", error)
                return None
            known.seq = max(seq, until)
            known.answer = {
                "topic": topic.text,
                "seq": known.seq,
                "as_of": page["as_of"],
                "counts": page.get("facets", {}),
                "count": page["count"],
                "exact": page["exact"],
            }
            return known.answer


class ReaderCounts:
    """Which counts one reader waits for, and when they are due."""

    def __init__(self, questions: CountedQuestions, topics: Sequence[CountedTopic], seq: int) -> None:
        """At first all of them."""
        self._questions = questions
        self._topics = topics
        self._due: dict[CountedTopic, tuple[float, int]] = {}
        self.changed(None, seq)

    def changed(self, topics: frozenset[str] | None, seq: int) -> None:
        """These topics changed (None: anything may have)."""
        for topic in self._topics:
            if topics is None or topic.page in topics:
                time_due = self._due[topic][0] if topic in self._due else self._questions.due(topic)
                self._due[topic] = (time_due, seq)

    def next_due(self) -> float:
        """When the next counts are due, on the monotonic clock."""
        return min((when for when, _ in self._due.values()), default=float("inf"))

    async def answers(self, newest: Callable[[], int], clock: Clock) -> list[dict[str, Any]]:
        """The counts that are due."""
        now = time.monotonic()
        found = []
        for topic, (_, seq) in [one for one in self._due.items() if one[1][0] <= now]:
            del self._due[topic]
            answer = await self._questions.answer(topic, seq, newest, clock)
            if answer is not None:
                found.append(answer)
        return found
