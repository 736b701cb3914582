"""A line number means the same line wherever it is shown."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as some
from rich.console import Console

from core.monitor.joblog import count_lines
from logger.culprit import around
from pandascope.cli import logs
from pandascope.log_lines import log_lines
from tui.text import plain_lines

NASTY = [
    "\n",
    "\r",
    "\r\n",
    "\f",
    "\v",
    "\x1c",
    "\x85",
    "\u2028",
    "\x1b]0;title",
    "\x1b[31m",
    "\x1b",
    "\x07",
    "\x9c",
    "word",
    " ",
]


@given(some.one_of(some.text(), some.lists(some.sampled_from(NASTY)).map("".join)))
def test_server_incident_store_command_and_console_count_the_same_lines(text):
    count = count_lines(text)
    assert len(log_lines(text)) == count
    assert len(plain_lines(text)) == count
    assert [number for number, _ in around(text, 1, reach=10**6)] == list(range(1, count + 1))


def test_a_shown_line_has_the_number_that_the_server_gave_the_culprit(monkeypatch):
    text = "one\ftwo\r\nthree\u2028four\nfatal: here\n"
    document = {
        "name": "payload.stderr", "names": ["payload.stderr"], "text": text, "first_line_number": 1,
        "line_count": count_lines(text), "truncated": False, "culprit": {"line_number": 3, "text": "fatal: here"},
    }  # fmt: skip
    written = io.StringIO()
    monkeypatch.setattr(logs, "console", lambda: Console(file=written, width=100))
    logs._show(document, only_around=False)
    shown = written.getvalue().split("\n")
    assert [line for line in shown if line.startswith(">")] == ["> 3 fatal: here"]
    assert shown[-2] == "> 3 fatal: here"
