"""The fingerprint of a trouble: the current version, and the keys that the versions before give to the same facts."""

from __future__ import annotations

import re

from logger.fingerprints import v1, v2
from logger.fingerprints.facts import NAME_KINDS, Fingerprint, NameKind, TroubleFacts, plain_component
from logger.fingerprints.v3 import ALGORITHM, fingerprint, normalised_words
from logger.fingerprints.words import MAX_WORDS

__all__ = [
    "ALGORITHM",
    "MAX_WORDS",
    "NAME_KINDS",
    "Fingerprint",
    "NameKind",
    "TroubleFacts",
    "fingerprint",
    "is_of_older_version",
    "normalised_words",
    "older_keys",
    "plain_component",
]

_OLDER = re.compile(r"v[12]:.*:-?\d*:[0-9a-f]{16}", re.DOTALL)


def older_keys(facts: TroubleFacts) -> tuple[str, ...]:
    """The keys that the versions before give to the same facts, newest first: an older incident may still be open.

    None where the emitter gave the key: that is the same in all of them.
    """
    if facts.explicit:
        return ()
    step = facts.step if facts.legacy_step is None else facts.legacy_step
    return v2.fingerprint(facts).key, v1.fingerprint(facts.component, facts.code, facts.message, step).key


def is_of_older_version(key: str) -> bool:
    """Whether an older version computed the key. Keys of emitters and of what is measured are of no version."""
    return _OLDER.fullmatch(key) is not None
