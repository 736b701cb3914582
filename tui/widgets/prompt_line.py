"""One line to type into at the foot of the screen: commands, filters, comments. Knows the question, not its meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.suggester import Suggester
from textual.widgets import Input, Static


@dataclass(frozen=True)
class Question:
    """What is asked. `answer` takes the text and returns an empty string, or the sentence that says what is wrong:
    then the line stays open. `is_prose`: text for people, which may be pasted with several lines; only the first counts."""

    label: str
    answer: Callable[[str], str]
    hint: str = ""
    value: str = ""
    suggester: Suggester | None = None
    is_prose: bool = True


class _Line(Input):
    takes_prose = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "cursor_right", show=False, priority=True)]


class PromptLine(Vertical):
    """Hidden until `ask`; gives the focus back when it closes."""

    # A binding, not `key_escape`: a key that a method has seen goes on to the screen, whose escape leaves the page.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def compose(self) -> ComposeResult:
        """A message line above, the label and the input beside each other."""
        yield Static(id="prompt-message")
        with Horizontal():
            yield Static(id="prompt-label")
            yield _Line(id="prompt-input", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        """Nothing is asked at first."""
        self.display = False
        self._question: Question | None = None
        self._focus_before = self.screen.focused

    @property
    def is_open(self) -> bool:
        """Is something being asked?"""
        return bool(self.display)

    def ask(self, question: Question) -> None:
        """Show the line and take the focus."""
        self._question = question
        self._focus_before = self.screen.focused
        line = self.query_one(_Line)
        self.query_one("#prompt-label", Static).update(Text(question.label))
        line.suggester, line.takes_prose = question.suggester, question.is_prose
        line.value = question.value
        line.cursor_position = len(question.value)
        self._say(question.hint)
        self.display = True
        self.screen.set_focus(line)

    def close(self) -> None:
        """Hide the line and give the focus back."""
        self.display = False
        self._question = None
        if self._focus_before is not None and self._focus_before.is_attached:
            self._focus_before.focus()
        else:
            self.screen.set_focus(None)

    def action_leave(self) -> None:
        """Escape: leave without an answer."""
        self.close()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        question = self._question
        if question is None:
            return
        complaint = question.answer(event.value)
        if complaint:
            self._say(complaint, wrong=True)
        elif self._question is question and self.is_attached:
            self.close()

    @on(Input.Changed)
    def _typing(self, event: Input.Changed) -> None:
        event.stop()
        if self._question is not None:
            self._say(self._question.hint)

    def _say(self, sentence: str, *, wrong: bool = False) -> None:
        message = self.query_one("#prompt-message", Static)
        message.update(Text(sentence))  # the style sheet cuts a hint, and gives a complaint the lines that it needs
        message.display = bool(sentence)
        message.set_class(wrong, "-wrong")
