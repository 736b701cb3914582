"""Which routes tell of a change. Knows rows and the value grammar of the monitor's filters; pure, no SQL and no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.database import Row
from core.errors import InvalidInput
from core.models.incident import CHANGES, ONE_OF
from core.monitor.filters import ANY, Pattern, parse_text

DEFAULT_CHANGES = ("opened", "reopened", "worse", "resolved")

MATCHED = {
    "severity": "severity",
    "kind": "kind",
    "queue": "computing_site",
    "owner": "owner",
    "assigned_to": "assigned_to",
    "verdict": "verdict",
    "class": "error_class",
    "component": "component",
}
"""Name in a matcher -> column of the incident."""

GROUPED = ("kind", "severity", "computing_site", "verdict", "component")
"""What messages may be grouped by."""

_SEVERITIES = ONE_OF["severity"]  # worst first
_LATE = frozenset({"verdict"})
"""Known only some time after the incident was opened."""
_LONGEST = 500


def checked_matcher(matcher: Mapping[str, object]) -> dict[str, str]:
    """The matcher without what says nothing. Raises InvalidInput for a name or a value that cannot match."""
    kept = {}
    for name, value in matcher.items():
        field = f"matcher.{name[:40]}"
        if name not in MATCHED:
            raise InvalidInput("no route can match this", field=field, remedy=f"one of {', '.join(MATCHED)}")
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise InvalidInput(
                f"give text of at most {_LONGEST} characters", field=field, remedy="as in a|b, CERN*, !a"
            )
        parse_text(value, field)
        if value.strip():
            kept[name] = value.strip()
    return kept


def checked_changes(changes: Sequence[str]) -> list[str]:
    """The names of changes in their order. Raises InvalidInput for one that there is not."""
    for what in changes:
        if what not in CHANGES:
            raise InvalidInput(f"there is no change {what[:40]!r}", field="changes", remedy=f"of {', '.join(CHANGES)}")
    return [what for what in CHANGES if what in changes]


def heard_by(
    routes: Iterable[Row], what: str, incident: Row, queues: Iterable[str] = (), *, is_early: bool = False
) -> list[Row]:
    """The routes that tell of the change `what`, in order of their position, up to one that is final.

    `queues`: all that the incident hit. `is_early`: what is known late (a verdict) may still come to match, and stops no
    other route.
    """
    found = []
    for route in sorted(routes, key=lambda route: (route["position"], route["route_id"])):
        if not (takes(route, what) and matches(route, incident, queues, is_early=is_early)):
            continue
        found.append(route)
        if route["is_final"] and not (is_early and is_undecided(route, incident)):
            break
    return found


def takes(route: Row, what: str) -> bool:
    """Whether the route tells of changes of this kind; the end of a silence is told like a reopening."""
    wanted = route["changes"] or DEFAULT_CHANGES
    return what in wanted or (what == "unsilenced" and "reopened" in wanted)


def matches(route: Row, incident: Row, queues: Iterable[str] = (), *, is_early: bool = False) -> bool:
    """Whether the route cares for the incident: all that its matcher says must hold."""
    for name, value in route["matcher"].items():
        if is_early and name in _LATE and not incident[MATCHED[name]]:
            continue
        values = {str(incident[MATCHED[name]]), *queues} if name == "queue" else {str(incident[MATCHED[name]])}
        if not (_severe_enough(value, values) if name == "severity" else _fits(value, values)):
            return False
    return True


def is_undecided(route: Row, incident: Row) -> bool:
    """Whether the route asks for what is not known of the incident yet."""
    return any(name in route["matcher"] and not incident[MATCHED[name]] for name in _LATE)


def _severe_enough(value: str, values: set[str]) -> bool:
    """A bare severity means: at least."""
    if value in _SEVERITIES:
        return any(_SEVERITIES.index(given) <= _SEVERITIES.index(value) for given in values if given in _SEVERITIES)
    return _fits(value, values)


def _fits(value: str, values: set[str]) -> bool:
    """As a filter of a monitor's page does: of several values one must fit, with a negation none may."""
    if value in ANY:
        return True
    wanted = parse_text(value, "matcher")
    hit = any(
        (not given and wanted.or_empty) or (given and any(_like(pattern, given) for pattern in wanted.patterns))
        for given in values
    )
    return hit != wanted.is_negated


def _like(pattern: Pattern, text: str) -> bool:
    """SQL's LIKE for literal pieces with anything between them."""
    if pattern.is_literal:
        return text == pattern.pieces[0]
    first, *middle, last = pattern.pieces
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True
