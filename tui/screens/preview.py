"""What an action would do, before it is done: counts, the frozen set, until when, the way back. enter does it, esc leaves.

Asks the server for the preview and confirms it; what an action is about is said by the screen below.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from pandascope.client import AsyncClient
from pandascope.errors import ClientError, NotAuthorised, Refused, ServerUnreachable, Usage
from tui.ends import QUEUE_HINT, SILENCE_HINT, queue_end, silence_end
from tui.palette import Palette
from tui.render.preview import nothing_left, preview, wanted
from tui.widgets.key_line import KeyLine
from tui.widgets.prompt_line import PromptLine, Question
from tui.workers import work

if TYPE_CHECKING:
    from tui.app import ConsoleApp

_QUEUE_ACTIONS = ("drain", "test", "offline", "online")
"""What `s` goes through."""
_CHANGES = (
    ("u", "until", "until"),
    ("s", "status", "status"),
    ("i", "input", "input"),
    ("e", "accept_ended", "leave out ended"),
    ("w", "reason", "why"),
)
"""Keys that change what is asked for: key, action, word."""
_WITH_UNTIL = frozenset({*_QUEUE_ACTIONS, "silence"})
_LONGEST_REASON = 2000


@dataclass(frozen=True)
class Request:
    """An action, what it is about (incidents, jobs, tasks or queues: ids; or a filter), and how. `words`: what it is about,
    for the title."""

    action: str
    chosen: Mapping[str, Any]
    words: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    accept_ended: bool = False


Find = Callable[[AsyncClient], Awaitable[Request]]


class PreviewScreen(ModalScreen[dict[str, Any] | None]):
    """A dialogue that ends with the deed, or with None when nothing was done."""

    AUTO_FOCUS = ""  # else the line to type into, which is not hidden yet, would take the keys
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-roomy")]

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "confirm", "do it"),
        Binding("escape,q", "leave", "leave"),
        Binding("u", "until", "until when"),
        Binding("s", "status", "another status"),
        Binding("i", "input", "what becomes of the input"),
        Binding("e", "accept_ended", "leave out what ends meanwhile"),
        Binding("w", "reason", "why"),
        Binding("r", "ask", "look again"),
    ]

    def __init__(self, request: Request | Find) -> None:
        """`request`: what is asked for, or a function that finds that out first."""
        super().__init__()
        self._request = request if isinstance(request, Request) else None
        self._find = None if isinstance(request, Request) else request
        self.shown_s: float | None = None
        """Since when it can be answered (monotonic); None while the server is asked: no key counts that was typed before."""
        self._made: dict[str, Any] | None = None
        self._difference: list[str] = []
        self._is_busy = False
        self._is_confirming = False
        self._is_forbidden = False

    def compose(self) -> ComposeResult:
        """The text, which scrolls; the keys; a line to type into."""
        with Vertical(classes="dialogue preview") as box:
            box.border_title = "Preview"
            with VerticalScroll(id="preview-scroll"):
                yield Static(Text("Asking what would follow …"), id="preview-words")
            yield KeyLine(id="preview-keys")
            yield PromptLine(id="prompt")

    def on_mount(self) -> None:
        """Ask."""
        self.query_one("#preview-scroll").focus()
        self.action_ask()

    # -- asking -------------------------------------------------------------------------------------------------

    def action_ask(self) -> None:
        """`r`: what would follow now."""
        if not self._is_busy:
            self._is_busy, self.shown_s = True, None
            self.run_worker(work(self._ask), group="preview", exclusive=True)

    async def _ask(self) -> None:
        self._made, self._difference, self._is_forbidden = None, [], False
        self._draw_keys()
        try:
            if self._request is None and self._find is not None:
                self._request = await self._find(self._monitor.client)
            request = self._request
            if request is not None:
                self._made = dict(
                    await self._monitor.client.preview_action(
                        request.action,
                        **request.chosen,
                        parameters=request.parameters,
                        reason=request.reason,
                        accept_ended=request.accept_ended,
                    )
                )
        except ServerUnreachable as error:
            self._monitor.feed.lost(error.detail)
            self._say(f"The server does not answer: {error.detail}. r asks again.")
        except ClientError as error:
            self._is_forbidden = isinstance(error, NotAuthorised)
            self._say(f"Not possible: {error}.")
        else:
            self._draw()
        self._now_shown()

    def _now_shown(self) -> None:
        self._is_busy = self._is_confirming = False
        self._draw_keys()
        self.shown_s = time.monotonic()

    def action_confirm(self) -> None:
        """enter."""
        if self._made is None or self._is_busy:
            return
        self._is_busy = self._is_confirming = True
        self.shown_s = None
        self._draw_keys()
        self.run_worker(work(self._confirm, str(self._made["token"])), group="preview", exclusive=True)

    async def _confirm(self, token: str) -> None:
        made, self._made = self._made, None
        reason = self._request.reason if self._request is not None else ""
        try:
            deed = await self._monitor.client.confirm_action(token, reason)
        except ServerUnreachable as error:
            self._monitor.feed.lost(error.detail)
            self._say(f"No answer came: {error.detail}. It may have been done: :deeds shows it. r looks again.")
        except Refused as error:
            self._refused(error, made)
        except ClientError as error:
            self._say(f"Not done: {error}. r looks again.")
        else:
            self.dismiss(dict(deed))
            return
        self._now_shown()

    def _refused(self, error: Refused, made: dict[str, Any] | None) -> None:
        """Outdated: the difference in words, and the set as it is now, to be confirmed or not."""
        if error.code != "preview_outdated":
            self._say(f"Not done: {error}. r looks again.")
            return
        self._difference = [str(words) for words in error.problem.get("difference") or []]
        fresh = error.problem.get("preview")
        self._made = dict(fresh) if isinstance(fresh, dict) else None
        if self._made is None:
            self._show(nothing_left(self._difference, self._palette), wrong=True)
        else:
            self._draw()

    # -- changing what is asked for -----------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that mean something for this action, and for what the server said to it."""
        name = self._request.action if self._request is not None else ""
        is_previewed = self._made is not None
        fits = {
            "until": name in _WITH_UNTIL and not self._is_forbidden,
            "status": name in _QUEUE_ACTIONS and not self._is_forbidden,
            "input": name == "kill" and is_previewed,
            "accept_ended": name == "kill" and is_previewed,
            "reason": name != "" and is_previewed,
        }
        return fits.get(action, True)

    def action_until(self) -> None:
        """`u`: another end, with the reason if one is typed after it."""
        request = self._request
        if request is None:
            return
        is_silence = request.action == "silence"

        def take(words: str) -> str:
            try:
                parameters, reason = (silence_end if is_silence else queue_end)(words)
            except Usage as error:
                return str(error)
            self._change(replace(request, parameters=parameters, reason=reason or request.reason))
            return ""

        hint = SILENCE_HINT if is_silence else QUEUE_HINT
        self.query_one(PromptLine).ask(Question("until: ", take, hint=hint))

    def action_reason(self) -> None:
        """`w`."""
        request = self._request
        if request is None:
            return

        def take(words: str) -> str:
            self._request = replace(request, reason=words.strip()[:_LONGEST_REASON])
            if self._made is not None:
                self._draw()
            return ""

        hint = "for those who come after; it stands in the audit"
        self.query_one(PromptLine).ask(Question("why: ", take, hint=hint, value=request.reason))

    def action_status(self) -> None:
        """`s`: the next status that a queue can be given."""
        request = self._request
        if request is not None:
            following = (_QUEUE_ACTIONS.index(request.action) + 1) % len(_QUEUE_ACTIONS)
            self._change(replace(request, action=_QUEUE_ACTIONS[following]))

    def action_input(self) -> None:
        """`i`: cancelled, or given to other jobs."""
        request = self._request
        if request is not None:
            other = "cancel" if request.parameters.get("input") == "again" else "again"
            self._change(replace(request, parameters={"input": other}))

    def action_accept_ended(self) -> None:
        """`e`: jobs that end by themselves are left out, or refuse the confirmation."""
        if self._request is not None:
            self._change(replace(self._request, accept_ended=not self._request.accept_ended))

    def action_leave(self) -> None:
        """esc: nothing is done. While a confirmation is under way its answer is waited for."""
        if not self._is_confirming:
            self.dismiss(None)

    def _change(self, request: Request) -> None:
        self._request = request
        self.action_ask()

    # -- drawing ------------------------------------------------------------------------------------------------

    @property
    def _monitor(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def _palette(self) -> Palette:
        return Palette.of_theme(self.app.theme_variables)

    def _draw(self) -> None:
        request = self._request
        if self._made is not None and request is not None:
            words = preview(
                self._made, self._difference, self._palette, reason=request.reason, accept_ended=request.accept_ended
            )
            self._show(words, wrong=bool(self._difference))
            self.query_one("#preview-scroll").scroll_home(animate=False)

    def _say(self, sentence: str) -> None:
        self._show(Text(sentence, overflow="fold"), wrong=True)

    def _show(self, content: RenderableType, *, wrong: bool = False) -> None:
        self.query_one("#preview-words", Static).update(content)
        self.query_one(".preview").set_class(wrong, "-wrong")

    def _draw_keys(self) -> None:
        request = self._request
        if request is not None:
            self.query_one(".preview").border_title = f"{request.action} · {request.words}".replace("[", r"\[")
        keys: list[tuple[str, str]] = []
        if self._made is not None and request is not None:
            keys.append(("enter", f"{request.action} {wanted(self._made)}" if not self._is_busy else "being done …"))
        keys += [(key, word) for key, action, word in _CHANGES if self.check_action(action, ())]
        keys += [("r", "again"), ("esc", "leave")]
        self.query_one(KeyLine).show(keys)
        self.refresh_bindings()
