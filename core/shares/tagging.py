"""Which share a task or a job counts against (domain.md 6.1): the first leaf whose expressions all match.

The database matches: its regular expressions do not run away, and what was tried when the tree was edited is what runs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from core.shares.reading import Reader

log = logging.getLogger("panda.shares")

UNDEFINED = "Undefined"
"""The share of work that no leaf matches."""

EXPRESSIONS = ("vo", "prod_source_label", "working_group", "campaign", "processing_type", "trans_path")
"""Columns of a share that are matched against work; rtype is matched against queues."""


@dataclass(frozen=True)
class ShareFacts:
    """What the expressions of a share look at."""

    vo: str = ""
    prod_source_label: str = ""
    working_group: str = ""
    campaign: str = ""
    processing_type: str = ""
    trans_path: str = ""


_MATCHES = " AND ".join(f"(s.{name} = '' OR f.{name} ~ ('^(?:' || s.{name} || ')$'))" for name in EXPRESSIONS)

# global_shares whole: tens of rows
_SHARES_OF = f"""
SELECT f.place, EXISTS (SELECT 1 FROM global_shares) AS has_tree, (
    SELECT s.name FROM global_shares s
    WHERE NOT EXISTS (SELECT 1 FROM global_shares below WHERE below.parent = s.name) AND {_MATCHES}
    ORDER BY s.position, s.name LIMIT 1
) AS share
FROM jsonb_to_recordset(%(facts)s::jsonb) AS f (place int, {", ".join(f"{name} text" for name in EXPRESSIONS)})
ORDER BY f.place
"""


def share_of(reader: Reader, facts: ShareFacts) -> str:
    """The share of one piece of work; empty while no tree is defined, `UNDEFINED` with a warning when no leaf matches."""
    return shares_of(reader, [facts])[0]


def shares_of(reader: Reader, facts: Sequence[ShareFacts]) -> list[str]:
    """The same for many at once, in their order: one statement, whose cost is that of the different ones among them."""
    different = {entry: place for place, entry in enumerate(dict.fromkeys(facts))}
    if not different:
        return []
    # values are cut as the columns that keep them are, and hold no NUL: the door refuses it
    documents = [{"place": place, **_cut(entry)} for entry, place in different.items()]
    rows = reader.fetch(_SHARES_OF, {"facts": json.dumps(documents)})
    found = [(row["share"] or UNDEFINED) if row["has_tree"] else "" for row in rows]
    for entry, place in different.items():
        if found[place] == UNDEFINED:
            said = ", ".join(f"{name}={value}" for name, value in _cut(entry).items() if value)
            log.warning("no share matches %s", said or "work that says nothing", extra={"component": "shares"})
    return [found[different[entry]] for entry in facts]


def _cut(facts: ShareFacts) -> dict[str, str]:
    return {name: value.replace("\x00", "")[:255] for name, value in asdict(facts).items()}
