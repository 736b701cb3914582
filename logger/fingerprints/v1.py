"""Which troubles are the same: fingerprint version 1. Knows messages and codes; knows no database.

A fingerprint is the emitter's own key when it gave one, else (component, code, normalised message, failing step)
(monitor.md 6.1). The version is part of it: a later version never changes the groups of this one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

VERSION = "v1"
MAX_WORDS = 12
MAX_KEY_CHARACTERS = 200
_SEARCHED_CHARACTERS = 1000


@dataclass(frozen=True)
class Fingerprint:
    """`key` says which troubles are the same; `grouping` says why, in a sentence for people."""

    key: str
    grouping: str


@lru_cache(maxsize=1024)
def fingerprint(
    component: str, code: int | None, message: str, step: str = "", *, explicit: str = "", code_name: str = ""
) -> Fingerprint:
    """The fingerprint of a trouble.

    `step`: where it failed, for example "payload count.py:main". `explicit`: the emitter's own key, which wins.
    `code_name`: what people call the code, for the sentence only. Remembered, because troubles come in bursts.
    """
    if explicit:
        key = re.sub(r"\s+", " ", explicit).strip()[:MAX_KEY_CHARACTERS]
        return Fingerprint(f"{VERSION}:{key}", f"The emitters gave all of them the same key, '{key}'.")
    words = normalised_words(message)
    parts = (component, "" if code is None else str(code), " ".join(words), step)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]
    return Fingerprint(f"{VERSION}:{component}:{parts[1]}:{digest}", _sentence(component, code, code_name, words, step))


def _sentence(component: str, code: int | None, code_name: str, words: list[str], step: str) -> str:
    same = [f"the same component ({component or 'unnamed'})"]
    if code is not None:
        same.append(f"the same code ({code}{' ' + code_name if code_name else ''})")
    if step:
        same.append(f"the same failing step ({step})")
    if words:
        same.append(f"the same message, numbers and names aside ('{' '.join(words)}')")
    return f"They have {', '.join(same[:-1])}{' and ' if len(same) > 1 else ''}{same[-1]}."


def normalised_words(message: str) -> list[str]:
    """At most 12 meaningful words of a message, lower case, with everything that varies replaced by its kind."""
    text = message[:_SEARCHED_CHARACTERS]
    for expression, replacement in _VARIABLE_PARTS:
        text = expression.sub(replacement, text)
    words: list[str] = []
    for word in _WORD.findall(text.lower()):
        plain = word.strip("._-")
        if plain and plain not in _MEANINGLESS and (not words or words[-1] != plain):
            words.append(plain)
            if len(words) == MAX_WORDS:
                break
    return words


_MEANINGLESS = frozenset(
    "a an and are as at be been but by did do does for from had has have in is it its of on or so than that the their "  # noqa: SIM905
    "then there these they this to was were will with you your".split()
)
_WORD = re.compile(r"<(?:time|id|hex|path|host|name|text)>|(?:\w|<n>)(?:[\w.-]|<n>)*")


def _name_of_error_or(kind: str) -> Callable[[re.Match[str]], str]:
    """Dotted names of exceptions (json.decoder.JSONDecodeError) name the cause; other dotted names vary."""

    def replace(match: re.Match[str]) -> str:
        last = match.group().rsplit(".", 1)[-1]
        return last if re.fullmatch(r"[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning)", last) else kind

    return replace


def _path_if_it_varies(match: re.Match[str]) -> str:
    """results/17 and lib/a.so are paths; input/output and read/write are words."""
    return " <path> " if re.search(r"[\d.]", match.group()) else match.group()


def _unless_it_names(match: re.Match[str]) -> str:
    return match[1] or "<n>"


_EXTENSIONS = (
    "txt|log|out|err|csv|json|xml|yaml|yml|toml|ini|cfg|conf|root|h5|hdf5|npz|npy|dat|data|db|py|pyc|sh|c|cc|cpp|cxx|h|hh|hpp|"
    "f|f90|java|jar|js|go|rs|so|a|o|dll|exe|tar|gz|tgz|bz2|xz|zip|zst|tmp|part|pdf|png|jpg|html|md|lock|pid|sock|pem|crt|key"
)

# In this order: wide shapes before the narrow ones they contain.
_VARIABLE_PARTS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]"), ""),
    # names of code stay: they say what is missing, and do not vary from job to job
    (
        re.compile(
            r"\b(named|name|module|attribute|symbol|function|method|command|option|argument|reference to) "
            r"['\"`‘“]([A-Za-z_]+)['\"`’”]"
        ),
        r"\1 \2",
    ),
    (re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|(?<!\w)\"[^\"\n]*\"(?!\w)|`[^`'\n]*[`']|‘[^’\n]*’|“[^”\n]*”"), " <text> "),
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?(?!\w)"
            r"|\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:\d{1,2} )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
            r" (?:\d{1,2}|\d{4})(?: \d\d:\d\d:\d\d)?(?: \d{4})?\b"
            r"|\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b"
        ),
        " <time> ",
    ),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), " <id> "),
    (re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>,;)\]]+"), " <path> "),
    (re.compile(r"(?<![\w<])(?:[A-Za-z]:\\|\\\\)[^\s'\"<>,;]+"), " <path> "),
    (
        re.compile(  # absolute; relative of three parts or more
            r"(?<![\w<>.])~?\.{0,2}/[^\s'\"<>,;:()\[\]]+"
            r"|(?<![\w<>./+@%=-])(?:[\w.+@%=-]+/){2,}[^\s'\"<>,;:()\[\]]*"
        ),
        " <path> ",
    ),
    (re.compile(r"(?<![\w<>./+@%=-])[\w.+@%=-]+/[\w.+@%=-]*"), _path_if_it_varies),
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b|\b(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{8,}\b"), " <hex> "),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b"), " <host> "),
    (
        re.compile(
            r"\b(?:[a-zA-Z0-9-]+\.)+(?:ch|org|com|net|edu|gov|de|fr|uk|it|es|jp|cern|local|localdomain)(?::\d+)?\b"
        ),
        " <host> ",
    ),
    (re.compile(r"\blocalhost(?::\d+)?\b"), " <host> "),
    (re.compile(r"(?<![\w+-])[\w+-]+(?:\.[\w+-]+){2,}\b"), _name_of_error_or(" <name> ")),
    (re.compile(rf"(?<![\w+-])[\w+-]+\.(?:{_EXTENSIONS})\b(?!\.\w)", re.IGNORECASE), " <name> "),
    (re.compile(r"\b[A-Za-z_]\w*\.[A-Z]\w*\b"), _name_of_error_or(" <name> ")),
    # the numbers that name a cause, such as [Errno 28] and HTTP 503, stay
    (
        re.compile(r"\b((?:errno|http|status|signal|exit|code) ?:?=? ?\d{1,3}(?![\w.]))|\d+(?:[.,]\d+)*", re.I),
        _unless_it_names,
    ),
)
