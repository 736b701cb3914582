"""Which of the lines that were found counts: what was tried again, says nothing of its own or was long ago is put aside.
Knows rows of the table by name; knows no expressions of theirs.
"""

from __future__ import annotations

import re

from logger.culprit.cleaning import Log
from logger.culprit.pattern import LAST_LINE, Found, Pattern

_RETRIED_CLASSES = frozenset({"network", "storage", "auth", "database", "data"})
_TRIED_AGAIN = re.compile(
    r"(?i)\bretry(?:ing)?\b(?! (?:limit|count|policy|attempts)\b)|\btry(?:ing)? (?:again|next|another|the next)\b"
    r"|\bfall(?:ing|s)? back\b|\b(?:2nd|3rd|second|third) (?:try|attempt)\b"
)
_ATTEMPT = re.compile(r"(?i)\battempt (\d{1,4})(?: of |/)(\d{1,4})\b")
_GAVE_UP = re.compile(r"(?i)\bg(?:iving|ave) up\b|\bno more (?:retries|attempts)\b")
_HARMLESS = re.compile(
    r"(?i)\bignor(?:ed|ing)(?: (?:it|this))?[\s.)\]]*$|\b(?:continuing|going on) (?:anyway|without)\b"
)
_ONLY_THAT = re.compile(
    r"(?i)\breturned FAILURE\b|\bterminating event processing\b|\bleaving with code\b|\blook above\b|\bsee (?:above|the log)\b"
    r"|\b(?:exited|ended|exiting|failed|returned|finished) with (?:an? )?(?:unexpected|error|exit|return|code|status|non-?zero)\b"
    r"|\bnon-?zero exit\b|\bstopping because of errors\b|\bprevious errors?\b|\bjob (?:execution )?failed\W*$"
)
"""What wrappers and event loops say when something in them has failed."""

_OF_SHELLS = frozenset({"module_missing", "command_not_found", "permission", "shell"})
_OVERTAKING = frozenset({"python_exception", "fatal", "error"})
_FAR_LINES = 30
"""A script that goes on for so many lines did not end for what its shell complained of."""

_CONSEQUENCE = re.compile(r"(?:rm|rmdir|ls|mv|tar|stat|chmod|chown|du|find|ln): ")
"""Commands that tidy up: what they miss was there never or was not made, and why says another line."""

Choice = tuple[Pattern, Found]


class PutAside:
    """The lines that count only when nothing better comes. `pattern` is always the row that found a line, `told` the row
    that tells more of it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._second_hand: Choice | None = None
        self._of_shell: Choice | None = None
        self._vague: Choice | None = None
        self._retried: Choice | None = None
        self._harmless: set[int] = set()

    def before(self, pattern: Pattern) -> Choice | None:
        """What counts before any line of this row is looked for."""
        if self._of_shell is not None:
            return self._of_shell if pattern.is_generic and pattern.name not in _OVERTAKING | {"perl"} else None
        if pattern.is_generic and self._second_hand:
            return self._second_hand
        if pattern.name == LAST_LINE:
            return self._vague or self._retried
        return None

    def skips(self, pattern: Pattern) -> bool:
        """Whether lines of this row cannot count any more."""
        return self._of_shell is not None and pattern.name not in _OVERTAKING

    def takes(self, pattern: Pattern, told: Pattern, found: Found) -> bool:
        """Whether a line is not the cause, or not yet."""
        choice = told, found
        if pattern.name == LAST_LINE:
            return False
        if found.start in self._harmless or _was_harmless(self._log, told, found):
            self._harmless.add(found.start)  # general rows find it again, without its head
            self._retried = self._retried or choice
        elif found.is_second_hand:
            self._second_hand = self._second_hand or choice
        elif pattern.is_generic and _ONLY_THAT.search(self._log.text, found.start, found.end):
            self._vague = self._vague or choice
        elif pattern.name in _OF_SHELLS and self._second_hand is None:
            if self._of_shell is None or self._is_why(found, self._of_shell[1]):
                self._of_shell = choice
        else:
            return self._of_shell is not None and not self._counts_more(found, self._of_shell[1])
        return True

    def _is_why(self, found: Found, later: Found) -> bool:
        """Of what a shell complains of within a few lines the first is why, unless that was only tidying up."""
        return self._is_near(found, later) and not self._is_consequence(found)

    def _counts_more(self, found: Found, of_shell: Found) -> bool:
        """Whether a line with general words counts more than the shell's: long after it, or around what tidies up."""
        is_near = self._is_near(found, of_shell) or self._is_near(of_shell, found)
        return self._is_consequence(of_shell) if is_near else found.start > of_shell.start

    def _is_near(self, earlier: Found, later: Found) -> bool:
        return earlier.start <= later.start and self._log.text.count("\n", earlier.end, later.start) < _FAR_LINES

    def _is_consequence(self, found: Found) -> bool:
        return _CONSEQUENCE.match(self._log.text, found.start, found.end) is not None


def _was_harmless(log: Log, pattern: Pattern, found: Found) -> bool:
    if _HARMLESS.search(log.text, found.start, found.end):
        return True
    can_be_tried_again = pattern.error_class in _RETRIED_CLASSES or pattern.is_generic
    return can_be_tried_again and _was_tried_again(log, found)


def _announces_another_try(line: str) -> bool:
    """Whether the line above a traceback says that what ended with it is tried again; urllib3 says so before its last
    try, too."""
    return _TRIED_AGAIN.search(line) is not None and "Retry(total=" not in line and not _GAVE_UP.search(line)


def _was_tried_again(log: Log, found: Found) -> bool:
    line, after = log.text[found.start : found.end], log.next_line(found.end)
    if _GAVE_UP.search(line):
        return False
    if _TRIED_AGAIN.search(line) or (_TRIED_AGAIN.search(after) and not _GAVE_UP.search(after)):
        return True
    if found.head and any(_announces_another_try(above) for above in log.lines_before(found.head, 1)):
        return True
    own, following = _ATTEMPT.search(line), _ATTEMPT.search(after)
    if own and int(own[1]) < int(own[2]):
        return True
    # "attempt 3 of 3" below announces that another one was made
    return following is not None and int(following[1]) > 1
