"""What a fingerprint is made of and what it says, the same for every version since the second. Knows no algorithm."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, get_args

MAX_KEY_CHARACTERS = 200
MAX_COMPONENT_CHARACTERS = 60

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
    algorithm: int
    words: tuple[str, ...] = ()
    step: str = ""


def of_emitter(facts: TroubleFacts, algorithm: int) -> Fingerprint:
    """The fingerprint of a trouble that has its emitter's own key: the same in all versions, and named after the first."""
    key = re.sub(r"\s+", " ", facts.explicit).strip()[:MAX_KEY_CHARACTERS]
    return Fingerprint(f"v1:{key}", f"The emitters gave all of them the same key, '{key}'.", algorithm, step=facts.step)


def of_words(facts: TroubleFacts, words: tuple[str, ...], algorithm: int) -> Fingerprint:
    """The fingerprint of a trouble whose message comes down to `words`."""
    component = plain_component(facts.component)
    code = "" if facts.code is None else str(abs(facts.code))
    parts = (component, code, facts.step, *words)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]
    return Fingerprint(
        f"v{algorithm}:{component[:MAX_COMPONENT_CHARACTERS]}:{code}:{digest}",
        _sentence(component, code, facts.code_name, words, facts.step),
        algorithm,
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
