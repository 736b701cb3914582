"""Fingerprint version 1 under its old address; whoever makes new fingerprints uses `logger.fingerprints`."""

from __future__ import annotations

from logger.fingerprints.v1 import MAX_WORDS, VERSION, Fingerprint, fingerprint, normalised_words

__all__ = ["MAX_WORDS", "VERSION", "Fingerprint", "fingerprint", "normalised_words"]
