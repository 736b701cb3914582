"""What people can do from a page, as values: what is asked first, what is shown of the consequences, what is then done.

The dialogue (dialogue.py) carries them out; pages name them on their buttons (components/buttons.py). Knows no page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dash import html

from dashboard.components import buttons, preview
from pandascope.errors import Usage

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

Values = Mapping[str, str]
"""What was filled in, by the name of the question."""


@dataclass(frozen=True)
class Question:
    """One field of a dialogue. `choices`: (value, words)."""

    name: str
    label: str
    kind: Literal["text", "long", "choice"] = "text"
    value: str = ""
    choices: Sequence[tuple[str, str]] = ()
    hint: str = ""


@dataclass(frozen=True)
class Shown:
    """What a dialogue shows before anything is done. `token` confirms exactly that, once; `go`: the words on the button."""

    body: Any
    token: str = ""
    go: str = ""
    may_go: bool = True


Ask = Callable[["AsyncClient", str], Awaitable[Sequence[Question]]]
Show = Callable[["AsyncClient", str, Values], Awaitable[Shown]]
CarryOut = Callable[["AsyncClient", str, Values], Awaitable[Any]]


@dataclass(frozen=True)
class Work:
    """Something that a button does. `{to}` in the title is what it is done to."""

    name: str
    title: str
    carry_out: CarryOut
    """Does it, and says what came of it. Of works with a token, `values["token"]` is the one that was shown."""
    go: str = "Do it"
    questions: Sequence[Question] = ()
    ask: Ask | None = None
    """Questions that depend on what it is done to."""
    show: Show | None = None
    shows_at_once: bool = True
    """Whether it is shown as soon as the dialogue opens, or when somebody presses `try_words`."""
    try_words: str = ""
    is_instant: bool = False
    """Done at once, with the note that the page has; for what is taken back as easily."""
    sentence: str = ""
    is_wide: bool = False
    accept_ended: bool = False
    """Of works with a preview: whether jobs that end meanwhile are left out; a fresh preview says it as the first one did."""
    named: Callable[[str], str] = field(default=lambda to: to.partition(":")[0].replace(",", ", "))
    """What the title calls what it is done to; of a button's `to` that is what stands before the version seen."""


@dataclass(frozen=True)
class Previewed:
    """An action that is previewed and then confirmed by its token (docs/actions.md)."""

    name: str
    action: str
    title: str
    chosen: Callable[[str], dict[str, Any]]
    """What a button's `to` means, as arguments of `preview_action`."""
    questions: Sequence[Question] = ()
    parameters: Callable[[Values], dict[str, Any]] = field(default=lambda values: {})
    accept_ended: bool = False

    def work(self) -> Work:
        """The same as a work: the preview is shown at once, and again whenever an answer changes."""
        why = Question("reason", "Why", hint="for those who come after")
        return Work(
            self.name,
            self.title,
            _confirm,
            questions=(*self.questions, why),
            show=self._show,
            accept_ended=self.accept_ended,
        )

    async def _show(self, client: AsyncClient, to: str, values: Values) -> Shown:
        made = await client.preview_action(
            self.action,
            **self.chosen(to),
            parameters=self.parameters(values),
            reason=values.get("reason", ""),
            accept_ended=self.accept_ended,
        )
        return shown_preview(made, accept_ended=self.accept_ended)


def shown_preview(made: Mapping[str, Any], *, accept_ended: bool = False) -> Shown:
    """A preview as the dialogue shows it."""
    wanted = int(made["target_count"]) - int(made["refused_count"])
    body = preview.preview(made, accept_ended=accept_ended)
    return Shown(body, made["token"], preview.go_words(made), may_go=wanted > 0)


async def _confirm(client: AsyncClient, to: str, values: Values) -> Any:
    deed = await client.confirm_action(values["token"], values.get("reason", ""))
    return preview.done(deed)


async def _undo(client: AsyncClient, to: str, values: Values) -> Any:
    deed = await client.undo_deed(int(to), values.get("reason", ""))
    return f"Deed {to} is taken back, by deed {deed['deed_id']}."


async def _keep(client: AsyncClient, to: str, values: Values) -> Any:
    await client.cancel_revert(int(to), values.get("reason", ""))
    return f"What deed {to} did stays until somebody takes it back."


_WHY = Question("reason", "Why", hint="for those who come after")
COMMON: tuple[Work, ...] = (
    Work(
        "undo",
        "Take back deed {to}",
        _undo,
        go="Take it back",
        questions=(_WHY,),
        sentence="Everything that the deed changed is put back as it was, unless something later changed it.",
    ),
    Work(
        "cancel-revert",
        "Let deed {to} stay",
        _keep,
        go="Let it stay",
        questions=(_WHY,),
        sentence="It takes itself back no more; whoever wants that takes it back by hand.",
    ),
)
"""What any page may offer for a deed."""


def numbers_of(to: str) -> list[int]:
    """The numbers that a button names, joined by commas. Raises Usage when there are none."""
    found = [int(part) for part in to.split(",") if part.strip().isdecimal()]
    if not found:
        raise Usage("nothing is marked", field="marks", remedy="mark what is meant with the boxes on the left")
    return found


def said(words: str, *more: Any) -> html.Div:
    """What came of a work: a sentence, and what may be done next."""
    return html.Div([html.Span(words), *more], className="outcome-line")


def undo_button(deed_id: int) -> Any:
    """The button that takes a deed back."""
    return buttons.button("Undo", "undo", deed_id, title=f"take back deed {deed_id}")
