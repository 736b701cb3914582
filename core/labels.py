"""The labels of work: which queues and pilots take it, and which shares. Knows no table."""

from __future__ import annotations

LABELS = frozenset(
    {"managed", "user", "panda", "test", "prod_test", "ptest", "install", "rc_test", "rc_test2", "rc_alrb"}
)
"""prodSourceLabel (domain.md 2.1)."""
