"""The digits: each leads to a list, from every screen."""

from __future__ import annotations

from abc import abstractmethod

from pandascope.addresses import Page


class PageKeys:
    """What the digits do, on every screen of the trail."""

    @abstractmethod
    def jump_to(self, page: Page) -> None:
        """Go there, on a new path."""

    def action_now(self) -> None:
        """`1`."""
        self.jump_to(Page.NOW)

    def action_incidents(self) -> None:
        """`2`."""
        self.jump_to(Page.INCIDENTS)

    def action_queues(self) -> None:
        """`3`."""
        self.jump_to(Page.QUEUES)

    def action_jobs(self) -> None:
        """`4`."""
        self.jump_to(Page.JOBS)

    def action_tasks(self) -> None:
        """`5`."""
        self.jump_to(Page.TASKS)

    def action_users(self) -> None:
        """`6`."""
        self.jump_to(Page.USERS)

    def action_shares(self) -> None:
        """`7`."""
        self.jump_to(Page.SHARES)

    def action_rules(self) -> None:
        """`8`."""
        self.jump_to(Page.RULES)

    def action_system(self) -> None:
        """`9`."""
        self.jump_to(Page.SYSTEM)

    def action_shift(self) -> None:
        """`0`."""
        self.jump_to(Page.SHIFTS)
