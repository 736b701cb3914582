"""Which troubles are the same: fingerprint version 2, frozen. Knows messages, codes and an event's own names; no database.

What version 1 did, and more: the names that an event carries itself (its queue, node, user, files, ids) are taken out of
its message first, so that they never divide a trouble; datasets, units and checksums have kinds of their own; and
placeholders are kept without using up the twelve words.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from logger.fingerprints.facts import Fingerprint, NameKind, TroubleFacts, of_emitter, of_words
from logger.fingerprints.words import telling_words, without_own_names, without_what_varies

ALGORITHM = 2


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
    return telling_words(without_what_varies(text))
