"""Colour, shape and word of every state and severity. One table, so that no page invents its own.

The colours keep their distance under the three common colour deficiencies (tests/dashboard/test_palette.py measures
it), and no state is told by colour alone: shape and word always stand beside it. Shapes are drawn in assets/style.css.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How a state is shown: a colour (hex), the name of a shape, and the order among its like (first is first)."""

    colour: str
    shape: str
    order: int


_WAITING, _READY, _STARTING, _RUNNING = "#9aa1ab", "#e3a008", "#5bb8e8", "#1f6fd0"
_CLOSING, _GOOD, _BAD, _STOPPED = "#b96bc6", "#0b9b74", "#d4451a", "#5d6470"

JOB_STATES: dict[str, Look] = {
    "failed": Look(_BAD, "cross", 0),
    "running": Look(_RUNNING, "play", 1),
    "stagein": Look(_STARTING, "down", 2),
    "stageout": Look(_STARTING, "up", 3),
    "starting": Look(_STARTING, "half", 4),
    "sent": Look(_STARTING, "right", 5),
    "activated": Look(_READY, "ring", 6),
    "holding": Look(_CLOSING, "pause", 7),
    "merging": Look(_CLOSING, "half", 8),
    "transferring": Look(_CLOSING, "right", 9),
    "assigned": Look(_WAITING, "dot", 10),
    "defined": Look(_WAITING, "dot", 11),
    "waiting": Look(_WAITING, "dot", 12),
    "throttled": Look(_WAITING, "pause", 13),
    "pending": Look(_WAITING, "dot", 14),
    "cancelled": Look(_STOPPED, "slash", 15),
    "closed": Look(_STOPPED, "square", 16),
    "finished": Look(_GOOD, "check", 17),
}

ENDED = ("finished", "failed", "cancelled", "closed")
"""States of jobs that nothing follows."""

TASK_STATES: dict[str, Look] = {
    "broken": Look(_BAD, "cross", 0),
    "tobroken": Look(_BAD, "half", 1),
    "failed": Look(_BAD, "cross", 2),
    "exhausted": Look(_BAD, "square", 3),
    "running": Look(_RUNNING, "play", 4),
    "scouting": Look(_RUNNING, "half", 5),
    "scouted": Look(_RUNNING, "ring", 6),
    "staging": Look(_STARTING, "down", 7),
    "staged": Look(_STARTING, "dot", 8),
    "preprocessing": Look(_STARTING, "play", 9),
    "topreprocess": Look(_STARTING, "half", 10),
    "assigning": Look(_STARTING, "right", 11),
    "ready": Look(_READY, "ring", 12),
    "registered": Look(_WAITING, "dot", 13),
    "defined": Look(_WAITING, "dot", 14),
    "pending": Look(_WAITING, "ring", 15),
    "paused": Look(_WAITING, "pause", 16),
    "throttled": Look(_WAITING, "pause", 17),
    "toretry": Look(_WAITING, "up", 18),
    "toincexec": Look(_WAITING, "up", 19),
    "rerefine": Look(_WAITING, "up", 20),
    "toreassign": Look(_WAITING, "right", 21),
    "reassigning": Look(_WAITING, "right", 22),
    "merging": Look(_CLOSING, "play", 23),
    "prepared": Look(_CLOSING, "ring", 24),
    "passed": Look(_CLOSING, "ring", 25),
    "finishing": Look(_CLOSING, "right", 26),
    "toabort": Look(_STOPPED, "slash", 27),
    "aborting": Look(_STOPPED, "slash", 28),
    "aborted": Look(_STOPPED, "slash", 29),
    "finished": Look(_CLOSING, "half", 30),
    "done": Look(_GOOD, "check", 31),
}

SEVERITIES: dict[str, Look] = {
    "critical": Look("#a3123f", "octagon", 0),
    "error": Look(_BAD, "triangle", 1),
    "warning": Look(_READY, "diamond", 2),
}

INCIDENT_STATES: dict[str, Look] = {
    "open": Look(_BAD, "ring", 0),
    "reopened": Look(_BAD, "up", 1),
    "acknowledged": Look(_RUNNING, "half", 2),
    "silenced": Look(_STOPPED, "pause", 3),
    "candidate": Look(_WAITING, "dot", 4),
    "resolved": Look(_GOOD, "check", 5),
}

QUEUE_STATES: dict[str, Look] = {
    "online": Look(_GOOD, "check", 0),
    "test": Look(_READY, "half", 1),
    "brokeroff": Look(_STOPPED, "pause", 2),
    "offline": Look(_STOPPED, "slash", 3),
}

STAGING_STATES: dict[str, Look] = {
    "staging": Look(_STARTING, "down", 0),
    "queued": Look(_WAITING, "ring", 1),
    "done": Look(_GOOD, "check", 2),
    "cancelled": Look(_STOPPED, "slash", 3),
    "retired": Look(_STOPPED, "square", 4),
}
"""Requests of the data carousel: datasets that are brought from tape."""

UNKNOWN = Look(_WAITING, "dot", 99)

SERIES = ("#1f6fd0", "#e3a008", "#0b9b74", "#b96bc6", "#5bb8e8", "#d4451a", "#5d6470", "#9aa1ab")
"""Colours of things that are no states (queues, labels), in the order they are given out."""


def look(table: dict[str, Look], name: str | None) -> Look:
    """The look of a state; a plain dot for a state nobody has described."""
    return table.get(name or "", UNKNOWN)


def in_order(table: dict[str, Look], names: list[str]) -> list[str]:
    """State names in the order of their table, unknown ones last."""
    return sorted(names, key=lambda name: (look(table, name).order, name))
