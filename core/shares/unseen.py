"""Leaves that no work seen so far would count against: no proof of a mistake, so operators are told and not refused.

So are leaves that never can match but were there before anybody looked; a change that would add one is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.database import Row
from core.shares.checking import shadows
from core.shares.reading import Reader
from core.shares.tagging import EXPRESSIONS
from core.shares.tree import ShareNode, ShareTree

LOOKED_AT = 2000
"""The newest tasks, and the newest live jobs without a task, that stand for all work."""

_WORDS = {
    "vo": "virtual organisation",
    "prod_source_label": "label",
    "working_group": "working group",
    "campaign": "campaign",
    "processing_type": "processing type",
    "trans_path": "transformation",
}


@dataclass(frozen=True)
class Unseen:
    """A leaf that nothing seen so far matches. `field`: the expression that matches nothing; empty: only all together.

    `position` for a leaf that can never match, because one before it takes everything it would.
    """

    share: str
    field: str
    sentence: str


# primary keys of tasks and of jobs_live backwards; each leaf once, so that its expressions are read once
_SEEN = f"""
WITH work AS (
    (SELECT vo, prod_source_label, working_group, campaign, processing_type,
            CASE WHEN %(wants_paths)s THEN coalesce(parameters ->> 'transPath', '') ELSE '' END AS trans_path
     FROM tasks ORDER BY jedi_task_id DESC LIMIT %(most)s)
    UNION ALL
    (SELECT vo, prod_source_label, working_group, '', processing_type, transformation
     FROM jobs_live WHERE jedi_task_id IS NULL ORDER BY panda_id DESC LIMIT %(most)s)
), seen AS MATERIALIZED (SELECT DISTINCT * FROM work)
SELECT s.name, {", ".join(f"m.{name}" for name in EXPRESSIONS)}, m.together
FROM unnest(%(leaves)s::text[]) WITH ORDINALITY AS wanted (name, place) JOIN global_shares s ON s.name = wanted.name,
LATERAL (
    SELECT {", ".join(f"bool_or({name}) AS {name}" for name in EXPRESSIONS)}, bool_or({" AND ".join(EXPRESSIONS)}) AS together
    FROM (SELECT {", ".join(f"s.{name} = '' OR f.{name} ~ ('^(?:' || s.{name} || ')$') AS {name}" for name in EXPRESSIONS)}
          FROM seen f) AS each
) AS m
WHERE m.together IS NOT NULL AND NOT m.together ORDER BY wanted.place
"""
# queues whole: they are short
_KINDS = """
SELECT s.name FROM unnest(%(leaves)s::text[]) AS wanted (name) JOIN global_shares s ON s.name = wanted.name
WHERE s.rtype <> '' AND EXISTS (SELECT 1 FROM queues) AND NOT EXISTS (
    SELECT 1 FROM queues q WHERE coalesce(q.parameters ->> 'resource_type', '') ~ ('^(?:' || s.rtype || ')$'))
"""


def unseen_by(reader: Reader, nodes: Sequence[ShareNode]) -> list[Unseen]:
    """The leaves among `nodes`, a whole tree, that nothing matches: no work, or no queue. Says nothing while there is none."""
    leaves = ShareTree(nodes).leaves
    names = [leaf.name for leaf in leaves]
    by_name = {leaf.name: leaf for leaf in leaves}
    values = {"leaves": names, "most": LOOKED_AT, "wants_paths": any(leaf.trans_path for leaf in leaves)}
    found = [entry for row in reader.fetch(_SEEN, values) for entry in _unmatched(by_name[row["name"]], row)]
    found += [Unseen(shadow.later.name, "position", f"{shadow.sentence}: {shadow.remedy}") for shadow in shadows(nodes)]
    for row in reader.fetch(_KINDS, values):
        expression = by_name[row["name"]].rtype
        sentence = f"no queue's parameters.resource_type matches {expression!r}: its jobs would run nowhere"
        found.append(Unseen(row["name"], "rtype", sentence))
    return found


def warnings_of(unseen: Sequence[Unseen]) -> list[str]:
    """As one line each, for people: the share, and what it waits for in vain."""
    return [f"{entry.share}: {entry.sentence}" for entry in unseen]


def _unmatched(leaf: ShareNode, row: Row) -> list[Unseen]:
    fields = [name for name in EXPRESSIONS if not row[name]]
    if not fields:
        return [
            Unseen(
                leaf.name, "", "each of its expressions matches some work seen so far, but no work matches all of them"
            )
        ]
    return [
        Unseen(leaf.name, name, f"no {_WORDS[name]} seen so far matches {getattr(leaf, name)!r}") for name in fields
    ]
