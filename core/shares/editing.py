"""Operators change the tree: one node, or the whole at once; all or nothing. Knows what is stored, no HTTP.

Work that was tagged before keeps its share until it is tagged anew (`core.shares.retagging`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from core import audit
from core.database import Database, Transaction
from core.errors import Conflict, InvalidInput, UnknownObject
from core.labels import LABELS
from core.patterns import users_patterns
from core.shares.checking import check_tree
from core.shares.ranking import ranking_of
from core.shares.reading import Reader, read_nodes
from core.shares.tagging import EXPRESSIONS
from core.shares.tree import ShareNode

log = logging.getLogger("panda.shares")

_COLUMNS = tuple(field.name for field in fields(ShareNode))
_STEP = 10
"""Between the positions of nodes that state none, so that others fit in between."""
_PATIENCE_S = 1.0

# whoever changes the tree sees the tree that is; work is tagged meanwhile by the one before
_ONE_AT_A_TIME = "LOCK TABLE global_shares IN SHARE ROW EXCLUSIVE MODE"
_TRY = "SELECT '' ~ %(bare)s, EXISTS (SELECT 1 FROM unnest(%(labels)s) AS label WHERE label ~ %(whole)s) AS is_label"
_DELETE = "DELETE FROM global_shares WHERE NOT name = ANY(%(names)s)"
_WRITE = f"""
INSERT INTO global_shares ({", ".join(_COLUMNS)}, modified_by)
VALUES ({", ".join(f"%({name})s" for name in _COLUMNS)}, %(who)s)
ON CONFLICT (name) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "name")},
    modified_by = excluded.modified_by, modification_time = clock_timestamp()
WHERE ({", ".join(f"global_shares.{name}" for name in _COLUMNS)})
   IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _COLUMNS)})
"""


def set_share(database: Database, name: str, changes: Mapping[str, Any], *, who: str) -> ShareNode:
    """Make a share or change some of its attributes, and return it.

    Raises InvalidInput, UnknownObject (parent) or Conflict naming share and field; nothing has changed then.
    """
    with database.transaction() as transaction:
        nodes = _locked(transaction)
        present = next((node for node in nodes if node.name == name), None)
        if present is None:
            present = ShareNode(name, position=max((node.position for node in nodes), default=0) + _STEP)
        changed = replace(present, **changes)
        # first, so that what is wrong with a line of parents is said of what was changed
        _store(transaction, [changed, *(node for node in nodes if node.name != name)], before=nodes, who=who)
    _changed(database, f"share {name} was set by {who}")
    return changed


def remove_share(database: Database, name: str, *, who: str) -> None:
    """Take a leaf out of the tree. Raises UnknownObject, and Conflict while it has children."""
    with database.transaction() as transaction:
        nodes = _locked(transaction)
        if all(node.name != name for node in nodes):
            raise _unknown(name)
        below = [node.name for node in nodes if node.parent == name]
        if below:
            raise Conflict(
                f"{name!r} has children: {', '.join(below)[:200]}", field="name", remedy="remove or move these first"
            )
        _store(transaction, [node for node in nodes if node.name != name], before=nodes, who=who)
    _changed(database, f"share {name} was removed by {who}")


def replace_tree(database: Database, shares: Sequence[Mapping[str, Any]], *, who: str) -> list[ShareNode]:
    """Put a whole tree in place of the one that is; without any share, there is no tree. Returns its nodes.

    Each share gives the attributes of a ShareNode; positions left out follow the order of the list. Raises as `set_share`.
    """
    nodes = [ShareNode(**{"position": _STEP * place, **share}) for place, share in enumerate(shares, start=1)]
    with database.transaction() as transaction:
        _store(transaction, nodes, before=_locked(transaction), who=who)
    _changed(database, f"the tree of shares was replaced by {who}: {len(nodes)} shares")
    return nodes


def check_share_exists(reader: Reader, name: str, field: str) -> None:
    """Raise UnknownObject or Conflict naming `field` unless `name` is a leaf; any name will do while there is no tree."""
    nodes = read_nodes(reader)
    if not nodes:
        return
    if all(node.name != name for node in nodes):
        raise _unknown(name, field)
    if any(node.parent == name for node in nodes):
        raise Conflict(f"{name!r} is no leaf: work belongs to its children", field=field, remedy="name one of these")


def _locked(transaction: Transaction) -> list[ShareNode]:
    transaction.execute(_ONE_AT_A_TIME)
    return read_nodes(transaction)


def _store(transaction: Transaction, nodes: list[ShareNode], *, before: list[ShareNode], who: str) -> None:
    check_tree(nodes, before)
    known = set(before)
    for node in nodes:
        if node not in known:
            _try_expressions(transaction, node)
    transaction.execute(_DELETE, {"names": [node.name for node in nodes]})
    for node in nodes:
        if node not in known:
            transaction.execute(_WRITE, {**asdict(node), "who": who[:100]})
    _note(transaction, before, nodes, who)


def _note(transaction: Transaction, before: list[ShareNode], nodes: list[ShareNode], who: str) -> None:
    """A row of the audit for each share that is another now."""
    was = {node.name: asdict(node) for node in before}
    now = {node.name: asdict(node) for node in nodes}
    for name in sorted({*was, *now}):
        action = "changed" if name in was and name in now else "added" if name in now else "removed"
        audit.note_rows(transaction, who, action, "share", name, was.get(name, {}), now.get(name, {}))


def _try_expressions(transaction: Transaction, node: ShareNode) -> None:
    for name in (*EXPRESSIONS, "rtype"):
        expression = getattr(node, name)
        if not expression:
            continue
        with users_patterns(transaction, f"{node.name}.{name}", _PATIENCE_S):
            found = transaction.fetch_one(
                _TRY, {"bare": expression, "whole": f"^(?:{expression})$", "labels": sorted(LABELS)}
            )
        assert found is not None
        if name == "prod_source_label" and not found["is_label"]:
            raise InvalidInput(
                f"{expression!r} matches no label",
                field=f"{node.name}.{name}",
                remedy="labels are " + ", ".join(sorted(LABELS)),
            )


def _unknown(name: str, field: str = "name") -> UnknownObject:
    return UnknownObject(f"there is no share {name[:100]!r}", field=field, remedy="see `panda shares` for the names")


def _changed(database: Database, sentence: str) -> None:
    ranking_of(database).forget()
    log.info("%s", sentence, extra={"component": "shares"})
