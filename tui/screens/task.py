"""One task: how far, which jobs, which incidents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll

from pandascope.addresses import Address, Page
from pandascope.errors import ClientError
from tui.keys import offered
from tui.render.columns import incident_columns, progress
from tui.render.facts import facts
from tui.render.job import brokerage
from tui.render.staging_columns import tape_lines
from tui.screens.acting import ActingScreen, of_tasks
from tui.screens.base import Answer
from tui.text import number, plain, plain_lines, stamp
from tui.widgets.panel import Panel
from tui.widgets.ribbon import Ribbon
from tui.widgets.virtual_table import Row, VirtualTable


class TaskScreen(ActingScreen):
    """A task with its figures, parameters and incidents."""

    HELP = (
        "j lists the jobs of the task, e the failed ones, enter opens the incident under the cursor; w says why the task "
        "does not run."
    )
    FIRST_FOCUS = "#task-incidents"
    BINDINGS: ClassVar[list[BindingType]] = offered("errors", "jobs_of", "why", "kill", "retry")

    @property
    def topics(self) -> Sequence[str]:
        """This task."""
        return (f"task:{self.address.number}",)

    def parts(self) -> ComposeResult:
        """Facts, states of the jobs, incidents, parameters."""
        yield Panel("Task", id="task-facts")
        yield Ribbon(id="ribbon")
        table = VirtualTable(
            incident_columns(self.palette, self.console_app.now),
            lambda row: str(row.get("incident_id")),
            id="task-incidents",
            classes="panel",
        )
        table.border_title = "Incidents of this task"
        yield table
        with VerticalScroll(id="task-parameters-box"):
            yield Panel("Measured needs", id="task-measured")
            yield Panel("Input from tape", id="task-tape")
            yield Panel("Where outputs are collected, and why", id="task-destination")
            yield Panel("History", id="task-history")
            yield Panel("Parameters", id="task-parameters")

    async def ask(self) -> Answer:
        """The task, and what of its input comes from tape."""
        client, number = self.console_app.client, int(self.address.number or 0)
        answer, tape = await asyncio.gather(client.task(number), _tape(client.staging(jedi_task_id=number)))
        return {**answer, "staging": tape}

    def show(self, answer: Answer) -> None:
        """Everything at once: it is small."""
        task = dict(answer.get("task") or {})
        self.query_one("#task-facts", Panel).show(self._facts(task))
        self.query_one(Ribbon).show(answer.get("jobs") or {}, self.palette)
        table = self.query_one("#task-incidents", VirtualTable)
        table.fill(list(answer.get("incidents") or []))
        table.border_subtitle = "" if table.rows else "none"
        self.query_one("#task-measured", Panel).show(_measured(list(answer.get("measured") or [])))
        self.query_one("#task-tape", Panel).show(tape_lines(list(answer.get("staging") or []), self.palette))
        destination = brokerage(answer.get("destination"), self.palette, nobody="no storage would do")
        self.query_one("#task-destination", Panel).show(destination)
        self.query_one("#task-history", Panel).show(self._history(list(answer.get("history") or [])))
        self.query_one("#task-parameters", Panel).show(_parameters(answer.get("parameters")))

    def _facts(self, task: Row) -> RenderableType:
        palette = self.palette
        return facts(
            [
                ("state", palette.task_status(task.get("status"))),
                ("name", Text(plain(task.get("task_name")), style=palette.strong)),
                ("done", progress(task, palette, 30)),
                ("jobs", Text(f"{number(task.get('n_jobs'))}, of them {number(task.get('n_failed'))} failed, "
                              f"{number(task.get('n_active'))} active")),
                ("files", _files(task)),
                ("user", Text(plain(task.get("user_name")))),
                ("nucleus", Text(plain(task.get("nucleus")))),
                ("created", Text(stamp(task.get("creation_time")))),
                ("ended", Text(stamp(task.get("end_time")))),
                ("acts next", Text(stamp(task["next_try_time"]) if task.get("next_try_time") else "")),
                ("note", Text(plain(task.get("error_dialog")), style=palette.bad)),
            ],
            palette,
        )  # fmt: skip

    def _history(self, steps: list[Row]) -> RenderableType | None:
        """The changes of state, the latest first."""
        if not steps:
            return None
        lines = [
            Text.assemble(
                (stamp(step.get("time")), self.palette.muted),
                "  ",
                self.palette.task_status(step.get("status")),
                f"  {plain(step.get('reason'))}",
            )
            for step in reversed(steps)
        ]
        return Text("\n").join(lines)

    @on(VirtualTable.Opened, "#task-incidents")
    def _opened(self, event: VirtualTable.Opened) -> None:
        self.console_app.drill(Address(Page.INCIDENT, int(event.row["incident_id"])), row=event.row)

    def chosen_for(self, action: str) -> tuple[Mapping[str, Any], str] | None:
        """This task, or its jobs."""
        return of_tasks(action, [int(self.address.number or 0)])

    def why_target(self) -> Address | None:
        """This task."""
        return self.address

    def jobs_target(self) -> Address | None:
        """The jobs of the task."""
        return Address(Page.JOBS, filters={"jedi_task_id": str(self.address.number)})

    def errors_target(self) -> Address | None:
        """The failed jobs of the task."""
        return Address(Page.JOBS, filters={"jedi_task_id": str(self.address.number), "job_status": "failed"})


async def _tape(question: Awaitable[Answer]) -> list[Row]:
    """The requests; none when there is no answer, which must not keep the task from being shown."""
    try:
        return list((await question)["requests"])
    except ClientError:
        return []


def _files(task: Row) -> Text:
    """Done, failed and all files of the master input, as users know it from pbook."""
    if not task.get("n_files"):
        return Text("")
    done, failed = number(task.get("n_files_finished")), number(task.get("n_files_failed"))
    return Text(f"{done} done, {failed} failed of {number(task.get('n_files'))}")


def _measured(entries: list[Row]) -> Text | None:
    """What scouts measured, and what the jobs to come ask for by that."""
    lines = []
    for entry in entries:
        lines.append(f"{entry['stage']}, {stamp(entry.get('time'))}: {plain(entry.get('reason'))}")
        lines += [f"  {value['name']}: {value['value']:,} {value['unit']}" for value in entry["values"]]
        for change in entry["changed"]:
            old, new = (plain(str(change[side])) for side in ("old", "new"))
            lines.append(f"  {change['parameter']}: {old} -> {new}")
    return Text("\n".join(lines)) if lines else None


def _parameters(parameters: object) -> Text | None:
    if not parameters:
        return None
    text = parameters if isinstance(parameters, str) else json.dumps(parameters, indent=2, ensure_ascii=False)
    return Text("\n".join(plain_lines(text)))
