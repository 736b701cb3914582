"""What a tree of shares must be like, as sentences with the field and the remedy. Knows no database.

Regular expressions are tried where they run (`core.shares.editing`); here is everything that can be said by looking.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from core.errors import Conflict, InvalidInput, UnknownObject
from core.expressions.checking import check_expression
from core.expressions.grammar import Unclear, read_expression
from core.expressions.languages import can_match
from core.shares.tagging import EXPRESSIONS, UNDEFINED
from core.shares.tree import MAX_DEPTH, ShareNode, ShareTree

MAX_NODES = 500
MAX_NAME = 100
MAX_EXPRESSION = 200
MAX_DESCRIPTION = 1000
MAX_VALUE = 1e9
_MAX_COUNT = 10**9
_EVERYTHING = ("", ".*")
_MOST_COMPARED = 100
"""Leaves whose expressions are compared as languages, each with those before it: some seconds at worst."""
_PLAIN = re.compile(r"[A-Za-z0-9_ -]*")


@dataclass(frozen=True)
class Shadow:
    """A leaf that can never match, and the one before it that takes everything that would."""

    later: ShareNode
    earlier: ShareNode

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return (
            f"can never match: {self.earlier.name!r} comes before it (position {self.earlier.position}, "
            f"this one {self.later.position}) and takes everything that would"
        )

    @property
    def remedy(self) -> str:
        """What ends it."""
        return f"give it a position below {self.earlier.position}, or {self.earlier.name!r} narrower expressions"


def check_tree(nodes: Sequence[ShareNode], before: Sequence[ShareNode] = ()) -> None:
    """Raise InvalidInput, UnknownObject or Conflict naming share and field unless the nodes make a sound tree.

    `before`: the tree that they change. Leaves that could never match in it already, and whose place and expressions
    stay, are no reason to refuse a change of others.
    """
    if len(nodes) > MAX_NODES:
        raise InvalidInput(f"{len(nodes)} shares", field="shares", remedy=f"at most {MAX_NODES}")
    for node in nodes:
        _check_node(node)
    twice = [name for name, count in Counter(node.name for node in nodes).items() if count > 1]
    if twice:
        raise InvalidInput(f"share {twice[0]!r} twice", field=f"{twice[0]}.name", remedy="give each its own name")
    _check_parents(nodes)
    _check_shadows(nodes, before)


def _check_node(node: ShareNode) -> None:
    field = node.name[:MAX_NAME] or "name"
    allowed = all(character.isalnum() or character in " _-.+" for character in node.name)
    if not node.name or len(node.name) > MAX_NAME or not allowed or node.name != node.name.strip():
        raise InvalidInput(
            f"{node.name[:MAX_NAME]!r} is no name of a share",
            field="name",
            remedy=f"letters, digits, spaces inside, '_', '-', '.' and '+', at most {MAX_NAME}",
        )
    if node.name == UNDEFINED:
        raise InvalidInput(f"{UNDEFINED!r} means that no share matches", field="name", remedy="choose another name")
    if not math.isfinite(node.value) or not 0 <= node.value <= MAX_VALUE:
        raise InvalidInput(f"{node.value} is no weight", field=f"{field}.value", remedy=f"0 to {MAX_VALUE:g}")
    for name in ("position", "max_queued_jobs"):
        if not 0 <= getattr(node, name) <= _MAX_COUNT:
            raise InvalidInput(
                f"{getattr(node, name)} is out of range", field=f"{field}.{name}", remedy=f"0 to {_MAX_COUNT}"
            )
    for name in (*EXPRESSIONS, "rtype", "description"):
        text, most = getattr(node, name), MAX_DESCRIPTION if name == "description" else MAX_EXPRESSION
        if len(text) > most or "\x00" in text:
            raise InvalidInput(
                "too long, or with a NUL character", field=f"{field}.{name}", remedy=f"at most {most} characters"
            )
        if name != "description":
            check_expression(text, f"{field}.{name}", whole=True)


def _check_parents(nodes: Sequence[ShareNode]) -> None:
    by_name = {node.name: node for node in nodes}
    parents = {node.parent for node in nodes}
    for node in nodes:
        if node.parent and node.parent not in by_name:
            raise UnknownObject(
                f"there is no share {node.parent[:MAX_NAME]!r} to be its parent",
                field=f"{node.name}.parent",
                remedy="define the parent first, or leave it out for the top",
            )
        line = [node.name]
        while by_name[line[-1]].parent:
            line.append(by_name[line[-1]].parent)
            if line[-1] == node.name or len(line) > MAX_DEPTH:
                what = "goes round in a circle" if line[-1] == node.name else f"is deeper than {MAX_DEPTH} levels"
                raise Conflict(
                    f"the line of its parents {what}: {' < '.join(line)[:300]}",
                    field=f"{node.name}.parent",
                    remedy="choose a parent that is not below it",
                )
        stated = [name for name in (*EXPRESSIONS, "rtype") if getattr(node, name)]
        if node.name in parents and stated:
            raise Conflict(
                f"has children, and work is matched with leaves only, so its {stated[0]} would never be looked at",
                field=f"{node.name}.{stated[0]}",
                remedy="write the expression into its children",
            )


def shadows(nodes: Sequence[ShareNode]) -> list[Shadow]:
    """The leaves of a tree that can never match, each with the first that takes all of its work; in order of position."""
    leaves = ShareTree(nodes).leaves
    takes_all_of = _takes_all_of if len(leaves) <= _MOST_COMPARED else _looks_like_all_of
    firsts = (
        (later, next((earlier for earlier in leaves[:place] if takes_all_of(earlier, later)), None))
        for place, later in enumerate(leaves)
    )
    return [Shadow(later, earlier) for later, earlier in firsts if earlier is not None]


def _check_shadows(nodes: Sequence[ShareNode], before: Sequence[ShareNode]) -> None:
    found = shadows(nodes)
    # an installation may have such leaves from a time when nobody looked; they bind whoever touches them, and nobody else
    known = {_matching(shadow.later) for shadow in shadows(before)} if found and before else set()
    for shadow in found:
        if _matching(shadow.later) not in known:
            raise Conflict(shadow.sentence, field=f"{shadow.later.name}.position", remedy=shadow.remedy)


def _matching(node: ShareNode) -> tuple[object, ...]:
    """What of a leaf decides about the work that it gets."""
    return (node.name, node.position, *(getattr(node, name) for name in EXPRESSIONS))


def _looks_like_all_of(earlier: ShareNode, later: ShareNode) -> bool:
    """Whether every expression of the earlier one matches everything, or is the later one's own."""
    pairs = ((getattr(earlier, name), getattr(later, name)) for name in EXPRESSIONS)
    return all(first in _EVERYTHING or first == second for first, second in pairs)


def _takes_all_of(earlier: ShareNode, later: ShareNode) -> bool:
    """Whether every text that an expression of the later one matches is certainly matched by that of the earlier one."""
    pairs = [(getattr(earlier, name), getattr(later, name)) for name in EXPRESSIONS]
    unlike = [(first, second) for first, second in pairs if first not in _EVERYTHING and first != second]
    return all(_covers(first, second or ".*") for first, second in unlike)


@lru_cache(maxsize=20_000)
def _covers(first: str, second: str) -> bool:
    """Whether no text is matched by `second` alone; False too where nobody can be certain."""
    head, other_head = _beginning(first), _beginning(second)
    if not (head.startswith(other_head) or other_head.startswith(head)):
        return False  # no text begins with both
    if not (_is_readable(first) and _is_readable(second)):
        return False
    return not can_match(f"(?!(?:{first})$)(?:{second})", whole=True)


@lru_cache(maxsize=1000)
def _beginning(expression: str) -> str:
    """The plain letters that every text of it begins with, as far as that is easily seen."""
    if "|" in expression:
        return ""
    plain = _PLAIN.match(expression)
    letters = plain.group() if plain else ""
    return letters[:-1] if expression[len(letters) : len(letters) + 1] in ("*", "+", "?", "{") else letters


@lru_cache(maxsize=1000)
def _is_readable(expression: str) -> bool:
    """Whether it stands by itself, so that it can be part of another."""
    try:
        read_expression(expression)
    except (Unclear, RecursionError):
        return False
    return True
