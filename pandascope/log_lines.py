"""What a line of a kept log is. One rule for everybody who numbers lines: server, command line, console, web monitor."""

from __future__ import annotations


def log_lines(text: str) -> list[str]:
    r"""The lines of a log: `\n` ends a line and nothing else does (no form feed, no `\r`, no U+2028).

    A missing line end does not lose the last line. Counted as `count_lines` in core/monitor/joblog.py and `lines` in
    dashboard/assets/log.js count, which cannot import this; a test compares them.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines
