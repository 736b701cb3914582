"""A message as the words that tell a trouble: what versions 2 and 3 have in common, and frozen with them.

An event's own names are taken out first, then what varies (`shapes`); what is left is at most twelve words that tell
something, with the placeholders between them. Knows no keys.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from logger.fingerprints.facts import NAME_KINDS, NameKind
from logger.fingerprints.shapes import SHAPES
from logger.texts import harmless

MAX_WORDS = 12
MAX_TOKENS = 24
_SEARCHED_CHARACTERS = 1000
_SHORTEST_NAME = 3

# Each kind of name is one private character while the shapes are looked for, so that a path with a name in it is still
# one path. Such characters in a message of somebody's are taken out first.
_MARKS: dict[str, str] = {kind: chr(0xE000 + index) for index, kind in enumerate(NAME_KINDS)}
_KINDS = {mark: f" <{kind}> " for kind, mark in _MARKS.items()}
_OUTSIDE = re.compile("[\ue000-\uf8ff]")


def without_own_names(message: str, names: Iterable[tuple[NameKind, str]]) -> str:
    """The beginning of a message with the event's own names as one private character each."""
    text = unicodedata.normalize("NFC", harmless(message[:_SEARCHED_CHARACTERS]))
    text = _OUTSIDE.sub("", text)
    own = {form: _MARKS[kind] for kind, name in names for form in _forms(kind, name)}
    for form in sorted(own, key=len, reverse=True):
        if form in text:
            text = re.sub(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])", own[form], text)
    return text


def _forms(kind: NameKind, name: str) -> list[str]:
    """How a name is written: a node with its slot and domain or without, a file with its scope or without. A name that
    is a number is left to the shapes, so that short and long ones are the same."""
    forms = [name]
    if kind == "node":
        host = name.rsplit("@", 1)[-1]
        forms += [host, host.split(".", 1)[0]]
    elif kind in {"file", "dataset"} and ":" in name:
        forms.append(name.split(":", 1)[1])
    return [form for form in forms if len(form) >= _SHORTEST_NAME and not form.isdigit()]


def without_what_varies(text: str) -> str:
    """The text with numbers, times, paths, hosts, ... and own names each replaced by its kind."""
    for expression, replacement in SHAPES:
        text = expression.sub(replacement, text)
    for mark, kind in _KINDS.items():
        text = text.replace(mark, kind)
    return text


def telling_words(text: str) -> tuple[str, ...]:
    """Lower case, without filler words and repetitions; at most 12 words, at most 24 together with the placeholders."""
    words: list[str] = []
    meaningful = 0
    for word in _WORD.findall(text.lower()):
        plain = word.strip("._-")
        if not plain or plain in MEANINGLESS or (words and words[-1] == plain):
            continue
        words.append(plain)
        meaningful += not _PLACEHOLDER.fullmatch(plain) and any(character.isalpha() for character in plain)
        if meaningful == MAX_WORDS or len(words) == MAX_TOKENS:
            break
    return tuple(words)


MEANINGLESS = frozenset(
    "a an and are as at be been but by did do does for from had has have in is it its of on or so than that the their "  # noqa: SIM905
    "then there these they this to was were will with you your".split()
)
_PLACES = "|".join([*NAME_KINDS, "time", "path", "host", "text"])
_WORD = re.compile(rf"<(?:{_PLACES})>|(?:\w|<n>)(?:[\w.-]|<n>)*")
_PLACEHOLDER = re.compile(rf"<(?:{_PLACES}|n)>")
