"""What the monitors read of incidents: lists, facets, one incident with everything it needs, silences. No change of anything."""

from __future__ import annotations

from logger.reading.comparing import incident_comparison
from logger.reading.detail import incident_detail
from logger.reading.incidents import incident_counts, incident_list, worst_incidents
from logger.reading.silences import SILENCE_GRAMMAR, silence_list
from logger.selecting import INCIDENT_GRAMMAR
from logger.showing import TREND_BINS, incident_row

__all__ = [
    "INCIDENT_GRAMMAR",
    "SILENCE_GRAMMAR",
    "TREND_BINS",
    "incident_comparison",
    "incident_counts",
    "incident_detail",
    "incident_list",
    "incident_row",
    "silence_list",
    "worst_incidents",
]
