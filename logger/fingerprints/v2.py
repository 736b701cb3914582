"""Which troubles are the same: fingerprint version 2. Knows messages, codes and an event's own names; no database.

What version 1 did, and more: the names that an event carries itself (its queue, node, user, files, ids) are taken out of
its message first, so that they never divide a trouble; datasets, units and checksums have kinds of their own; and
placeholders are kept without using up the twelve words.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from logger.fingerprints.shapes import SHAPES
from logger.texts import harmless

ALGORITHM = 2
MAX_WORDS = 12
MAX_TOKENS = 24
MAX_KEY_CHARACTERS = 200
MAX_COMPONENT_CHARACTERS = 60
_SEARCHED_CHARACTERS = 1000
_SHORTEST_NAME = 3

NameKind = Literal["queue", "node", "user", "task", "dataset", "file", "endpoint", "id"]
NAME_KINDS: tuple[NameKind, ...] = get_args(NameKind)


@dataclass(frozen=True)
class TroubleFacts:
    """What a fingerprint is made of.

    `step`: where it failed, for example "payload count.py:main". `explicit`: the emitter's own key, which wins over
    everything. `names`: the event's own names as (kind, name), which never matter. `code_name`: what people call the
    code, for the sentence only. `legacy_step`: the step as version 1 would have had it, when that differs.
    """

    component: str
    code: int | None
    message: str
    step: str = ""
    explicit: str = ""
    names: tuple[tuple[NameKind, str], ...] = ()
    code_name: str = ""
    legacy_step: str | None = None


@dataclass(frozen=True)
class Fingerprint:
    """`key` says which troubles are the same; `grouping` says why, in a sentence for people; `words` and `step` are what
    it was made of, so that a page can say which part of two troubles differs."""

    key: str
    grouping: str
    words: tuple[str, ...] = ()
    step: str = ""
    algorithm: int = ALGORITHM


def fingerprint(facts: TroubleFacts) -> Fingerprint:
    """The key of a trouble and why events share it."""
    if facts.explicit:
        # this part of the algorithm is as it was in version 1, and so are its keys
        key = re.sub(r"\s+", " ", facts.explicit).strip()[:MAX_KEY_CHARACTERS]
        return Fingerprint(f"v1:{key}", f"The emitters gave all of them the same key, '{key}'.", step=facts.step)
    component = plain_component(facts.component)
    words = normalised_words(facts.message, facts.names)
    code = "" if facts.code is None else str(abs(facts.code))
    parts = (component, code, facts.step, *words)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]
    return Fingerprint(
        f"v{ALGORITHM}:{component[:MAX_COMPONENT_CHARACTERS]}:{code}:{digest}",
        _sentence(component, code, facts.code_name, words, facts.step),
        words,
        facts.step,
    )


_OUR_PACKAGES = frozenset({"panda", "core", "logger", "api"})


def plain_component(component: str) -> str:
    """The component in lower case, without the packages of ours around it: `core.agents.Carrier` is `carrier`."""
    plain = " ".join(component.lower().split())
    first, _, rest = plain.partition(".")
    return rest.rsplit(".", 1)[-1] if first in _OUR_PACKAGES and rest else plain


def _sentence(component: str, code: str, code_name: str, words: tuple[str, ...], step: str) -> str:
    same = [f"the same component ({component or 'unnamed'})"]
    if code:
        same.append(f"the same code ({code}{' ' + code_name if code_name else ''})")
    if step:
        same.append(f"the same failing step ({step})")
    if words:
        same.append(f"the same message, numbers and names aside ('{' '.join(words)}')")
    return f"They have {', '.join(same[:-1])}{' and ' if len(same) > 1 else ''}{same[-1]}."


def normalised_words(message: str, names: Iterable[tuple[NameKind, str]] = ()) -> tuple[str, ...]:
    """The words that tell a trouble: lower case, with everything that varies replaced by its kind; at most 12 words,
    at most 24 together with the placeholders."""
    text = unicodedata.normalize("NFC", harmless(message[:_SEARCHED_CHARACTERS]))
    return _words(_without_own_names(_OUTSIDE.sub("", text), names))


# Each kind of name is one private character while the shapes are looked for, so that a path with a name in it is still
# one path. Such characters in a message of somebody's are taken out first.
_MARKS: dict[str, str] = {kind: chr(0xE000 + index) for index, kind in enumerate(NAME_KINDS)}
_KINDS = {mark: f" <{kind}> " for kind, mark in _MARKS.items()}
_OUTSIDE = re.compile("[\ue000-\uf8ff]")


def _without_own_names(text: str, names: Iterable[tuple[NameKind, str]]) -> str:
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


@lru_cache(maxsize=2048)
def _words(text: str) -> tuple[str, ...]:
    """Remembered, because troubles come in bursts, and without their own names they are the same text."""
    for expression, replacement in SHAPES:
        text = expression.sub(replacement, text)
    for mark, kind in _KINDS.items():
        text = text.replace(mark, kind)
    words: list[str] = []
    meaningful = 0
    for word in _WORD.findall(text.lower()):
        plain = word.strip("._-")
        if not plain or plain in _MEANINGLESS or (words and words[-1] == plain):
            continue
        words.append(plain)
        meaningful += not _PLACEHOLDER.fullmatch(plain) and any(character.isalpha() for character in plain)
        if meaningful == MAX_WORDS or len(words) == MAX_TOKENS:
            break
    return tuple(words)


_MEANINGLESS = frozenset(
    "a an and are as at be been but by did do does for from had has have in is it its of on or so than that the their "  # noqa: SIM905
    "then there these they this to was were will with you your".split()
)
_PLACES = "|".join([*NAME_KINDS, "time", "path", "host", "text"])
_WORD = re.compile(rf"<(?:{_PLACES})>|(?:\w|<n>)(?:[\w.-]|<n>)*")
_PLACEHOLDER = re.compile(rf"<(?:{_PLACES}|n)>")
