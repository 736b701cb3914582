"""How bad an incident is: a rule on impact, not on the number of events (monitor.md 6.1). Knows no table.

| severity | when |
| --- | --- |
| critical | 100 core-hours lost per hour or more, or an emitter said CRITICAL |
| error | 1 core-hour lost per hour or more, or more than one queue or user is hit, or an emitter said ERROR |
| warning | the rest |

The rate is taken over the time from the first to the last event, one hour at least. A severity only rises while its
incident is not resolved, so that nobody's list flickers.
"""

from __future__ import annotations

from logger.events import Severity

SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning")
"""Worst first."""

CRITICAL_LOSS = 100.0
ERROR_LOSS = 1.0
"""Core-hours lost per hour."""


def severity_of_impact(lost_core_s: int, span_s: float, queue_count: int, user_count: int) -> Severity:
    """The severity that the impact alone asks for. `span_s`: seconds from the first to the last event."""
    loss = lost_core_s / max(span_s, 3600.0)
    if loss >= CRITICAL_LOSS:
        return "critical"
    return "error" if loss >= ERROR_LOSS or queue_count > 1 or user_count > 1 else "warning"


def worst(*severities: Severity) -> Severity:
    """The worst of them."""
    return min(severities, key=SEVERITIES.index)


def severity_of_level(level: str) -> Severity:
    """The severity that a record of this logging level asks for."""
    if level == "CRITICAL":
        return "critical"
    return "error" if level == "ERROR" else "warning"
