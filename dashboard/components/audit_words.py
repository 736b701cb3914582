"""Rows of the audit in words: who did what to which, and what of it changed. Knows the rows, no page and no address."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard import wording

DID: dict[str, str] = {
    "acknowledge": "acknowledged",
    "add": "added",
    "added": "added",
    "assign": "assigned",
    "begin shift": "began",
    "begin silence": "began",
    "cancel revert": "let stay",
    "change": "changed",
    "changed": "changed",
    "comment": "commented on",
    "drain": "drained",
    "end silence": "ended",
    "hold": "took in hand",
    "inhibit": "found a cause for",
    "kill": "killed",
    "lapse": "let lapse",
    "links": "changed the links of",
    "make queue": "made",
    "merge": "merged",
    "note": "wrote a note in",
    "offline": "set offline",
    "online": "set online",
    "open": "opened",
    "release": "gave up the hold on",
    "remove": "removed",
    "removed": "removed",
    "reopen": "reopened",
    "resolve": "resolved",
    "retag": "gave the jobs anew to",
    "retry": "retried",
    "revert is due again": "has to go back again:",
    "revive silence": "revived",
    "rule added": "added",
    "rule changed": "changed",
    "rule removed": "removed",
    "set account": "set the limits of",
    "set endpoint": "set",
    "set queue": "changed",
    "set user": "changed",
    "severity": "set the severity of",
    "sign in": "signed in to",
    "sign out": "signed out of",
    "silence": "silenced",
    "split": "split",
    "test": "set to test",
    "undrain": "gave work again to",
    "unsilence": "ended the silence of",
    "worse": "found worse",
}
"""What somebody did, by the name of the action; what is not here is said as the server calls it."""

KINDS: dict[str, str] = {
    "incident": "incident",
    "queue": "queue",
    "job": "job",
    "task": "task",
    "deed": "deed",
    "silence": "silence",
    "rule": "alarm rule",
    "notice_route": "notice route",
    "link": "merge or split",
    "shift": "shift",
    "share": "share",
    "user": "user",
    "group": "group",
    "endpoint": "storage endpoint",
    "retry rule": "retry rule",
    "retry action": "retry action",
    "retry class": "error class",
}
"""What things are called, by the kind of the object."""

WAYS = {"api": "API", "cli": "command line", "console": "console", "web": "web", "server": "server"}

_OUTCOMES = (("done", "done"), ("refused", "refused"), ("gone", "had ended or gone"))
_OF_DEEDS = frozenset({"state", "done", "refused", "gone", "targets", "target_kind"})
"""What the sentence about a deed says already."""
_ASIDE = frozenset({
    "acknowledged_time", "resolved_time", "opened_time", "creation_time", "version", "note_id", "fingerprint",
    "resolved_by", "opened_by", "change_seq", "reopened_count", "queue_name", "digest",
})  # fmt: skip
"""What only repeats who did it and when, or tells nobody anything: it stands with the details."""
_FIELDS = {
    "input": "input of the jobs",
    "until_kind": "ends",
    "until_time": "until",
    "inhibited_by": "explained by incident",
    "merged_into": "merged into incident",
    "into_incident_id": "into incident",
    "incident_id": "incident",
    "severity_floor": "severity at least",
    "status_set_by": "set by",
    "matcher": "all with",
    "prod_source_label": "label",
    "is_active": "switched on",
    "is_final": "later routes hear nothing",
    "group_by": "joined by",
}
_DIGEST = re.compile(r"\b[0-9a-f]{16,}\b")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:?\d\d|Z)?")
_SAID_OF_A_TEST = "sent a test to"


@dataclass(frozen=True)
class Change:
    """One thing that is another now, in words; `before` is None where nothing was there."""

    name: str
    before: str | None
    after: str
    is_aside: bool


def did(entry: Mapping[str, Any]) -> str:
    """What was done, as a verb in the past that an object follows."""
    action, kind = str(entry["action"]), str(entry["object_kind"])
    if action == "test" and kind == "notice_route":
        return _SAID_OF_A_TEST
    if kind == "link" and action in ("merge", "split"):
        return "made"
    if action.startswith("undo "):
        return "took back" if kind in ("deed", "link") else f"took back ({action.removeprefix('undo ')}) of"
    return DID.get(action) or action.replace("_", " ")


def kind_words(entry: Mapping[str, Any]) -> str:
    """What kind of thing it was done to."""
    action, kind = str(entry["action"]), str(entry["object_kind"])
    if kind == "link":
        return action.removeprefix("undo ")
    return KINDS.get(kind) or kind.replace("_", " ")


def way(via: str) -> str:
    """By way of what it was done."""
    return WAYS.get(via, via)


def outcome(entry: Mapping[str, Any]) -> str:
    """How a deed went that was not simply done: '3 done, 1 refused'. What is no deed was done when it stands here."""
    after = entry["after"]
    if entry["object_kind"] != "deed" or not isinstance(after, dict) or "done" not in after:
        return ""
    if after.get("done") and not (after.get("refused") or after.get("gone")):
        return ""
    counts = [(after.get(name), words) for name, words in _OUTCOMES]
    return ", ".join(f"{wording.count(number)} {words}" for number, words in counts if number) or "nothing to do"


def targets(entry: Mapping[str, Any]) -> str:
    """To what a deed was done: '3 jobs: 9, 10, 11'; empty of what is no deed."""
    after = entry["after"]
    if entry["object_kind"] != "deed" or not isinstance(after, dict) or not after.get("target_kind"):
        return ""
    names = [str(one) for one in after.get("targets") or []]
    number = sum(int(after.get(name) or 0) for name, _ in _OUTCOMES)
    kind = str(after["target_kind"])
    if not names:
        return wording.plural(number, kind)
    return f"{wording.plural(number, kind)}: {_some(names)}"


def changes(entry: Mapping[str, Any]) -> list[Change]:
    """What is another now, those first that people want to know."""
    before, after = _flat(entry["before"]), _flat(entry["after"])
    is_new, is_deed = not before, entry["object_kind"] == "deed"
    found = []
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new or (is_new and new in (None, "", [], {}, False)):
            continue
        is_said = new in (entry["object_id"], entry["object_kind"]) or (name[-1], new) == ("until_kind", "time")
        is_aside = is_said or name[-1] in _ASIDE or (is_deed and name[0] in _OF_DEEDS)
        said = value_words(name[-1], old) if name in before and old not in (None, "", [], {}) else None
        found.append(Change(field_words(name), said, value_words(name[-1], new), is_aside))
    return sorted(found, key=lambda change: change.is_aside)


def field_words(path: Sequence[str]) -> str:
    """The name of a field: 'held by', 'limit' of a limit_s."""
    name = path[-1]
    if name.endswith("_s") and len(name) > 3:
        name = name[:-2]
    return _FIELDS.get(name) or name.replace("_", " ")


def value_words(name: str, value: Any) -> str:
    """A value: times to the second, durations in their units, lists with commas, digests cut short."""
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return wording.duration(value) if name.endswith("_s") else f"{value:.12g}"
    if isinstance(value, list):
        return _some([value_words("", one) for one in value])
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {value_words(key, one)}" for key, one in value.items())
    text = str(value)
    if _MOMENT.fullmatch(text):
        return wording.utc(text)
    if name == "until" and text.startswith("tests:"):
        return f"{text.removeprefix('tests:')} test jobs have finished"
    return _DIGEST.sub(lambda found: f"{found[0][:8]}…", text)


def _some(names: Sequence[str], most: int = 12) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {wording.count(rest)} more" if rest > 0 else "")


def _flat(value: Any) -> dict[tuple[str, ...], Any]:
    """Names and values; those of a document inside have both names, so that it differs field by field."""
    if not isinstance(value, dict):
        return {} if value in (None, "", []) else {("value",): value}
    found: dict[tuple[str, ...], Any] = {}
    for name, one in value.items():
        if isinstance(one, dict) and one and name != "matcher":
            found |= {(str(name), str(key)): inner for key, inner in one.items()}
        else:
            found[(str(name),)] = one
    return found
