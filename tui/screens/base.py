"""What every view of the console has in common: three zones, asking in a worker, live updates, the verbs.

A screen says what it asks (`ask`), how an answer is drawn (`show`), and what the verbs mean for its selection (the
`*_target` methods). It never waits for the network outside a worker, and its workers end when it is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widgets import Static
from textual.worker import WorkerState

from pandascope.addresses import Address
from pandascope.errors import ClientError, NotAuthorised, ServerUnreachable
from tui.keys import BY_ACTION, EVERYWHERE, offered
from tui.navigation import Place
from tui.palette import Palette
from tui.screens.everywhere import KeysEverywhere
from tui.screens.why import WhyScreen
from tui.widgets.crumbs import Crumbs
from tui.widgets.key_hints import KeyHints
from tui.widgets.prompt_line import PromptLine
from tui.widgets.status_line import Status, StatusLine
from tui.widgets.virtual_table import VirtualTable
from tui.workers import work

Answer = dict[str, Any]
_TOKEN_REFUSED = 401
"""HTTP: the token is not taken, whatever it is for."""
WIDE = 110
"""From this many columns on there is a second column."""


class MonitorScreen(KeysEverywhere):
    """A view of one address."""

    HELP: ClassVar[str] = ""
    FIRST_FOCUS: ClassVar[str] = ""
    GIVES_SUMMARY: ClassVar[bool] = False
    """Does its answer carry the counts of the status line?"""
    ASKS_EVERY_S: ClassVar[float] = float("inf")
    """How often it asks for what the stream does not tell of: runs of agents, calls of pilots."""
    BINDINGS: ClassVar[list[BindingType]] = offered(*EVERYWHERE)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide"), (170, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall"), (50, "-high")]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._mark = -1
        self._has_shown = False
        self._is_left = False
        self._has_complained = False
        self._has_said_away = False
        # Kept, not looked up: the tick of the application may come while this screen is taken down.
        self._status_line = StatusLine(id="status")
        self._crumbs = Crumbs(id="crumbs")
        self._banner = Static(id="banner")
        self._hints = KeyHints(self._is_offered, id="hints")

    # -- what a screen fills in ---------------------------------------------------------------------------------

    @property
    def topics(self) -> Sequence[str]:
        """Topics of the stream that concern what is shown."""
        return ()

    def parts(self) -> ComposeResult:
        """The widgets of the body."""
        raise NotImplementedError

    async def ask(self) -> Answer:
        """Get from the server what the screen shows."""
        raise NotImplementedError

    def show(self, answer: Answer) -> None:
        """Draw an answer."""
        raise NotImplementedError

    async def ask_live(self) -> Answer:
        """The same after the stream reported a change."""
        return await self.ask()

    def show_live(self, answer: Answer) -> None:
        """Draw an answer that the person did not ask for: nothing may move under the cursor."""
        self.show(answer)

    def remember(self) -> None:
        """Keep in the place's memory what coming back needs."""

    def log_target(self) -> Address | None:
        """The log of the selection."""
        return None

    def errors_target(self) -> Address | None:
        """What failed in the selection."""
        return None

    def jobs_target(self) -> Address | None:
        """The jobs of the selection."""
        return None

    def why_target(self) -> Address | None:
        """The job or task of the selection, to be explained."""
        return None

    # -- shortcuts ----------------------------------------------------------------------------------------------

    @property
    def palette(self) -> Palette:
        """Styles of the running theme."""
        return self.console_app.palette

    @property
    def answer(self) -> Answer | None:
        """The last answer, from this visit or the one before."""
        return self.place.memory.get("answer")

    @property
    def window_words(self) -> str:
        """The window of time in words, for the status line."""
        filters = self.address.filters
        if "hours" in filters:
            return f"last {filters['hours']} h"
        if "days" in filters:
            return f"last {filters['days']} d"
        if "date_from" in filters or "date_to" in filters:
            return f"{filters.get('date_from', '')} – {filters.get('date_to', 'now')}"
        return ""

    # -- life ---------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Status line and crumbs, the body, the key hints with the line to type into."""
        yield self._status_line
        yield self._crumbs
        yield self._banner
        with Container(id="body"):
            yield from self.parts()
        with Vertical(id="foot"):
            yield PromptLine(id="prompt")
            yield self._hints

    def on_mount(self) -> None:
        """Draw what is known already, then ask."""
        self._banner.display = False
        self.console_app.listen(self.topics)
        if self.FIRST_FOCUS:
            self.query_one(self.FIRST_FOCUS).focus()
        self.console_app.draw_status()
        if self.answer is not None:
            self.call_after_refresh(self._show_remembered)
        else:
            self.reload()

    def _show_remembered(self) -> None:
        """As it was when one left; then what has changed since, in place."""
        if not self._has_shown and self.answer is not None:
            self._has_shown = True
            self.show(self.answer)
        self.reload(live=True)

    def leave(self) -> None:
        """Another view is about to be shown: leave the notes for coming back."""
        self._is_left = True  # an answer may still come while the parts of this screen are taken down
        if self._has_shown:
            self.remember()

    @property
    def is_asking(self) -> bool:
        """Is a question under way?"""
        busy = {WorkerState.PENDING, WorkerState.RUNNING}
        return any(worker.node is self and worker.group == "ask" and worker.state in busy for worker in self.workers)

    @property
    def is_outdated(self) -> bool:
        """Did the stream report a change of what is shown?"""
        if self._mark < 0:
            return not self.is_asking
        return self.console_app.feed.changed_since(self._mark, self.topics)

    def reload(self, *, live: bool = False) -> None:
        """Ask again; an older question is dropped."""
        self.run_worker(work(self._load, live=live), group="ask", exclusive=True)

    async def _load(self, *, live: bool) -> None:
        mark = self.console_app.feed.mark
        try:
            answer = await (self.ask_live() if live and self._has_shown else self.ask())
        except ServerUnreachable as error:
            self.console_app.feed.lost(error.detail)
        except ClientError as error:
            self._mark = mark
            if isinstance(error, NotAuthorised) and error.status == _TOKEN_REFUSED:
                self._denied(error)
            else:
                self.console_app.feed.refused()
                self.refused(error)
        else:
            self._mark = mark
            self.place.memory["answer"] = answer
            # the parts are taken down: another view was asked for, or the console closes
            if self._is_left or not self._banner.is_attached:
                return
            if self._has_complained:
                self._has_complained = False
                self.say("")
            self.console_app.answered(answer)
            self.take(answer, live=live)
        self.refresh_bindings()

    def take(self, answer: Answer, *, live: bool) -> None:
        """Draw an answer that just came."""
        if live and self._has_shown:
            self.show_live(answer)
        else:
            self._has_shown = True
            self.show(answer)

    def refused(self, error: ClientError) -> None:
        """The server said no: the sentence stands above the body until an answer comes."""
        self._has_complained = True
        self.say(str(error), wrong=True)

    def _denied(self, error: NotAuthorised) -> None:
        """The token is not taken (any more): the console goes on trying, with a new one if there is one."""
        detail = error.detail.removeprefix(f"{error.field}: ").rstrip(" :.")
        self.console_app.denied(detail)
        self._has_complained = True
        self.say(f"✗ {detail[:1].upper()}{detail[1:]}. {self._what_stands} To go on: {error.remedy}.", wrong=True)

    @property
    def _what_stands(self) -> str:
        return "You see what it said last; actions are off." if self._has_shown else "There is nothing to show yet."

    def say(self, sentence: str, *, wrong: bool = False) -> None:
        """Put a sentence above the body, or take it away."""
        self._banner.update(Text(sentence, overflow="fold"))
        self._banner.set_class(wrong, "-wrong")
        self._banner.display = bool(sentence)

    def show_status(self, status: Status, titles: Sequence[str]) -> None:
        """Bring status line, crumbs and the banner of a server that is away up to date."""
        self._status_line.show(status, self.palette)
        self._crumbs.show(titles)
        self.set_class(bool(self.console_app.feed.reason), "-away")
        self._show_away()

    def _show_away(self) -> None:
        reason = self.console_app.feed.reason
        if reason:
            self.say(f"✗ The server is away: {reason}. {self._what_stands} Trying again by itself.", wrong=True)
            self._has_said_away = True
        elif self._has_said_away:
            self._has_said_away = False
            self.say("")
            self.refresh_bindings()

    def redraw_ages(self) -> None:
        """Times passed: draw lists anew, and what else tells an age."""
        for table in self.query(VirtualTable):
            table.redraw()
        if self._has_shown:
            self.show_ages()

    def show_ages(self) -> None:
        """Draw the panels that tell ages anew."""

    @property
    def is_wide(self) -> bool:
        """Is there room for a second column? (The classes of the style sheet are not set yet at the first question.)"""
        return self.app.size.width >= WIDE

    def lacks(self, answer: Answer) -> bool:
        """Does the answer lack what this size of the screen shows?"""
        return False

    def on_resize(self) -> None:
        """A screen that grew asks for what it can show now."""
        if self.answer is not None and not self.is_asking and self.lacks(self.answer):
            self.reload(live=True)

    # -- verbs --------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Actions that change something are off (None: shown dim) while the server is away or takes no word of us."""
        key, feed = BY_ACTION.get(action), self.console_app.feed
        if key is not None and key.changes_state and (feed.reason or feed.refusal):
            return None
        return super().check_action(action, parameters)

    def is_useful(self, action: str) -> bool:
        """Does the key do something for the selection as it is now? If not, the hint line leaves it out."""
        return True

    def _is_offered(self, action: str) -> bool:
        """Is it useful, and may the person do it?"""
        key = BY_ACTION.get(action)
        is_allowed = key is None or not key.changes_state or not self.console_app.caller.why_not(action)
        return is_allowed and self.is_useful(action)

    def draw_hints(self) -> None:
        """The selection has changed, and with it the keys that are useful."""
        self._hints.refresh()

    def action_log(self) -> None:
        """`l`."""
        self._drill_or_say(self.log_target(), "There is no log here: put the cursor on a job or an incident of jobs.")

    def action_errors(self) -> None:
        """`e`."""
        self._drill_or_say(self.errors_target(), "Nothing failed here.")

    def action_jobs_of(self) -> None:
        """`j`."""
        self._drill_or_say(self.jobs_target(), "There are no jobs here.")

    def action_why(self) -> None:
        """`w`."""
        about = self.why_target()
        if about is None:
            self.notify("There is no job and no task here.", severity="warning")
        else:
            self.app.push_screen(WhyScreen(about))

    def _drill_or_say(self, address: Address | None, nothing: str) -> None:
        if address is None:
            self.notify(nothing, severity="warning")
        else:
            self.console_app.drill(address)

    def action_refresh(self) -> None:
        """`r`."""
        self.reload()

    def action_pause(self) -> None:
        """`p`."""
        feed = self.console_app.feed
        feed.paused = not feed.paused
        if not feed.paused:
            self.reload(live=True)
        self.console_app.draw_status()

    def action_find(self) -> None:
        """`/`: lists and the log override it."""
        self.notify("There is nothing to filter here.", severity="warning")
