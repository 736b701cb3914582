"""Words that any trouble may use, and at the end the last line written. They say nothing about step and class."""

from __future__ import annotations

from collections.abc import Iterator

from logger.culprit.cleaning import Log
from logger.culprit.pattern import LAST_LINE, Found, Pattern, row

_NO_FAILURE = r"^(?![\d\s:.,|TZ/+-]*\[?(?:INFO|DEBUG)\b|.*(?:: ?0 *$|\binstead\b|\b[Ff]all(?:s|ing)? ?back\b)).*"
"""What programs say below WARNING, what counts none, and what was done in another way."""


def _last_line(log: Log) -> Iterator[Found]:
    last = len(log.text.rstrip())
    yield Found(log.text.rfind("\n", 0, last) + 1, log.end_of_line(last))


PATTERNS = (
    row(
        "python_exception",
        ("error", "exception", "interrupt", "exit"),
        r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit)(?:: .*)?$",
        is_generic=True,
    ),
    row(
        "perl",
        (" line ",),
        r"^(?!Use of uninitialized|Argument \".*isn't|Odd number of elements).*"
        r" at \S+ line \d+(?:, <\S+> (?:line|chunk) \d+)?\.$",
        is_generic=True,
    ),
    row(
        "fatal",
        ("fatal", "critical"),
        r"\bFATAL\b|\bCRITICAL\b|\b[Ff]atal(?: error)?:|\blevel=fatal\b|\[fatal\]|\"(?:fatal|critical)\"",
        is_generic=True,
    ),
    row(
        "error",
        ("error", "fehler", "erreur", "错误"),
        r"\bERROR\b|\blevel=error\b|\[error\]|\"level\": ?\"error\""
        r"|\b(?:[Ee]rror|[A-Z]?[a-z]*[Ff]ehler|[Ee]rreur) ?:(?! ?(?:0|none|no|called from)[ .]*$)"
        r"|错误[:：]|^Error in ",
        is_generic=True,
    ),
    row(
        "failure",
        (
            *("fail", "cannot", "could not", "unable to", "denied", "refused", "timed out", "timeout", "not found"),
            "no such",
        ),
        _NO_FAILURE
        + r"(?<!\b0 )\b(?i:failed|failure|cannot|could not|unable to|denied|refused|timed out|timeout|not found|no such)\b",
        is_generic=True,
    ),
    Pattern(LAST_LINE, (), _last_line, is_generic=True),
)
