"""How bad an incident is: a rule on impact, not on the number of events (monitor.md 6.1). Knows no table.

| severity | when |
| --- | --- |
| critical | 100 core-hours lost per hour or more, a fifth of the running cores wasted, or an emitter said CRITICAL |
| error | 1 core-hour per hour, a fiftieth of the cores, more than one queue or user hit, or an emitter said ERROR |
| warning | the rest |

The rate is taken over the time from the first to the last event, one hour at least. A severity only rises while its
incident is not resolved, so that nobody's list flickers; what a person holds does not change.
"""

from __future__ import annotations

from logger.events import Severity

SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning")
"""Worst first."""

CRITICAL_LOSS = 100.0
ERROR_LOSS = 1.0
"""Core-hours lost per hour."""
CRITICAL_SHARE = 0.2
ERROR_SHARE = 0.02
"""Part of the running cores that is wasted."""
FEWEST_CORES = 50
"""With fewer running cores a share of them says nothing."""


def loss_rate(lost_core_s: float, span_s: float) -> float:
    """Core-hours lost per hour. `span_s`: seconds from the first to the last event."""
    return lost_core_s / max(span_s, 3600.0)


def severity_of_impact(rate: float, queue_count: int, user_count: int, slot_share: float = 0.0) -> Severity:
    """The severity that the impact alone asks for. `rate`: core-hours lost per hour; `slot_share`: of the running cores."""
    if rate >= CRITICAL_LOSS or slot_share >= CRITICAL_SHARE:
        return "critical"
    is_wide = queue_count > 1 or user_count > 1
    return "error" if rate >= ERROR_LOSS or slot_share >= ERROR_SHARE or is_wide else "warning"


def worst(*severities: Severity) -> Severity:
    """The worst of them."""
    return min(severities, key=SEVERITIES.index)


def severity_of_level(level: str) -> Severity:
    """The severity that a record of this logging level asks for."""
    if level == "CRITICAL":
        return "critical"
    return "error" if level == "ERROR" else "warning"
