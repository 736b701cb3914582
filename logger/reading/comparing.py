"""Why two incidents are two: which part of their fingerprints differs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.database import Database, Row
from core.monitor.reading import envelope
from logger import life

# primary key
_BOTH = """
SELECT incident_id, title, fingerprint, algorithm, kind, component, code, step, error_class, fingerprint_words AS words,
    culprit_line, grouping
FROM incidents WHERE incident_id = ANY(%(ids)s::bigint[])
"""
_PARTS = ("kind", "component", "code", "step", "error_class")


def incident_comparison(database: Database, incident_id: int, other_id: int, as_of: datetime) -> dict[str, Any]:
    """What two incidents have in common and what keeps them apart. Raises UnknownObject when one of them is none."""
    rows = {row["incident_id"]: row for row in database.fetch(_BOTH, {"ids": [incident_id, other_id]})}
    for wanted in (incident_id, other_id):
        if wanted not in rows:
            raise life.no_incident(wanted)
    one, other = rows[incident_id], rows[other_id]
    parts = [
        {"part": name, "one": one[name], "other": other[name], "is_equal": one[name] == other[name]} for name in _PARTS
    ]
    words = _words(one["words"], other["words"])
    return envelope(
        as_of,
        count=2,
        one={name: one[name] for name in ("incident_id", "title", "fingerprint", "culprit_line", "grouping")},
        other={name: other[name] for name in ("incident_id", "title", "fingerprint", "culprit_line", "grouping")},
        is_same=one["fingerprint"] == other["fingerprint"],
        parts=parts,
        words=words,
        sentence=_sentence(one, other, parts, words),
    )


def _words(one: list[str], other: list[str]) -> dict[str, list[str]]:
    """Words in their order; one that stands twice counts twice."""
    rest, common, only_one = list(other), [], []
    for word in one:
        if word in rest:
            rest.remove(word)
            common.append(word)
        else:
            only_one.append(word)
    return {"common": common, "only_one": only_one, "only_other": rest}


def _sentence(one: Row, other: Row, parts: list[dict[str, Any]], words: dict[str, list[str]]) -> str:
    if one["fingerprint"] == other["fingerprint"]:
        return "They have the same fingerprint: one is a later occurrence of the other."
    if one["algorithm"] != other["algorithm"]:
        return "Their fingerprints were made by different versions of the algorithm, so that they say nothing by themselves."
    differing = [part["part"].replace("error_class", "class") for part in parts if not part["is_equal"]]
    if words["only_one"] or words["only_other"]:
        differing.append("words of the message")
    if not differing:
        return "All that is known of them is the same but their keys: somebody gave those, or a person split them."
    return f"They differ in {' and '.join(filter(None, (', '.join(differing[:-1]), differing[-1])))}."
