"""Jobs, contacts and a held clock for the tests of the measure rules; a watcher that has been running for long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from core.clock import utc_now
from core.database import Database
from core.incident_settings import IncidentSettings
from logger.rule_rows import forget
from logger.rules import MEASURES, MeasureRule
from logger.rules.clocks import ClockSkew
from logger.rules.database import DatabaseSlow
from logger.watching import Watcher

NOW = datetime(2026, 11, 26, 12, 2, tzinfo=UTC)

_JOB = """
INSERT INTO jobs_live (panda_id, job_status, computing_site, state_change_time, start_time, jedi_task_id, max_walltime_s,
                       n_input_data_files)
SELECT nextval('panda_id_seq'), %(state)s, %(site)s, %(time)s, %(start)s, %(task)s, %(walltime)s, %(inputs)s
FROM generate_series(1, %(count)s)
"""
_CONTACT = """
INSERT INTO queue_contacts (queue_name, last_request_time, last_job_time) VALUES (%(site)s, %(time)s, %(job_time)s)
ON CONFLICT (queue_name) DO UPDATE SET
    last_request_time = excluded.last_request_time, last_job_time = excluded.last_job_time
"""


def _made(rule: type[MeasureRule[Any]]) -> MeasureRule[Any]:
    """The rule; what measures the database itself goes by the true time."""
    if rule is DatabaseSlow:
        return DatabaseSlow(pause=lambda seconds: None)
    return ClockSkew(own_clock=utc_now) if rule is ClockSkew else rule()


class Watched:
    """A database, a clock that stands until it is moved, and a watcher over both."""

    def __init__(
        self, database: Database, *, rules: tuple[str, ...] = (), up_for: timedelta | None = timedelta(days=9)
    ) -> None:
        self.database = database
        self.now = NOW
        self._rules = rules
        self._up_for = up_for
        self.start()

    def start(self) -> None:
        """Begin anew, as a process does."""
        measures = [_made(rule) for rule in MEASURES if not self._rules or rule.name in self._rules]
        since = None if self._up_for is None else self.now - self._up_for
        self.watcher = Watcher(
            self.database, self.clock, IncidentSettings(), measures=measures, up_since=since, timer=lambda: 0.0
        )

    def clock(self) -> datetime:
        return self.now

    def after(self, **span: float) -> Watched:
        """Let time pass."""
        self.now += timedelta(**span)
        return self

    def ago(self, minutes: float) -> datetime:
        return self.now - timedelta(minutes=minutes)

    def look(self, *, only_quick: bool = False) -> int:
        return self.watcher.look(only_quick=only_quick)

    def job(
        self,
        minutes: float,
        state: str = "activated",
        site: str = "CERN",
        *,
        count: int = 1,
        task: int | None = None,
        walltime_s: int = 0,
        inputs: int = 0,
    ) -> None:
        """Jobs that have been in a state for so long."""
        time = self.ago(minutes)
        values = {"state": state, "site": site, "time": time, "start": time if state == "running" else None}
        self.database.execute(_JOB, {**values, "count": count, "task": task, "walltime": walltime_s, "inputs": inputs})

    def contact(self, minutes: float, site: str = "CERN", job_minutes: float | None = None) -> None:
        """The last request of a pilot of a queue, and the last job that it was given."""
        job_time = None if job_minutes is None else self.ago(job_minutes)
        self.database.execute(_CONTACT, {"site": site, "time": self.ago(minutes), "job_time": job_time})

    def queue(self, site: str = "CERN", status: str = "online", storage: str = "") -> None:
        """A queue with its status."""
        self.database.execute(
            "INSERT INTO queues (queue_name, status, storage_endpoint) VALUES (%(site)s, %(status)s, %(storage)s)",
            {"site": site, "status": status, "storage": storage},
        )

    def limits(self, rule: str, **parameters: Any) -> None:
        """Set parameters of a rule."""
        self.database.execute(
            "UPDATE incident_rules SET parameters = parameters || %(parameters)s::jsonb WHERE name = %(rule)s",
            {"rule": rule, "parameters": parameters},
        )
        forget(self.database)

    def incidents(self) -> list[dict[str, Any]]:
        return self.database.fetch("SELECT * FROM incidents WHERE opened_time IS NOT NULL ORDER BY incident_id")

    def open(self) -> list[str]:
        """Titles of what is not resolved."""
        return sorted(one["title"] for one in self.incidents() if one["state"] != "resolved")
