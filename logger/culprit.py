"""Finds the line of a log that names the cause. Knows how programs complain; knows no job and no database.

Lines are what `\\n` separates, counted from 1, as the log pages count them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

MAX_LINE_CHARACTERS = 500
_SEARCHED_LINE_CHARACTERS = 2000


@dataclass(frozen=True)
class Culprit:
    """The line that names the cause. `pattern` is the row of `PATTERNS` that found it, `where` the failing function
    as "file:function" when the log tells, else empty."""

    line_number: int
    text: str
    pattern: str
    where: str = ""

    @property
    def is_guess(self) -> bool:
        """Whether nothing looked like an error, so that this is just the last line written."""
        return self.pattern == LAST_LINE


LAST_LINE = "last_line"

Finder = Callable[[str], tuple[int, str] | None]
"""Takes the cleaned log, returns the offset in the culprit line and where it failed."""


@dataclass(frozen=True)
class Pattern:
    """One way in which programs complain. `hints`: lower-case texts of which one must occur, checked first because a
    search for a plain text costs a hundredth of one for a pattern; none given means always look."""

    name: str
    hints: tuple[str, ...]
    find: Finder


def _line(expression: str, pick: Literal["first", "last"]) -> Finder:
    compiled = re.compile(expression, re.MULTILINE)

    def find(text: str) -> tuple[int, str] | None:
        end = None
        for match in compiled.finditer(text):
            end = match.end()
            if pick == "first":
                break
        return None if end is None else (end, "")

    return find


_TRACEBACK = re.compile(r"^[ |+-]*(?:Exception Group )?Traceback \(most recent call last\):$", re.MULTILINE)
_GROUP_MARGIN = re.compile(r"^ *\|(?: \|)* ?")
_PATH_SEPARATOR = re.compile(r"[/\\]")
_FRAME = re.compile(r'File "([^"\n]*)", line \d+, in (\S+)')


def _python_traceback(text: str) -> tuple[int, str] | None:
    """The exception line of the last traceback: of chained ones the one that got through to the end."""
    for header in reversed(list(_TRACEBACK.finditer(text))):
        where = ""
        offset = header.end() + 1
        margin = _GROUP_MARGIN.match(header.group())
        for line in text[offset:].split("\n"):
            content = line[margin.end() :] if margin and len(line) >= margin.end() else line
            if frame := _FRAME.search(content):
                where = f"{_PATH_SEPARATOR.split(frame[1])[-1]}:{frame[2]}"
            elif content and not content[0].isspace():
                return offset + len(line), where
            offset += len(line) + 1
    return None


PATTERNS: tuple[Pattern, ...] = (
    # the production pilot: which file it is stands below the exception
    Pattern(
        "production_pilot",
        ("error code: ",),
        _line(r"^pilot\.common\.exception\.\w+: error code: (?!1305\b)\d+, message: .*\ndetails: .+$", "last"),
    ),
    Pattern("python_traceback", ("traceback (most recent call last)",), _python_traceback),
    # what the pilot itself says of a job; 1305 only repeats that the payload failed, and the payload says it better
    Pattern("pilot_verdict", (" fails: ",), _line(r"\bjob \d+ fails: (?!1305\b)\d+ ", "last")),
    Pattern("java_cause", ("caused by: ",), _line(r"^Caused by: [\w.$]+", "last")),
    Pattern("java_exception", ("exception in thread",), _line(r'^Exception in thread "', "last")),
    Pattern("go_panic", ("panic: ",), _line(r"^panic: ", "first")),
    Pattern("rust_panic", ("panicked at",), _line(r"^thread '[^']*'.* panicked at ", "first")),
    Pattern(
        "out_of_memory",
        ("memory", "oom", "bad_alloc"),
        _line(
            r"[Oo]ut of memory|\boom[-_]kill|OOM[ -][Kk]ill|Killed process \d+|std::bad_alloc|Cannot allocate memory"
            r"|[Ee]xceeded (?:job )?memory limit|[Mm]emory cgroup",
            "first",
        ),
    ),
    Pattern(
        "disk_full", ("no space left", "quota exceeded"), _line(r"No space left on device|quota exceeded", "first")
    ),
    Pattern("cpp_exception", ("what():",), _line(r"^ *what\(\): ", "last")),
    Pattern("assertion", ("assertion",), _line(r"Assertion [`'].*' failed|^Assertion failed", "last")),
    Pattern(
        "segmentation_fault",
        (
            "segmentation",
            "bus error",
            "illegal instruction",
            "corrupt",
            "stack smashing",
            "floating point",
            "*** break",
        ),
        _line(
            r"[Ss]egmentation (?:fault|violation)|Bus error|Illegal instruction|double free or corruption"
            r"|(?:malloc|free)\(\): .*corrupt|stack smashing detected|[Ff]loating point exception|\*\*\* Break \*\*\*",
            "first",
        ),
    ),
    Pattern("compiler", ("error: ",), _line(r"^[^\s:][^:\n]*:\d+(?::\d+)?: (?:fatal )?error: ", "first")),
    Pattern(
        "linker",
        ("undefined reference", "undefined symbol", "cannot find -l", "shared librar", "collect2"),
        _line(
            r"undefined reference to |undefined symbol: |cannot find -l|loading shared libraries: |^collect2: error",
            "first",
        ),
    ),
    Pattern(
        "python_exception",
        ("error", "exception", "interrupt", "exit"),
        _line(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit)(?:: .*)?$", "last"),
    ),
    Pattern(
        "transfer",
        (
            "curl: (",
            "gfal",
            "xrdcp",
            "rsync",
            "scp: ",
            "ssh: ",
            "wget: ",
            "srm_",
            "globus_",
            "mismatch",
            "davix",
            "[error]",
        ),
        _line(
            r"^curl: \(\d+\)|\bgfal-\w+ error|^gfal-\w+.*\b(?:error|fail)|^xrdcp: |^Run: \[ERROR\]|^\[ERROR\]|^rsync(?: error)?: "
            r"|^(?:scp|ssh|wget|davix-\w+): |\bSRM_(?!SUCCESS)[A-Z_]+|\bglobus_\w+: "
            r"|\b(?:checksum|adler32|md5(?:sum)?|size) mismatch",
            "last",
        ),
    ),
    Pattern(
        "shell",
        ("not found", "no such file", "permission denied", "cannot execute", "syntax error", "unbound variable"),
        _line(
            r"(?:command )?not found$|: No such file or directory$|: Permission denied$|: cannot execute\b"
            r"|: syntax error\b|: unbound variable$",
            "last",
        ),
    ),
    Pattern("make", ("***",), _line(r"^\w*make(?:\[\d+\])?: \*\*\* ", "last")),
    Pattern(
        "killed",
        ("killed", "terminated", "aborted"),
        _line(r"^(?:.*: line \d+: +\d+ )?(?:Killed|Terminated|Aborted)\b", "last"),
    ),
    Pattern("perl", (" line ",), _line(r" at \S+ line \d+\.$", "last")),
    Pattern("fatal", ("fatal", "critical"), _line(r"\bFATAL\b|\bCRITICAL\b|\b[Ff]atal(?: error)?:", "last")),
    Pattern("error", ("error",), _line(r"\bERROR\b|\b[Ee]rror ?:(?! ?(?:0|none|no)[ .]*$)|^Error in ", "last")),
    Pattern(
        "failure",
        (
            "fail",
            "cannot",
            "could not",
            "unable to",
            "denied",
            "refused",
            "timed out",
            "timeout",
            "not found",
            "no such",
        ),
        _line(
            r"(?i)(?<!\b0 )\b(?:failed|failure|cannot|could not|unable to|denied|refused|timed out|timeout|not found|no such)\b",
            "last",
        ),
    ),
    Pattern(LAST_LINE, (), _line(r"\S(?!\n*\S)", "last")),
)
"""In the order they are tried: what names a cause most surely first. A row here needs a sample log in its test."""


def find_culprit(log: str | bytes) -> Culprit | None:
    """The line that names the cause, cut at 500 characters and without escape sequences; None for an empty log."""
    text = _without_chatter(_searchable(log))
    if not text or text.isspace():
        return None
    folded = text.lower()
    for pattern in PATTERNS:
        if pattern.hints and not any(hint in folded for hint in pattern.hints):
            continue
        found = pattern.find(text)
        if found is not None:
            offset, where = found
            line = text[text.rfind("\n", 0, offset) + 1 : _end_of_line(text, offset)]
            return Culprit(
                text.count("\n", 0, offset) + 1, _PILOT_PREFIX.sub("", _shown(line.strip())), pattern.name, where
            )
    return None


def around(log: str | bytes, line_number: int, reach: int = 20) -> list[tuple[int, str]]:
    """The lines from `reach` before to `reach` after `line_number`, as (line number, text cut at 500 characters)."""
    lines = _searchable(log).split("\n")
    if not log or log[-1:] in ("\n", b"\n"):
        lines.pop()
    first = max(1, line_number - reach)
    wanted = enumerate(lines[first - 1 : line_number + reach], start=first)
    return [(number, _shown(line)) for number, line in wanted]


_PILOT_PREFIX = re.compile(
    r"^\S+ +[A-Z]+ +job \d+ fails: (?=\d+ )|^[\d-]+ [\d:,]+ \|(?: [A-Z]+ +\|(?: [\w.<>]+ +\|){2})? "
)
"""What pilots say before: time, level and PandaID, which are shown elsewhere already, and the place in the code."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\^_]|[()][A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_OVERWRITTEN = re.compile(r"[^\n\r]*\r(?!\n|$)", re.MULTILINE)  # what a progress bar drew over
_TOO_LONG = re.compile(rf"([^\n]{{{_SEARCHED_LINE_CHARACTERS}}})[^\n]+")


def harmless(text: str) -> str:
    """The text with the same lines, but nothing in it that a terminal would obey instead of showing."""
    text = _ESCAPE.sub("", text) if "\x1b" in text else text
    if "\r" in text:
        text = _OVERWRITTEN.sub("", text.replace("\r\n", "\n")).replace("\r", "")
    return _CONTROL.sub("", text)


_CHATTER = re.compile(
    r"^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \| (?:DEBUG|INFO) .*|- Log from \S+ -\s*)$", re.MULTILINE
)
"""What the production pilot writes all the time and means no harm by; it names failures and time-outs that did not happen."""


def _without_chatter(text: str) -> str:
    """The same lines, those empty."""
    return _CHATTER.sub("", text)


def _searchable(log: str | bytes) -> str:
    """The log as harmless text with the same lines, without endless ones."""
    return _TOO_LONG.sub(r"\1", harmless(log.decode("utf-8", "replace") if isinstance(log, bytes) else log))


def _end_of_line(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _shown(line: str) -> str:
    line = line.rstrip()
    return line if len(line) <= MAX_LINE_CHARACTERS else line[: MAX_LINE_CHARACTERS - 6] + " [cut]"


def numbered(lines: list[tuple[int, str]]) -> Iterator[dict[str, int | str]]:
    """Lines as the monitor's documents hold them (docs/api.md)."""
    return ({"line_number": number, "text": text} for number, text in lines)
