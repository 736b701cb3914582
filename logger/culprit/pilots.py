"""What pilots say when they end a job, or give their verdict on it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logger.culprit.cleaning import Log
from logger.culprit.pattern import Found, Pattern, row

ENDED_BY_THE_PILOT = (
    row(
        "pilot_memory_kill",
        ("payload uses ", "exceeded the memory limit"),
        r"payload uses \d+ MB, \d+ MB are allowed|[Jj]ob has exceeded the memory limit \d+",
        "payload",
        "memory",
    ),
    row(
        "pilot_looping",
        ("no file was touched", "looping job"),
        r"no file was touched for \d+ s|[Ll]ooping job (?:has been )?killed",
        "payload",
        "user",
    ),
    row(
        "pilot_scratch",
        ("are left on the node's disk", "not enough local"),
        r"\d+ MB are left on the node's disk|[Nn]ot enough local (?:disk )?space",
        error_class="node",
    ),
)

_EXCEPTION = re.compile(r"^pilot\.common\.exception\.\w+: error code: (?!1305\b)\d+, message: ", re.MULTILINE)
_DETAILS = re.compile(r"^details: .", re.MULTILINE)


def _production_pilot(log: Log) -> Iterator[Found]:
    """Which file it is stands below the exception."""
    for start in reversed(log.lines_with(("error code: ",))):
        end = log.end_of_line(start)
        below = log.end_of_line(end + 1)
        if _EXCEPTION.search(log.text, start, end) and _DETAILS.search(log.text, end + 1, below):
            yield Found(end + 1, below)


PRODUCTION_PILOT = Pattern("production_pilot", ("error code: ",), _production_pilot)

# what the pilot itself says of a job; 1305 only repeats that the payload failed, and the payload says it better
VERDICTS = (row("pilot_verdict", (" fails: ",), r"\bjob \d+ fails: (?!1305\b)\d+ "),)
