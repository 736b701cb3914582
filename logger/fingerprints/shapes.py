"""The shapes of what varies from event to event, in the order in which versions 2 and 3 take them out of a message.

Frozen with them: a change here changes keys, and that is a new version. Every expression is linear: no repeated
group holds another repetition of the same characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Replacement = str | Callable[[re.Match[str]], str]

_NAME = r"[\w+\-\ue000-\ue007]"
"""A character of a name; the private ones stand for the event's own names."""


def _name_of_error_or(kind: str) -> Callable[[re.Match[str]], str]:
    """Dotted names of exceptions (json.decoder.JSONDecodeError, rucio.common.exception.ReplicaNotFound) name the cause;
    other dotted names vary, and those of digits alone are numbers."""

    def replace(match: re.Match[str]) -> str:
        *packages, last = match.group().split(".")
        is_error = re.fullmatch(r"_?[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning)", last) is not None
        if is_error or (last[:1].isupper() and not _ERROR_PACKAGES.isdisjoint(packages)):
            return last
        return kind if re.search(r"[^\d.]", match.group()) else "<n>"

    return replace


_ERROR_PACKAGES = frozenset({"exception", "exceptions", "error", "errors", "errorfactory"})


def _path_if_it_varies(match: re.Match[str]) -> str:
    """results/17 and lib/a.so are paths; input/output and read/write are words."""
    return " <path> " if re.search(r"[\d.\ue000-\ue007]", match.group()) else match.group()


def _unless_it_names(match: re.Match[str]) -> str:
    return match[1] or "<n>"


_EXTENSIONS = (
    "txt|log|out|err|csv|json|xml|yaml|yml|toml|ini|cfg|conf|root|h5|hdf5|npz|npy|parquet|dat|data|db|py|pyc|sh|c|cc|cpp|cxx|h|"
    "hh|hpp|f|f90|java|jar|js|go|rs|so|a|o|dll|exe|tar|gz|tgz|bz2|xz|zip|zst|tmp|part|pdf|png|jpg|html|md|lock|pid|sock|pem|"
    "crt|key|pl|pm|r|jl|rb"
)
_UNITS = (
    r"%|[kKMGTP]i?B?(?:/s|ps)?\b|[Bb]ytes?\b|B\b|ms\b|us\b|ns\b|s\b|sec(?:onds?|s)?\b|min(?:utes?|s)?\b|h\b|hours?\b|d\b|days?\b"
    r"|MHz\b|GHz\b"
)
_DOMAINS = "ch|org|com|net|edu|gov|cern|local|localdomain|internal"
_COUNTRIES = "de|fr|uk|it|es|nl|se|no|dk|fi|at|be|pt|gr|cz|sk|si|ro|ru|jp|cn|tw|kr|au|ca|us|il|br|eu"
"""Only after two parts or more: the ends of too many other names look like them."""

SHAPES: tuple[tuple[re.Pattern[str], Replacement], ...] = (
    (re.compile(r"(?<=[a-z])['’](?=(?:s|t|d|m|re|ve|ll)\b)"), ""),
    # names of code stay: they say what is missing, and do not vary from job to job
    (
        re.compile(
            r"\b(name|attribute|symbol|function|method|command|option|argument|reference to|instance of) "
            r"['\"`‘“]([A-Za-z_][A-Za-z_:]*)['\"`’”]"
        ),
        r"\1 \2",
    ),
    (
        re.compile(r"\b(named|module) ['\"]([A-Za-z_][\w.]*)['\"]"),
        lambda match: f"{match[1]} {match[2].replace('.', '_')}",
    ),
    (re.compile(r"(?<![\w/.-])(lib[\w+-]+)\.(?:so|a|dylib)(?:\.\d+){0,4}(?![\w.])"), r" \1 "),
    (
        re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|(?<!\w)\"[^\"\n]*\"(?!\w)|`[^`'\n]*[`']|‘[^’\n]*’|“[^”\n]*”|«[^»\n]*»"),
        " <text> ",
    ),
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?(?!\w)"
            r"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:\d{1,2} )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
            r" {1,2}(?:\d{1,2}|\d{4})(?: \d\d:\d\d:\d\d)?(?: \d{4})?\b"
            r"|\b\d{1,2}-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{4}(?:[ T:]\d\d:\d\d:\d\d(?:\.\d+)?)?(?!\w)"
            r"|\b\d{1,3}-\d\d:\d\d:\d\d\b"
            r"|\b\d\d/\d\d(?:/\d\d(?:\d\d)?)? \d\d:\d\d:\d\d\b"
            r"|(?<![\w:.-])\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?![\w:]*\w)"
        ),
        " <time> ",
    ),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), " <id> "),
    (re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>,;)\]]+"), " <path> "),
    (re.compile(r"(?<![\w<])(?:[A-Za-z]:\\|\\\\)[^\s'\"<>,;]+"), " <path> "),
    (
        re.compile(  # absolute; relative of three parts or more
            r"(?<![\w<>.\ue000-\ue007])~?\.{0,2}/[^\s'\"<>,;:()\[\]]+"
            r"|(?<![\w<>./+@%=\ue000-\ue007-])(?:[\w.+@%=\ue000-\ue007-]+/){2,}[^\s'\"<>,;:()\[\]]*"
        ),
        " <path> ",
    ),
    (
        re.compile(r"(?<![\w<>./+@%=\ue000-\ue007-])[\w.+@%=\ue000-\ue007-]+/[\w.+@%=\ue000-\ue007-]*"),
        _path_if_it_varies,
    ),
    # hexadecimal numbers are numbers: a checksum may happen to have no letter in it
    (re.compile(r"(?i)\b(ad|md|adler32|md5(?:sum)?|sha\d*|checksum)[:= ] ?[0-9a-f]{6,}\b"), r"\1 <n> "),
    (
        re.compile(r"\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{6,}\b"),
        " <n> ",
    ),
    # shortened addresses; a digit tells them from scopes of C++
    (
        re.compile(r"(?<![\w:])(?=[a-fA-F:]*\d)(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}(?![\w:])"),
        " <host> ",
    ),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b"), " <host> "),
    (
        re.compile(
            rf"\b(?:(?:[a-zA-Z0-9-]+\.)+(?:{_DOMAINS})|(?:[a-zA-Z0-9-]+\.){{2,}}(?:{_COUNTRIES}))(?::\d+)?\b(?![\w-]*\.\w)"
        ),
        " <host> ",
    ),
    (re.compile(r"\blocalhost(?::\d+)?\b"), " <host> "),
    # scope:name, and three dotted parts or more
    (
        re.compile(rf"(?<![\w+\-\ue000-\ue007]){_NAME}+(?:\.{_NAME}+)?:{_NAME}+(?:\.{_NAME}+){{2,}}"),
        " <dataset> ",
    ),
    (
        re.compile(
            rf"(?i)(?<![\w+\-\ue000-\ue007]){_NAME}+(?:\.{_NAME}+)*\.(?:{_EXTENSIONS})(?:\.\d+){{0,2}}\b(?!\.\w)"
        ),
        " <file> ",
    ),
    (re.compile(rf"(?<![\w+\-\ue000-\ue007]){_NAME}+(?:\.{_NAME}+){{2,}}"), _name_of_error_or(" <dataset> ")),
    (re.compile(r"\b[A-Za-z_]\w*\.[A-Z]\w*\b"), _name_of_error_or(" <text> ")),
    # the numbers that name a cause stay: [Errno 28], HTTP 503, signal 9, exit code 3, ORA-00600, SQLSTATE 40P01
    (
        re.compile(
            r"(?i)\b((?:errno|http|status|signal|exit|code|exitcode|exit_code|returncode) ?:?=? ?-?\d{1,3}(?![\w.])"
            r"|(?:returned|with an?) error:? \d{3}(?![\w.])|error \d{3}(?=:)|curl: \(\d{1,2}\)"
            r"|(?:ora|tns|pls)-\d{3,5}\b|sqlstate:? ?\w{5}\b)"
            rf"|\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?(?: ?(?:{_UNITS}))?"
        ),
        _unless_it_names,
    ),
)
