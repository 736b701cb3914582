"""Where the person is and has been: crumbs for going up, a history for going back. Knows addresses, not screens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pandascope.addresses import Address, Page

_TITLES: dict[Page, str] = {
    Page.NOW: "Now",
    Page.JOBS: "Jobs",
    Page.JOB: "Job {number}",
    Page.LOG: "Log of job {number}",
    Page.INCIDENTS: "Incidents",
    Page.INCIDENT: "Incident {number}",
    Page.TASKS: "Tasks",
    Page.TASK: "Task {number}",
    Page.QUEUES: "Queues",
    Page.STAGING: "Staging",
    Page.SHARES: "Shares",
    Page.USERS: "Users",
    Page.RULES: "Rules",
    Page.SYSTEM: "System",
    Page.SILENCES: "Silences",
    Page.SHIFTS: "Shift",
    Page.SHIFT: "Shift {number}",
    Page.AUDIT: "Deeds",
}
_LONGEST_HISTORY = 100


@dataclass
class Place:
    """One visited view: its address and what the screen wants to remember (last answer, cursor, scroll position)."""

    address: Address
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The crumb: the page, its object and its filters."""
        return title_of(self.address)


def title_of(address: Address) -> str:
    """`Jobs job_status=failed hours=6`, `Job 17`, `Log of job 17 payload.stderr`."""
    title = _TITLES[address.page].format(number=address.number)
    filters = dict(address.filters)
    if address.page is Page.LOG:
        return f"{title} {filters.get('name', '')}".strip()
    return " ".join([title, *filter_words(filters)])


def filter_words(filters: Mapping[str, str]) -> list[str]:
    """Each filter as `name=value`, quoted when it holds blanks."""
    return [f'{name}="{value}"' if " " in value or not value else f"{name}={value}" for name, value in filters.items()]


Crumbs = tuple[Place, ...]


class Trail:
    """Crumbs of the view shown and the history of all views. Every move returns the place to show."""

    def __init__(self, start: Address) -> None:
        self._history: list[Crumbs] = [_from_home(start)]
        self._position = 0

    @property
    def crumbs(self) -> Crumbs:
        """The path to the view shown; the first is the place esc finally leads to."""
        return self._history[self._position]

    @property
    def here(self) -> Place:
        """The view shown."""
        return self.crumbs[-1]

    def jump(self, address: Address) -> Place:
        """Start a new path: a digit, a command, a pasted address."""
        return self._visit(_from_home(address))

    def drill(self, address: Address) -> Place:
        """One level deeper."""
        return self._visit((*self.crumbs, Place(address)))

    def replace(self, address: Address) -> Place:
        """The same level with other filters."""
        return self._visit((*self.crumbs[:-1], Place(address)))

    def climb(self) -> Place | None:
        """One level up; None at the top."""
        return self.climb_to(len(self.crumbs) - 2)

    def climb_to(self, level: int) -> Place | None:
        """Up to a crumb (from 0); None when there is no such crumb above."""
        if not 0 <= level < len(self.crumbs) - 1:
            return None
        return self._visit(self.crumbs[: level + 1])

    def back(self) -> Place | None:
        """The view before this one in time; None when there is none."""
        return self._go(self._position - 1)

    def forward(self) -> Place | None:
        """The view after this one in time; None when there is none."""
        return self._go(self._position + 1)

    def _go(self, position: int) -> Place | None:
        if not 0 <= position < len(self._history):
            return None
        self._position = position
        return self.here

    def toggle(self) -> Place | None:
        """Between the last two views: back, then forward again."""
        if self._position == len(self._history) - 1:
            return self.back()
        return self.forward()

    def _visit(self, crumbs: Crumbs) -> Place:
        if crumbs[-1].address == self.here.address and len(crumbs) == len(self.crumbs):
            return self.here
        self._history[self._position + 1 :] = [crumbs]
        del self._history[:-_LONGEST_HISTORY]
        self._position = len(self._history) - 1
        return self.here


def _from_home(address: Address) -> Crumbs:
    home = Place(Address(Page.NOW))
    return (home,) if address == home.address else (home, Place(address))
