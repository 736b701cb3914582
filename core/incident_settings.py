"""Settings of the incident store: what comes in, when troubles are incidents, who is told (issue of the incident store).

Knows names, units and defaults only; does not know who obeys them. Limits of rules are no settings: they are rows that
operators edit (`incident_rules`).
"""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from core.settings_table import Documented


class IncidentSettings(Documented):
    """When a trouble is one, and how sure a verdict must be."""

    reopen_within_s: NonNegativeFloat = 1800.0
    """A trouble that comes back so soon after it ended by itself reopens its incident."""
    most_new: PositiveInt = 25
    """New troubles of one component (of failed jobs: of one task) in ten minutes; what comes beyond is one incident."""
    most_new_in_all: PositiveInt = 500
    """The same over all components; counted apart for failed jobs, for parts of the system, and for all others."""
    preview_s: PositiveFloat = 600.0
    """How long the token of a preview confirms it."""
    quiet_s: PositiveFloat = 3600.0
    """An incident of failed jobs without event for so long ends by itself, once work succeeds where it was."""
    forgotten_s: PositiveFloat = 86_400.0
    """Without event for so long it ends in any case."""
    quiet_after_jobs: PositiveInt = 20
    """How many jobs must have finished there since its last event."""
    watch_certificates: list[str] = Field(default_factory=list)
    """Certificates whose end is watched: host:port, or the path of a PEM file."""
    watch_disks: list[str] = Field(default_factory=list)
    """Directories whose disks are watched from the host of the agents, beside the data directory and the cache."""
    verdict_min_share: float = Field(default=0.4, gt=0, le=1)
    """A verdict names what holds at least this share of the incident's jobs (lower Wilson bound)."""
    verdict_min_score: float = Field(default=2.0, ge=1)
    """And so many times its share of all work."""
    central_queues: PositiveInt = 3
    """A trouble at fewer queues is never central."""
    central_overlap: float = Field(default=0.5, gt=0, le=1)
    """Central troubles are spread like the work: at least so much of both distributions is common."""


class IngestSettings(Documented):
    """What the collector of records takes, and how long it keeps it."""

    records_per_s: PositiveFloat = 500.0
    """Records of one token per second, sustained over all API workers; beyond it 429. Ten times for system tokens."""
    burst_s: PositiveFloat = 10.0
    """So many seconds' worth may come at once."""
    bytes_per_s: PositiveFloat = 2_000_000.0
    """Bytes of one token per second."""
    keep_info_d: PositiveInt = 7
    """Days that records below WARNING are kept."""
    keep_warning_d: PositiveInt = 30
    """Days that records below ERROR are kept."""
    keep_error_d: PositiveInt = 90
    """Days that all others are kept."""
    keep_counts_d: PositiveInt = 1100
    """Days that the counts per hour are kept."""


class NoticeSettings(Documented):
    """Notices of incidents to webhooks, chat and mail."""

    allow_private: bool = True
    """Whether targets on loopback, link-local and private addresses may be told."""
    base_url: str = ""
    """Address of the web monitor as receivers see it; empty: http://host:port/monitor of this server."""
    secrets: dict[str, str] = Field(default_factory=dict)
    """Keys of webhooks by the name that a route gives: what signs the message."""
    timeout_s: PositiveFloat = 10.0
    """How long a receiver may take, in seconds."""
    keep_trying_s: PositiveFloat = 3 * 86_400.0
    """How long a notice that nobody takes is tried."""


class ShiftSettings(Documented):
    """The shift log."""

    changes: list[str] = Field(default_factory=lambda: ["07:00", "15:00", "23:00"])
    """When shifts change, UTC."""


class MetricsSettings(Documented):
    """What Prometheus may read."""

    token: str = ""
    """Bearer token of the scraper; empty: whoever may read the monitor."""
