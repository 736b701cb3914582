"""Which troubles are the same: fingerprint version 3. Knows messages, codes and an event's own names; no database.

What version 2 did, and more: the names of what is missing, undefined or asserted tell troubles apart (`missing`), however
they are quoted and wherever they were looked for; and a file is a path, whether its directory is said or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from logger.fingerprints.facts import Fingerprint, NameKind, TroubleFacts, of_emitter, of_words
from logger.fingerprints.missing import kept_names
from logger.fingerprints.words import telling_words, without_own_names, without_what_varies

ALGORITHM = 3


def fingerprint(facts: TroubleFacts) -> Fingerprint:
    """The key of a trouble and why events share it."""
    if facts.explicit:
        return of_emitter(facts, ALGORITHM)
    return of_words(facts, normalised_words(facts.message, facts.names), ALGORITHM)


def normalised_words(message: str, names: Iterable[tuple[NameKind, str]] = ()) -> tuple[str, ...]:
    """The words that tell a trouble."""
    return _words(without_own_names(message, names))


@lru_cache(maxsize=2048)
def _words(text: str) -> tuple[str, ...]:
    """Remembered, because troubles come in bursts, and without their own names they are the same text."""
    return telling_words(without_what_varies(kept_names(text)).replace("<file>", "<path>"))
