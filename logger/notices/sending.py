"""The agent of notices: sees changes, sends what is due, says what was not told. Knows the outbox and the channels."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from core.agents.base import Agent
from core.clock import Clock
from core.configuration import Settings
from core.database import Database
from core.tracing import span
from logger.notices import outbox
from logger.notices.channels import channels_of
from logger.notices.doubts import Doubts
from logger.notices.following import ChangeFollower
from logger.notices.message import Channel, Known, Message, Outcome

log = logging.getLogger("panda.notices")

KEPT_FOR = timedelta(days=90)
"""So long it can be looked up what was told."""
_COMPONENT = "incident_notices"
_AT_ONCE = 8
"""Receivers that are told at the same time: one that does not answer holds up few others."""
_CYCLES_PER_LOOK_BACK = 10
_CYCLES_PER_CLEANING = 3600


class NoticeSender(Agent):
    """Tells of the changes of incidents."""

    name = "incident_notices"

    def __init__(self, database: Database, settings: Settings, clock: Clock, period_s: float) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._follower = ChangeFollower(database)
        self._channels = channels_of(settings)
        self._doubts = Doubts()
        self._cycles = 0
        self._has_old = False
        self.period_s = period_s

    def cycle(self) -> int:
        """Take the new changes, then send one message for each route that has notices due; returns how many it sent."""
        now = self._clock()
        _, has_more = self._follower.follow(lambda transaction, rows: outbox.enqueue(transaction, rows, now))
        for route in outbox.lose_abandoned(self._database, now):
            _report("lost", route, "whoever sent it was stopped: it may have arrived")
        if self._cycles % _CYCLES_PER_LOOK_BACK == 0:
            outbox.tell_freed(self._database, now)
        if self._has_old or self._cycles % _CYCLES_PER_CLEANING == 0:
            self._has_old = outbox.forget(self._database, now - KEPT_FOR) > 0
        self._cycles += 1
        return self._send_due(now) + int(has_more)

    def _send_due(self, now: datetime) -> int:
        """One message for each route at most; how many were taken. Those that were not make nobody come back at once."""
        routes = [one for one in outbox.due_routes(self._database, now) if not self._doubts.is_left_alone(one, now)]
        if not routes:
            return 0
        with ThreadPoolExecutor(min(_AT_ONCE, len(routes)), "notices") as pool:
            return sum(pool.map(self._tell, routes))

    def _tell(self, route_id: int) -> int:
        message = outbox.claim(self._database, route_id, partial(self._most_changes, route_id), self._clock())
        if message is None:
            return 0
        message = addressed(message, self._settings)
        outcome = deliver(message, self._channels, self._settings.notices.secrets)
        name, keep_trying_s = message.route["name"], self._settings.notices.keep_trying_s
        told = outbox.note(self._database, message, outcome, keep_trying_s, self._clock())
        self._doubts.note(route_id, is_lost=told["lost"] > 0, now=self._clock())
        for state in ("failed", "lost"):
            if told[state]:
                _report(state, name, f"{told[state]} notices: {outcome.answer}")
        return int(outcome.known is Known.TAKEN)

    def _most_changes(self, route_id: int, channel: str) -> int:
        return self._doubts.most_changes(route_id, self._channels[channel].most_changes)


def deliver(message: Message, channels: Mapping[str, Channel], secrets: Mapping[str, str]) -> Outcome:
    """Send a claimed message through the channel of its route; whatever happens is an outcome."""
    name = message.route["secret_name"]
    if name and name not in secrets:
        # it is not sent unsigned; whoever mends the settings finds it waiting
        return Outcome(Known.NOT_NOW, f"there is no secret {name!r} in [notices.secrets]")
    channel = message.route["channel"]
    try:
        with span("notice", channel=channel, changes=len(message.items), attempt=message.attempts) as found:
            outcome = channels[channel].send(message, secrets.get(name, ""))
            found.note(outcome=outcome.known.value, status=outcome.status)
            return outcome
    except Exception as error:  # a message of a kind that nobody foresaw must not stop the others
        log.exception("the notice to %s failed", message.route["name"], extra={"component": _COMPONENT})
        return Outcome(Known.UNKNOWN, f"{type(error).__name__}: {error}")


def addressed(message: Message, settings: Settings) -> Message:
    """The message with the address of the web monitor that its links begin with."""
    url = settings.notices.base_url or f"http://{settings.host}:{settings.port}/monitor"
    return Message(**{**vars(message), "monitor_url": url.rstrip("/")})


def timed(message: Message, channels: Mapping[str, Channel], secrets: Mapping[str, str]) -> tuple[Outcome, int]:
    """Deliver, and say how long it took in milliseconds."""
    started = time.monotonic()
    outcome = deliver(message, channels, secrets)
    return outcome, int((time.monotonic() - started) * 1000)


def _report(state: str, route: str, why: str) -> None:
    """A record with a key of its own for each route, so that the others tell of it."""
    log.error(
        "the notice route %s has %s notices: %s",
        route,
        state,
        why,
        extra={"component": _COMPONENT, "kind": "service", "fingerprint": f"notice {state}:{route}"},
    )
