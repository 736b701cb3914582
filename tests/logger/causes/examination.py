"""The examiner's papers (papers/*.txt): logs without the talk around them, and what a person would say of each.

A case begins with `=#= name | step | class`, `-` where the line does not say it (then the job's phase and code do), and
`| at end` when nothing comes after it; `=?=` is how the line begins that names the cause. The log follows; `=~= 40` in it
stands for forty lines of talk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PAPERS = Path(__file__).with_name("papers")


@dataclass(frozen=True)
class Case:
    """One log. `culprit`: how the last line begins that a person would point at; `talk_lines`: what comes before it."""

    name: str
    log: str
    culprit: str
    step: str
    error_class: str
    is_at_end: bool = False
    talk_lines: int = 1900


def cases() -> Iterator[Case]:
    """All of them; each later paper was written when those before were passed."""
    for name in ("first", "second", "third", "fourth", "fifth", "sixth", "seventh"):
        talk_lines = 1900 if name in ("first", "second", "third") else 300
        text = (_PAPERS / f"{name}.txt").read_text(encoding="utf-8")
        for part in text.removeprefix("=#= ").split("\n=#= "):
            head, culprit, log = part.split("\n", 2)
            words = [word.strip().removeprefix("-") for word in head.split("|")]
            yield Case(
                words[0], log.rstrip("\n"), culprit.removeprefix("=?= "), words[1], words[2], len(words) > 3, talk_lines
            )
