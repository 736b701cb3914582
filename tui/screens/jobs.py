"""Jobs: which jobs, and what do they have in common? Any number of them, by keyset pages as the cursor comes near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from pandascope.addresses import Address, Page, log_address
from pandascope.errors import ClientError, ServerUnreachable
from tui.keys import offered
from tui.render.columns import job_columns
from tui.screens.acting import ActingScreen
from tui.screens.base import Answer
from tui.screens.listing import keys_of
from tui.screens.marks import MarkedList
from tui.text import plural
from tui.widgets.ribbon import Ribbon
from tui.widgets.virtual_table import Column, Row, VirtualTable
from tui.workers import work

FIRST_PAGE = 200
NEXT_PAGE = 1000
ASCENDING, DESCENDING = "panda_id-ascending", "panda_id-descending"


class JobsScreen(ActingScreen, MarkedList):
    """The list of jobs with its facets."""

    HELP = (
        "Jobs of the window, newest first. Facets at the side count all of them, exactly. / finds text in names and "
        "diagnoses; name=value filters, with a|b for or, * for any text and ! for not."
    )
    ROWS = "jobs"
    NOUN = ("job", "jobs")
    KEY = "panda_id"
    HAS_FACETS = True
    BINDINGS: ClassVar[list[BindingType]] = offered("log", "errors", "sort", "why", "kill", "retry")

    _next_cursor: str | None = None

    @property
    def topics(self) -> Sequence[str]:
        """Any job."""
        return ("jobs",)

    def columns(self) -> list[Column]:
        """The columns of jobs."""
        return job_columns(self.palette, self.console_app.now)

    def ribbon(self) -> ComposeResult:
        """How many jobs are in which state."""
        yield Ribbon(id="ribbon")

    async def ask(self) -> Answer:
        """The first page with the facets."""
        return await self.console_app.client.jobs(**self.filters, limit=FIRST_PAGE)

    async def ask_live(self) -> Answer:
        """The first page with the facets, and the rows on the screen that are not in it."""
        answer = await self.ask()
        page = set(keys_of(answer["jobs"], self.KEY))
        elsewhere = [key for key in keys_of(self.table.visible_rows(), self.KEY) if key not in page]
        if elsewhere:
            seen = await self.console_app.client.jobs(panda_id=",".join(elsewhere), facets=0, limit=len(elsewhere))
            answer["on_screen"] = seen["jobs"]
        return answer

    def show(self, answer: Answer) -> None:
        """The first page, or on coming back all pages that were loaded."""
        self._next_cursor = self.place.memory.pop("next_cursor", answer.get("next_cursor"))
        super().show(answer)
        self.query_one(Ribbon).show(_states(answer), self.palette)

    def show_live(self, answer: Answer) -> None:
        """Cells change in place; jobs above the first row wait."""
        table, page = self.table, list(answer["jobs"])
        if not table.rows:
            self.show(answer)
            return
        on_screen = list(answer.get("on_screen") or [])
        in_page = set(keys_of(page, self.KEY))
        gone = [
            key
            for key in keys_of(on_screen, self.KEY)
            if self._belongs_to_page(key, page, answer) and key not in in_page
        ]
        self._waiting = sum(not table.has_key(key) for key in in_page) if self._newest_first else 0
        table.update_rows([*page, *on_screen], gone=gone)
        self.show_facets(answer)
        self.query_one(Ribbon).show(_states(answer), self.palette)
        self.describe()

    @property
    def _newest_first(self) -> bool:
        return self.filters.get("sortby", DESCENDING) != ASCENDING

    def _belongs_to_page(self, key: str, page: Sequence[Row], answer: Answer) -> bool:
        """Would the job be on the first page if it still matched the filters?"""
        if not answer.get("next_cursor"):
            return True
        last = int(page[-1][self.KEY])
        return int(key) >= last if self._newest_first else int(key) <= last

    @on(VirtualTable.NeedMore, "#rows")
    def _need_more(self, _: VirtualTable.NeedMore) -> None:
        self.run_worker(work(self._load_more), group="more", exclusive=True)

    async def _load_more(self) -> None:
        if not self._next_cursor:
            return
        try:
            page = await self.console_app.client.jobs(
                **self.filters, cursor=self._next_cursor, limit=NEXT_PAGE, facets=0
            )
        except ServerUnreachable as error:
            self.console_app.feed.lost(error.detail)
        except ClientError as error:
            self.refused(error)
        else:
            self._next_cursor = page.get("next_cursor")
            self.table.append(page["jobs"], has_more=bool(self._next_cursor))
            self.describe()

    def remember(self) -> None:
        """The pages loaded, so that coming back finds the list as it was."""
        super().remember()
        self.place.memory["rows"] = list(self.table.rows)
        self.place.memory["next_cursor"] = self._next_cursor

    def open_row(self, row: Row) -> None:
        """To the job."""
        self.console_app.drill(Address(Page.JOB, int(row["panda_id"])), row=row)

    def log_target(self) -> Address | None:
        """The log of the job under the cursor."""
        row = self.table.current
        return None if row is None else log_address(int(row["panda_id"]))

    def chosen_for(self, action: str) -> tuple[Mapping[str, Any], str] | None:
        """The marked jobs, or the one under the cursor; to retry means their tasks."""
        rows = self.chosen_rows()
        if action == "kill":
            numbers = [int(row["panda_id"]) for row in rows]
            words = f"job {numbers[0]}" if len(numbers) == 1 else plural(len(numbers), "job")
            return ({"jobs": numbers}, words) if numbers else None
        tasks = sorted({int(row["jedi_task_id"]) for row in rows if row.get("jedi_task_id") is not None})
        words = f"task {tasks[0]}" if len(tasks) == 1 else plural(len(tasks), "task")
        return ({"tasks": tasks}, words) if tasks else None

    def was_done(self) -> None:
        """The marks have served."""
        self.clear_marks()
        super().was_done()

    def why_target(self) -> Address | None:
        """The job under the cursor."""
        row = self.table.current
        return None if row is None else Address(Page.JOB, int(row["panda_id"]))

    def errors_target(self) -> Address | None:
        """The incident of the job under the cursor."""
        incident_id = (self.table.current or {}).get("incident_id")
        return None if incident_id is None else Address(Page.INCIDENT, int(incident_id))

    def find_text(self, text: str) -> None:
        """The server looks in names and diagnoses of all jobs."""
        self.narrow(self.address.with_filters(q=text or None))

    def _found_before(self) -> str:
        return self.filters.get("q", "")

    def action_sort(self) -> None:
        """`o`."""
        self.narrow(self.address.with_filters(sortby=ASCENDING if self._newest_first else None))


def _states(answer: Answer) -> dict[str, int]:
    values = (answer.get("facets") or {}).get("job_status") or []
    return {str(value["value"]): int(value["count"]) for value in values}
