"""What lists of queues, accounts and shares have in common: a row is a set of jobs."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address
from tui.keys import offered
from tui.screens.listing import ListingScreen
from tui.widgets.virtual_table import Row


class JobSetsScreen(ListingScreen):
    """Enter and j show the jobs of a row, e those that failed."""

    BINDINGS: ClassVar[list[BindingType]] = offered("errors", "jobs_of")

    def jobs_in(self, row: Row) -> Address | None:
        """Where the jobs of a row are listed; None when it has none of its own."""
        raise NotImplementedError

    def open_row(self, row: Row) -> None:
        """To its jobs."""
        target = self.jobs_in(row)
        if target is not None:
            self.console_app.drill(target)

    def jobs_target(self) -> Address | None:
        """The jobs of the row under the cursor."""
        row = self.table.current
        return None if row is None else self.jobs_in(row)

    def errors_target(self) -> Address | None:
        """The failed jobs of the row under the cursor."""
        target = self.jobs_target()
        return None if target is None else target.with_filters(job_status="failed")
