"""Until when, as people type it in the console: what ends a silence, or the drain of a queue. Pure; raises `Usage`."""

from __future__ import annotations

from pandascope.errors import Usage

SILENCE_KINDS = ("shift", "doubles", "second_queue", "fixed")
"""What ends a silence beside a time."""
SILENCE_HINT = "2h · 18:00 · shift · doubles · second_queue · fixed, then why"
QUEUE_HINT = "2h · 18:00 (UTC) · tests:20 · never, then why"
ENDINGS = ("fixed", "not_a_problem", "duplicate", "moved")
"""How an incident ends by a person's word."""
DRAIN_UNTIL = "2h"
"""What a drain is first shown with: whoever wants it longer says so before confirming."""


def silence_end(words: str) -> tuple[dict[str, str], str]:
    """Parameters of a silence and its reason, from `2h the disk is replaced`, `until the shift ends`."""
    first, rest = _first(words)
    if not first:
        raise Usage("until when?", remedy=SILENCE_HINT)
    kind = first.lower().replace("-", "_")
    if kind in SILENCE_KINDS:
        return {"until_kind": kind}, rest
    return {"until_kind": "time", "until": first}, rest


def queue_end(words: str) -> tuple[dict[str, str], str]:
    """Parameters of a queue's status and the reason, from `18:00 fans are changed`."""
    first, rest = _first(words)
    if not first:
        raise Usage("until when?", remedy=QUEUE_HINT)
    return {"until": first.lower() if first.lower() == "never" else first}, rest


def ending_of(comment: str) -> str:
    """How an incident ended, when the comment begins with that."""
    first = comment.partition(" ")[0].rstrip(":,.").lower().replace("-", "_")
    return first if first in ENDINGS else ""


def _first(words: str) -> tuple[str, str]:
    """The first word (`until` before it is forgiven) and what follows."""
    words = words.strip()
    if words.lower().startswith("until "):
        words = words[6:].strip()
    first, _, rest = words.partition(" ")
    return first, rest.strip()
