"""The rule for clocks: a host whose time is wrong makes every sequence of events a riddle."""

from __future__ import annotations

from datetime import timedelta

from core.clock import Clock
from logger.events import Kind
from logger.rules.base import Facts, Look, Measurement, MeasureRule
from logger.rules.parameters import ClockSkewParameters
from logger.rules.words import span

_SEEN = timedelta(minutes=10)

# ix_log_sources_seen: of each host the worst of its processes that sent something lately
_SKEWS = """
SELECT DISTINCT ON (host) host, emitter, component, skew_ms FROM log_sources
WHERE last_seen >= %(since)s AND host <> '' ORDER BY host, abs(skew_ms) DESC
"""
_DATABASE = "SELECT clock_timestamp() AS time"


class ClockSkew(MeasureRule[ClockSkewParameters]):
    """One trouble per host that sends records, and one for the database against this server.

    A host's skew is the smallest of its last batches (the ingest keeps it so), because the way of a batch only adds.
    """

    name = "clock_skew"
    kind: Kind = "service"
    sentence = "The clock of a host that sends records is wrong."
    model = ClockSkewParameters

    def __init__(self, own_clock: Clock | None = None) -> None:
        self._own_clock = own_clock

    def measure(self, look: Look, parameters: ClockSkewParameters) -> list[Measurement]:
        """Seconds by which each host is off, without sign."""
        found = [
            _measurement(row["host"], row["skew_ms"] / 1000, parameters.limit_s, row["component"] or row["emitter"])
            for row in look.transaction.fetch(_SKEWS, {"since": look.now - _SEEN})
        ]
        own_clock = self._own_clock or look.clock
        before = own_clock()
        theirs = (look.transaction.fetch_one(_DATABASE) or {"time": before})["time"]
        after = own_clock()
        if not before <= theirs <= after:
            off_s = (before - theirs).total_seconds() if theirs < before else (after - theirs).total_seconds()
            found.append(_measurement("the database", off_s, parameters.limit_s, "database"))
        return found

    def limit(self, parameters: ClockSkewParameters, subject: str, usual: float) -> float:
        """The same for every host."""
        return parameters.limit_s


def _measurement(host: str, behind_s: float, limit_s: float, component: str) -> Measurement:
    way = "behind" if behind_s > 0 else "ahead of"
    return Measurement(
        subject=host,
        value=abs(behind_s),
        limit=limit_s,
        title=f"The clock of {host} is {span(abs(behind_s))} {way} the server's",
        grouping=f"It is the clock of one host, {host}.",
        note=f"{component} on {host}: {abs(behind_s):.1f} s {way} the server's clock",
        facts=Facts(host="" if component == "database" else host, component=component, error_class="time"),
    )
