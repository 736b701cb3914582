"""When something ends: what people choose of, in the words of the server. Knows no page."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.works import Question

_SILENCE_ENDS = (
    ("30m", "in 30 minutes"),
    ("1h", "in 1 hour"),
    ("2h", "in 2 hours"),
    ("4h", "in 4 hours"),
    ("8h", "in 8 hours"),
    ("24h", "in 24 hours"),
    ("shift", "at the end of the shift"),
    ("doubles", "when it has doubled"),
    ("second_queue", "when another queue is hit"),
    ("fixed", "when it is fixed"),
)
_KINDS = ("shift", "doubles", "second_queue", "fixed")
_QUEUE_ENDS = (
    ("1h", "in 1 hour"),
    ("2h", "in 2 hours"),
    ("4h", "in 4 hours"),
    ("8h", "in 8 hours"),
    ("24h", "in 24 hours"),
    ("tests:10", "after 10 test jobs that finished"),
    ("tests:20", "after 20 test jobs that finished"),
    ("never", "never: somebody gives it back by hand"),
)
_OTHER = Question("at", "Or at another end", hint="18:00 (UTC), 90m, 1d12h, 2026-12-01 06:00")
_OTHER_OF_QUEUE = Question("at", "Or at another end", hint="18:00 (UTC), 90m, 1d12h, 2026-12-01 06:00, tests:5")

SILENCE_QUESTIONS = (Question("ends", "It ends", "choice", "2h", _SILENCE_ENDS), _OTHER)
MATCHER_QUESTIONS = (
    Question("ends", "It ends", "choice", "2h", [one for one in _SILENCE_ENDS if one[0] not in _KINDS[1:]]),
    _OTHER,
)
QUEUE_QUESTIONS = (Question("ends", "It is given back", "choice", "2h", _QUEUE_ENDS), _OTHER_OF_QUEUE)


def silence_end(values: Mapping[str, str]) -> dict[str, str]:
    """`until_kind` and `until` of a silence; what was typed goes before what was chosen."""
    if values.get("at"):
        return {"until_kind": "time", "until": values["at"]}
    chosen = values.get("ends", "")
    return {"until_kind": chosen, "until": ""} if chosen in _KINDS else {"until_kind": "time", "until": chosen}


def queue_end(values: Mapping[str, str]) -> dict[str, str]:
    """`until` of a status of a queue."""
    return {"until": values.get("at") or values.get("ends", "")}
