"""How fresh is what the screen shows? The state behind LIVE, LAGGING, PAUSED, REFUSED, DISCONNECTED. Knows no widget.

Signs of life come from the event stream (a heartbeat every 10 s) and from answers; times are those of a monotonic clock
that the caller passes in, so tests can hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

HEARTBEAT_S = 10.0
SILENCE_S = HEARTBEAT_S + 5.0
"""Without a sign of life for this long the stream counts as lagging."""
UNSEEN_S = 5.0
"""A change that is not on the screen after this long makes the view lag."""
ASK_ANYWAY_S = 10.0
"""How often the screen asks while the stream cannot be relied on."""
WIDE_TOPICS = ("jobs", "incidents", "queues", "tasks")
"""What the console always listens to, besides the objects that are shown."""


class LiveState(StrEnum):
    """What the status line says; the sentences are in `MEANING`."""

    CONNECTING = "CONNECTING"
    LIVE = "LIVE"
    LAGGING = "LAGGING"
    PAUSED = "PAUSED"
    REFUSED = "REFUSED"
    DISCONNECTED = "DISCONNECTED"


MEANING: dict[LiveState, str] = {
    LiveState.CONNECTING: "waiting for the first answer of the server",
    LiveState.LIVE: "changes appear as they happen",
    LiveState.LAGGING: "changes arrive late; the screen asks every 10 s instead",
    LiveState.PAUSED: "you stopped live changes; p goes on",
    LiveState.REFUSED: "the server does not take the token; this is the last that it said",
    LiveState.DISCONNECTED: "the server does not answer; this is the last that it said",
}


@dataclass
class LiveFeed:
    """The state machine. Every method takes `now` in seconds of one monotonic clock."""

    started_s: float = 0.0
    paused: bool = False
    reason: str = ""
    refusal: str = ""
    mark: int = 0
    _watched: frozenset[str] = frozenset(WIDE_TOPICS)
    _changed_at_mark: dict[str, int] = field(default_factory=dict)
    _stream_lost: bool = False
    _last_sign_s: float | None = None
    _last_answer_s: float | None = None
    _waiting_since_s: float | None = None
    _is_reached: bool = False
    _is_answered: bool = False

    def watch(self, topics: Iterable[str]) -> None:
        """Remember changes of these topics too (besides the wide ones); forget those watched before."""
        self._watched = frozenset(WIDE_TOPICS) | frozenset(topics)
        self._changed_at_mark = {topic: mark for topic, mark in self._changed_at_mark.items() if topic in self._watched}

    def signal(self, now: float, topics: Iterable[str] = ()) -> None:
        """The stream spoke: a heartbeat (no topics) or a change."""
        self._stream_lost = False
        self.reason = ""
        self._last_sign_s = now
        concerned = self._watched.intersection(topics)
        if concerned:
            self.mark += 1
            self._changed_at_mark.update(dict.fromkeys(concerned, self.mark))

    def everything_changed(self) -> None:
        """The stream could not say what changed: all of it may have."""
        self.mark += 1
        self._changed_at_mark.update(dict.fromkeys(self._watched, self.mark))

    def stream_lost(self, reason: str) -> None:
        """The stream broke. A read that succeeds afterwards shows that only the stream is away."""
        if not self._stream_lost:
            self.lost(reason)
        self._stream_lost = True

    def stream_refused(self) -> None:
        """The server is there, and gives no stream."""
        self._stream_lost = True

    def answered(self, now: float) -> None:
        """A read succeeded; what is on the screen is from now."""
        self._last_answer_s = now
        self._waiting_since_s = None
        self._is_reached = self._is_answered = True
        self.reason = self.refusal = ""

    def refused(self) -> None:
        """The server is there and said no: what stands on the screen is as old as it was."""
        self._is_reached, self._is_answered = True, False
        self._waiting_since_s = None
        self.reason = self.refusal = ""

    def denied(self, refusal: str) -> None:
        """The server does not take the token; `refusal` is its sentence. Ends with the next answer."""
        self.refused()
        self.refusal = refusal

    def lost(self, reason: str) -> None:
        """The server does not answer; `reason` is the sentence for people."""
        self.reason = reason or "the server does not answer"

    def changed_since(self, mark: int, topics: Iterable[str]) -> bool:
        """Did one of the topics change after `mark`?"""
        return any(self._changed_at_mark.get(topic, 0) > mark for topic in topics)

    def waits(self, now: float) -> None:
        """A change of what is shown could not be shown yet."""
        if self._waiting_since_s is None:
            self._waiting_since_s = now

    def state(self, now: float) -> LiveState:
        """What to tell the person, the most serious first."""
        if self.reason:
            return LiveState.DISCONNECTED
        if self.refusal:
            return LiveState.REFUSED
        if self.paused:
            return LiveState.PAUSED
        if not self._is_reached:
            return LiveState.CONNECTING
        last_sign_s = self.started_s if self._last_sign_s is None else self._last_sign_s
        waited_s = 0.0 if self._waiting_since_s is None else now - self._waiting_since_s
        if self._stream_lost or now - last_sign_s > SILENCE_S or waited_s > UNSEEN_S:
            return LiveState.LAGGING
        return LiveState.LIVE

    def data_age_s(self, now: float) -> float | None:
        """Seconds since the last good data. While live, a stream that reports no change vouches for what is shown."""
        if self._last_answer_s is None:
            return None
        is_vouched_for = self._is_answered and self._waiting_since_s is None
        if self.state(now) is LiveState.LIVE and is_vouched_for and self._last_sign_s is not None:
            return now - max(self._last_answer_s, self._last_sign_s)
        return now - self._last_answer_s

    def why_not(self, now: float) -> str:
        """Why a change cannot be sent now; empty when it can."""
        if self.state(now) is LiveState.DISCONNECTED:
            return f"the server does not answer ({self.reason})"
        return f"the server does not take the token ({self.refusal})" if self.refusal else ""
