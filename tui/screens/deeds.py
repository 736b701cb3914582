"""What a shifter does with incidents: take, silence, end, hold, assign, comment, merge; drain, retry, kill what is behind.

For screens that have an incident selected. One incident changes at once; several, and everything else, by a preview.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from pandascope.addresses import Address, Page, log_address
from pandascope.client import AsyncClient
from pandascope.errors import ClientError, ServerUnreachable, Usage
from tui.ends import SILENCE_HINT, ending_of, silence_end
from tui.keys import offered
from tui.screens.acting import ActingScreen, drain_request
from tui.screens.preview import Request
from tui.text import plain, plural
from tui.widgets.prompt_line import PromptLine, Question
from tui.widgets.virtual_table import Row
from tui.workers import work

_ALIVE = {"open", "reopened", "acknowledged", "silenced"}
_FITS = {
    "acknowledge": {"open", "reopened", "silenced"},
    "silence": {"open", "reopened", "acknowledged"},
    "resolve": _ALIVE,
    "reopen": {"resolved", "acknowledged", "silenced", "candidate"},
    "assign": _ALIVE,
    "hold": _ALIVE,
    "drain": _ALIVE,
    "kill": _ALIVE,
    "retry": {*_ALIVE, "resolved"},
}
"""The states of an incident in which a verb makes sense; elsewhere the server says why not."""
_DONE = {"acknowledge": "acknowledged", "resolve": "resolved", "reopen": "open again", "hold": "held: automation leaves it",
         "release": "released: automation may act on it"}  # fmt: skip
_HINTS = {"resolve": "fixed, not_a_problem, duplicate or moved, and a comment"}
Call = Callable[[AsyncClient, int], Any]


class IncidentDeeds(ActingScreen):
    """Verbs on `incident_row()`, or on `incident_rows()` where several can be marked."""

    BINDINGS: ClassVar[list[BindingType]] = offered(
        "log", "errors", "jobs_of", "acknowledge", "silence", "resolve", "reopen", "assign", "comment", "hold", "drain",
        "retry", "kill", "earlier",
    )  # fmt: skip

    def incident_row(self) -> Row | None:
        """The incident that the verbs are about."""
        raise NotImplementedError

    def incident_rows(self) -> list[Row]:
        """All that the verbs are about."""
        row = self.incident_row()
        return [row] if row is not None else []

    def is_useful(self, action: str) -> bool:
        """Verbs that fit the state of the incident."""
        row = self.incident_row() or {}
        if action in {"drain", "kill", "retry"}:
            has_that = row.get("computing_site") if action == "drain" else row.get("job_count")
            return row.get("state") in _FITS[action] and bool(has_that)
        if action in _FITS:
            return row.get("state") in _FITS[action]
        if action in {"errors", "jobs_of"}:
            return bool(row.get("job_count"))
        if action == "earlier":
            return bool(row.get("previous_id"))
        if action == "log":
            return row.get("sample_panda_id") is not None
        return super().is_useful(action)

    def changed(self, row: Row) -> None:
        """The server has changed the incident; `row` is what it is now."""
        self.reload(live=True)

    # -- where the reading verbs lead ---------------------------------------------------------------------------

    def log_target(self) -> Address | None:
        """The log of the incident's sample job; without a name the server picks the one with the culprit line."""
        panda_id = (self.incident_row() or {}).get("sample_panda_id")
        return None if panda_id is None else log_address(int(panda_id))

    def errors_target(self) -> Address | None:
        """The failed jobs of the incident."""
        target = self.jobs_target()
        return None if target is None else target.with_filters(job_status="failed")

    def jobs_target(self) -> Address | None:
        """All jobs of the incident."""
        row = self.incident_row()
        if row is None or not row.get("job_count"):
            return None
        return Address(Page.JOBS, filters={"incident": str(row["incident_id"])})

    def selected_id(self) -> str:
        """The incident's number."""
        return str((self.incident_row() or {}).get("incident_id", ""))

    def action_earlier(self) -> None:
        """`h`: every incident of the same fingerprint, this one too."""
        fingerprint = (self.incident_row() or {}).get("fingerprint")
        if not fingerprint:
            self.notify("There is no incident under the cursor.", severity="warning")
        else:
            self.console_app.drill(Address(Page.INCIDENTS, filters={"fingerprint": str(fingerprint), "state": "*"}))

    # -- verbs --------------------------------------------------------------------------------------------------

    def action_acknowledge(self) -> None:
        """`a`."""
        self._ask_comment("acknowledge", lambda client, number, said: client.acknowledge(number, said))

    def action_resolve(self) -> None:
        """`X`."""
        self._ask_comment(
            "resolve", lambda client, number, said: client.resolve(number, said, reason=ending_of(said or ""))
        )

    def action_reopen(self) -> None:
        """`U`."""
        self._ask_comment("reopen", lambda client, number, said: client.reopen(number, said))

    def action_hold(self) -> None:
        """`H`: hold, or release what is held."""
        is_held = bool((self.incident_row() or {}).get("held_by"))
        if is_held:
            self._ask_comment("release", lambda client, number, said: client.release(number, said))
        else:
            self._ask_comment("hold", lambda client, number, said: client.hold(number, said))

    def _ask_comment(self, verb: str, call: Callable[[AsyncClient, int, str | None], Any]) -> None:
        """One incident: at once. Several: a preview, for the verbs that have one; else one after the other."""

        def take(rows: list[Row], text: str) -> str:
            comment = text.strip()
            if len(rows) > 1 and verb in {"acknowledge", "resolve", "reopen"}:
                ending = {"ending": ending_of(comment)} if verb == "resolve" and ending_of(comment) else {}
                self.preview(Request(verb, *_chosen(rows), ending, comment))
            else:
                self._call(rows, lambda client, number: call(client, number, comment or None), _DONE[verb])
            return ""

        hint = _HINTS.get(verb, "A comment, or nothing")
        self._ask_about(verb, f"{hint}; enter sends, esc leaves", take)

    def action_comment(self) -> None:
        """`C`."""

        def take(rows: list[Row], text: str) -> str:
            if not text.strip():
                return "nothing is written yet; esc leaves"
            self._call(rows, lambda client, number: client.comment(number, text.strip()), "commented")
            return ""

        self._ask_about("comment on", "what is known; enter sends, esc leaves", take)

    def action_assign(self) -> None:
        """`m`."""

        def take(rows: list[Row], text: str) -> str:
            name = text.strip()
            if len(rows) > 1:
                self.preview(Request("assign", *_chosen(rows), {"who": name}))
            else:
                done = f"assigned to {name}" if name else "nobody's any more"
                self._call(rows, lambda client, number: client.assign(number, name), done)
            return ""

        self._ask_about("assign", "to whom? a name, or nothing for nobody; enter sends, esc leaves", take)

    def action_silence(self) -> None:
        """`s`: always by a preview, which says who is not told then."""

        def take(rows: list[Row], text: str) -> str:
            try:
                parameters, reason = silence_end(text)
            except Usage as error:
                return str(error)
            self.preview(Request("silence", *_chosen(rows), parameters, reason))
            return ""

        self._ask_about("silence", f"until {SILENCE_HINT}", take, what=" until")

    def action_drain(self) -> None:
        """`D`: the queue that it is about; one that gets no work gets it again."""
        rows = self.incident_rows()
        if not rows:
            self.notify("There is no incident under the cursor.", severity="warning")
            return
        names = {_queue_of(row) for row in rows} - {""}
        chosen, _ = _chosen(rows)

        async def find(client: AsyncClient) -> Request:
            if not names:
                raise Usage(
                    "this incident names no queue", remedy="3 lists the queues: D drains the one under the cursor"
                )
            found = (await client.queues()).get("queues") or []
            queues = [row for row in found if row.get("queue_name") in names]
            if not queues:
                raise Usage(f"there is no queue {', '.join(sorted(names))} any more")
            return drain_request(queues, chosen)

        self.preview(find)

    def chosen_for(self, action: str) -> tuple[Mapping[str, Any], str] | None:
        """The live jobs, or the tasks, of the incidents."""
        rows = self.incident_rows()
        return _chosen(rows) if rows else None

    # -- sending ------------------------------------------------------------------------------------------------

    def _ask_about(self, verb: str, hint: str, take: Callable[[list[Row], str], str], *, what: str = "") -> None:
        """Ask for a text; the incidents are those that were chosen when the question was put."""
        rows = self.incident_rows()
        if not self.is_possible():
            return
        if not rows:
            self.notify("There is no incident under the cursor.", severity="warning")
            return
        one = len(rows) == 1
        title = f" · {plain(rows[0].get('title'), limit=60)}" if one else ""
        label = f"{verb} {rows[0]['incident_id'] if one else plural(len(rows), 'incident')}{what}: "
        self.query_one(PromptLine).ask(Question(label, lambda text: take(rows, text), hint=f"{hint}{title}"))

    def _call(self, rows: Sequence[Row], call: Call, done: str) -> None:
        self.run_worker(work(self._send, [int(row["incident_id"]) for row in rows], call, done), group="deed")

    async def _send(self, numbers: Sequence[int], call: Call, done: str) -> None:
        """One after the other; the first that is refused ends it, and is named."""
        row: Row = {}
        for position, number in enumerate(numbers):
            before = f"{plural(position, 'incident')} done, then " if position else ""
            try:
                answer = await call(self.console_app.client, number)
            except ServerUnreachable as error:
                self.console_app.feed.lost(error.detail)
                self.notify(f"{before}Not sent: {error.detail}", severity="error", markup=False)
                return
            except ClientError as error:
                self.notify(f"{before}Refused: {error}", severity="error", markup=False, timeout=10)
                break
            row = answer.get("incident") or answer
        else:
            which = f"Incident {numbers[0]} is" if len(numbers) == 1 else f"{plural(len(numbers), 'incident')} are"
            self.notify(f"{which} {done}.", markup=False)
        self.changed(row)


def _chosen(rows: Sequence[Row]) -> tuple[dict[str, list[int]], str]:
    """Incidents as an action takes them, and in words."""
    numbers = [int(row["incident_id"]) for row in rows]
    words = f"incident {numbers[0]}" if len(numbers) == 1 else plural(len(numbers), "incident")
    return {"incidents": numbers}, words


def _queue_of(row: Row) -> str:
    """The queue that an incident is about, as the server finds it too."""
    of_verdict = row.get("verdict_value") if row.get("verdict") == "site" else ""
    return str(of_verdict or row.get("computing_site") or "")
