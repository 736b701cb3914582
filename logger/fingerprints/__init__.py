"""The fingerprint of a trouble: the current version, and the key that the version before gives to the same facts."""

from __future__ import annotations

from logger.fingerprints import v1
from logger.fingerprints.v2 import (
    ALGORITHM,
    MAX_WORDS,
    NAME_KINDS,
    Fingerprint,
    NameKind,
    TroubleFacts,
    fingerprint,
    normalised_words,
    plain_component,
)

__all__ = [
    "ALGORITHM",
    "MAX_WORDS",
    "NAME_KINDS",
    "Fingerprint",
    "NameKind",
    "TroubleFacts",
    "fingerprint",
    "legacy_key",
    "normalised_words",
    "plain_component",
]


def legacy_key(facts: TroubleFacts) -> str:
    """The key that version 1 gives to the same facts, under which an older incident may still be open."""
    step = facts.step if facts.legacy_step is None else facts.legacy_step
    return v1.fingerprint(facts.component, facts.code, facts.message, step, explicit=facts.explicit).key
