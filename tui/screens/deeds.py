"""Acknowledge, resolve, reopen: what a shifter does with an incident. For screens that have an incident selected."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page, log_address
from pandascope.errors import ClientError, ServerUnreachable
from tui.keys import offered
from tui.screens.base import MonitorScreen
from tui.text import plain
from tui.widgets.prompt_line import PromptLine, Question
from tui.widgets.virtual_table import Row
from tui.workers import work

_FITS = {
    "acknowledge": {"open", "reopened", "silenced"},
    "resolve": {"open", "reopened", "acknowledged", "silenced"},
    "reopen": {"resolved", "acknowledged", "silenced"},
}
"""The states of an incident in which a verb makes sense; elsewhere the server says why not."""
_DONE = {"acknowledge": "acknowledged", "resolve": "resolved", "reopen": "open again"}


class IncidentDeeds(MonitorScreen):
    """Verbs on `incident_row()`."""

    BINDINGS: ClassVar[list[BindingType]] = offered("log", "errors", "jobs_of", "acknowledge", "resolve", "reopen")

    def incident_row(self) -> Row | None:
        """The incident that the verbs are about."""
        raise NotImplementedError

    def is_useful(self, action: str) -> bool:
        """Verbs that fit the state of the incident."""
        row = self.incident_row() or {}
        if action in _FITS:
            return row.get("state") in _FITS[action]
        if action in {"errors", "jobs_of"}:
            return bool(row.get("job_count"))
        if action == "log":
            return row.get("sample_panda_id") is not None
        return super().is_useful(action)

    def changed(self, row: Row) -> None:
        """The server has changed the incident; `row` is what it is now."""
        self.reload(live=True)

    def log_target(self) -> Address | None:
        """The log of the incident's sample job; without a name the server picks the one with the culprit line."""
        panda_id = (self.incident_row() or {}).get("sample_panda_id")
        return None if panda_id is None else log_address(int(panda_id))

    def errors_target(self) -> Address | None:
        """The failed jobs of the incident."""
        row = self.incident_row()
        if row is None or not row.get("job_count"):
            return None
        return Address(Page.JOBS, filters={"incident": str(row["incident_id"]), "job_status": "failed"})

    def jobs_target(self) -> Address | None:
        """All jobs of the incident."""
        row = self.incident_row()
        if row is None or not row.get("job_count"):
            return None
        return Address(Page.JOBS, filters={"incident": str(row["incident_id"])})

    def selected_id(self) -> str:
        """The incident's number."""
        return str((self.incident_row() or {}).get("incident_id", ""))

    def action_acknowledge(self) -> None:
        """`a`."""
        self._ask_comment("acknowledge")

    def action_resolve(self) -> None:
        """`X`."""
        self._ask_comment("resolve")

    def action_reopen(self) -> None:
        """`U`."""
        self._ask_comment("reopen")

    def _ask_comment(self, deed: str) -> None:
        row = self.incident_row()
        reason = self.console_app.feed.why_not(self.console_app.clock())
        if reason:
            self.notify(f"Not possible now: {reason}.", severity="error", markup=False)
        elif row is None:
            self.notify("There is no incident under the cursor.", severity="warning")
        else:
            incident_id = int(row["incident_id"])

            def send(comment: str) -> str:
                self.run_worker(work(self._send, deed, incident_id, comment.strip()), group="deed")
                return ""

            title = plain(row.get("title"), limit=60)
            label = f"{deed} {incident_id}: "
            hint = f"A comment, or nothing; enter sends, esc leaves · {title}"
            self.query_one(PromptLine).ask(Question(label, send, hint=hint))

    async def _send(self, deed: str, incident_id: int, comment: str) -> None:
        calls: dict[str, Any] = {
            "acknowledge": self.console_app.client.acknowledge,
            "resolve": self.console_app.client.resolve,
            "reopen": self.console_app.client.reopen,
        }
        try:
            answer = await calls[deed](incident_id, comment or None)
        except ServerUnreachable as error:
            self.console_app.feed.lost(error.detail)
            self.notify(f"Not sent: {error.detail}", severity="error", markup=False)
        except ClientError as error:
            self.notify(f"Refused: {error}", severity="error", markup=False, timeout=10)
        else:
            row = answer.get("incident")
            self.notify(f"Incident {incident_id} is {_DONE[deed]}.")
            self.changed(row if isinstance(row, dict) else {})
