"""What the emitter of change signals and their readers agree on. The signals themselves are `core.models.ChangeSignal`."""

from __future__ import annotations

CHANNEL = "panda_changes"
"""NOTIFY channel; the payload is the number of a signal."""

EVERYTHING = "*"
"""The topic that says: more changed than is worth telling, read all anew."""
