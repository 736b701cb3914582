"""`panda tui` in a real terminal: tmux, real keys, a real screen."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.support.missing import skip_or_fail
from tests.support.system import eventually
from tests.tui.conftest import FAILING_LINE, Story


class Terminal:
    """A tmux session of its own server, 120x40."""

    def __init__(self, directory) -> None:
        program = shutil.which("tmux")
        if program is None:
            skip_or_fail("tmux is not installed (apt-get install tmux)")
        self._tmux = [program, "-S", str(directory / "tmux"), "-f", os.devnull]

    def open(self, command: str, **environment: str) -> None:
        """Run a command in the terminal."""
        # COLUMNS and LINES are another terminal's size, and programs believe them more than the terminal itself
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "TMUX")}
        variables = {**inherited, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment}
        words = [*self._tmux, "-u", "new-session", "-d", "-x", "120", "-y", "40", command]
        subprocess.run(words, check=True, env=variables)

    def press(self, *keys: str) -> None:
        """Send keys, by tmux's names."""
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    @property
    def screen(self) -> str:
        """What stands on the screen; empty when the session has ended."""
        ended = subprocess.run([*self._tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False)
        return ended.stdout

    def shows(self, *words: str) -> None:
        """Wait until words stand on the screen."""
        try:
            eventually(lambda: all(word in self.screen for word in words))
        except AssertionError:
            pytest.fail(f"the terminal does not show {words}:\n{self.screen}")

    def close(self) -> None:
        """End the session and its server."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def terminal(short_directory):
    opened = Terminal(short_directory)
    yield opened
    opened.close()


def test_panda_tui_in_a_terminal(story: Story, terminal: Terminal) -> None:
    command = shlex.join([sys.executable, "-P", "-m", "pandascope.cli.main", "tui"])
    terminal.open(command, PANDA_URL=story.system.url, PANDA_TOKEN=story.system.token("olga", "operator"))
    terminal.shows("pandascope", "olga (operator)", "1 of 2 incidents", "● LIVE", "3 running", "enter open")
    terminal.press(":")
    terminal.shows("tab completes")
    terminal.press("-l", f"incident {story.incident_of(story.failed[0])}")
    terminal.press("Enter")
    # what stands below is not always on 40 lines: how long the verdict is depends on what it was made of
    terminal.shows("The line that failed", f"304 ▶ {FAILING_LINE}", "Whose it is", "5 of 5 jobs")
    terminal.press("l")
    terminal.shows(f"304 ▶ {FAILING_LINE}", "line 304 of 344")
    terminal.press("q")
    terminal.shows("Leave the console?")
    terminal.press("y")
    eventually(lambda: not terminal.screen, what="the console has closed")


def test_a_terminal_that_cannot_move_its_cursor_is_told_what_to_use_instead(terminal):
    panda = [sys.executable, "-P", "-m", "pandascope.cli.main", "tui"]
    terminal.open(f"env TERM=dumb {shlex.join(panda)}; echo ended with $?; sleep 600")
    terminal.shows("TERM is dumb", "panda incidents", "ended with 2")
