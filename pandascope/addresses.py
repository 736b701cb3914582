"""One grammar for the addresses of pages, shared by the web monitor, the console and links in a terminal.

    /   /jobs/?job_status=failed&hours=6   /job/17/   /job/17/log/?name=payload.stderr&line=12
    /incidents/   /incident/5/   /tasks/   /task/10000000/   /queues/   /staging/
    /shares/   /users/
    /rules/   /system/   /silences/   /alarms/   /shift/   /shift/3/   /notices/   /audit/

Knows nothing of what a page shows. A full URL, with or without the monitor's prefix, means the same page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlsplit

from pandascope.errors import Usage

MONITOR_PREFIX = "/monitor"
_READABLE = "*!|:,"
"""Signs of the filter grammar that stay as they are in an address: people read and type them."""


class Page(StrEnum):
    """Every page there is."""

    NOW = "now"
    JOBS = "jobs"
    JOB = "job"
    LOG = "log"
    INCIDENTS = "incidents"
    INCIDENT = "incident"
    TASKS = "tasks"
    TASK = "task"
    QUEUES = "queues"
    STAGING = "staging"
    SHARES = "shares"
    USERS = "users"
    RULES = "rules"
    SYSTEM = "system"
    SILENCES = "silences"
    ALARMS = "alarms"
    SHIFTS = "shifts"
    """The running shift and those before it; one of them is SHIFT."""
    SHIFT = "shift"
    NOTICES = "notices"
    AUDIT = "audit"


PATHS: dict[Page, str] = {
    Page.NOW: "/",
    Page.JOBS: "/jobs/",
    Page.JOB: "/job/{number}/",
    Page.LOG: "/job/{number}/log/",
    Page.INCIDENTS: "/incidents/",
    Page.INCIDENT: "/incident/{number}/",
    Page.TASKS: "/tasks/",
    Page.TASK: "/task/{number}/",
    Page.QUEUES: "/queues/",
    Page.STAGING: "/staging/",
    Page.SHARES: "/shares/",
    Page.USERS: "/users/",
    Page.RULES: "/rules/",
    Page.SYSTEM: "/system/",
    Page.SILENCES: "/silences/",
    Page.ALARMS: "/alarms/",
    Page.SHIFTS: "/shift/",
    Page.SHIFT: "/shift/{number}/",
    Page.NOTICES: "/notices/",
    Page.AUDIT: "/audit/",
}
_PATTERNS = {page: re.compile(path.replace("{number}", "([0-9]{1,18})")) for page, path in PATHS.items()}


@dataclass(frozen=True)
class Address:
    """A page, the number of its object (PandaID, incident id, jediTaskID) if it shows one, and its filters."""

    page: Page
    number: int | None = None
    filters: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if ("{number}" in PATHS[self.page]) != (self.number is not None):
            raise ValueError(f"page {self.page} {'needs a' if self.number is None else 'has no'} number")

    def __str__(self) -> str:
        """The address as text, without the monitor's prefix."""
        path = PATHS[self.page].format(number=self.number)
        pairs = [f"{quote(name, safe='')}={quote(value, safe=_READABLE)}" for name, value in self.filters.items()]
        return path + ("?" + "&".join(pairs) if pairs else "")

    def url(self, server: str) -> str:
        """The page in the web monitor of a server, e.g. http://127.0.0.1:25080/monitor/job/17/."""
        return server.rstrip("/") + MONITOR_PREFIX + str(self)

    def with_filters(self, **changes: str | None) -> Address:
        """The same page with filters set, or removed where None."""
        merged: dict[str, str | None] = {**self.filters, **changes}
        return Address(self.page, self.number, {name: value for name, value in merged.items() if value is not None})

    @property
    def line(self) -> int | None:
        """The line a log address points to."""
        text = self.filters.get("line", "")
        return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def parse_address(text: str) -> Address:
    """The page an address or a full URL names. A missing last slash is forgiven. Raises Usage for anything else."""
    parts = urlsplit(text.strip())
    path = parts.path or "/"
    if path == MONITOR_PREFIX or path.startswith(MONITOR_PREFIX + "/"):
        path = path.removeprefix(MONITOR_PREFIX) or "/"
    path = path if path.endswith("/") else path + "/"
    for page, pattern in _PATTERNS.items():
        found = pattern.fullmatch(path)
        if found:
            number = int(found.group(1)) if found.groups() else None
            return Address(page, number, dict(parse_qsl(parts.query, keep_blank_values=True)))
    raise Usage(
        f"'{text}' is not the address of a page",
        code="unknown_address",
        field="address",
        remedy="pages: " + " ".join(path.format(number="N") for path in PATHS.values()),
    )


def log_address(panda_id: int, name: str = "", line: int | None = None) -> Address:
    """The log of a job, at a line if one is given."""
    filters = {"name": name} if name else {}
    return Address(Page.LOG, panda_id, filters | ({"line": str(line)} if line else {}))
