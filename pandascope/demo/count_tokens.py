"""Payload of the demonstration: tokens and lines of Python source files, one line per file. Standard library alone.

    python count_tokens.py FILE... > counts.txt

Runs as a job in a job's directory, and as a module for the direct computation. A file that tokenize cannot read counts
its lines and says so in the place of the tokens.
"""

from __future__ import annotations

import sys
import tokenize
from pathlib import Path

NOT_TOKENIZABLE = "not-tokenizable"


def count(path: Path) -> tuple[int | None, int]:
    """Tokens (None when tokenize cannot read the file) and lines of a file."""
    lines = path.read_bytes().count(b"\n")
    try:
        with path.open("rb") as source:
            return sum(1 for _ in tokenize.tokenize(source.readline)), lines
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):
        return None, lines


def report_line(name: str, path: Path) -> str:
    """The line of the result for one file."""
    tokens, lines = count(path)
    return f"{name}\t{NOT_TOKENIZABLE if tokens is None else tokens}\t{lines}\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for argument in sys.argv[1:]:
        sys.stdout.write(report_line(argument, Path(argument)))
