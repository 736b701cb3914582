"""What is said of a place that a criterion fails at: it is left out, with the failure as its reason. Knows no criterion.

One damaged row, or a defect of one criterion, must not keep jobs and tasks from all other places.
"""

from __future__ import annotations

import logging

log = logging.getLogger("panda.brokerage")

_told: set[tuple[str, str, str]] = set()
"""The failures about which somebody was told."""


def cannot_be_judged(criterion: str, place: str, error: Exception) -> str:
    """The reason that stands in the funnel; told once for each place. To be called while `error` is handled.

    `place`: with its kind, as in `queue CERN`.
    """
    said = f"cannot be judged, {type(error).__name__}: {error}"[:200]
    if (criterion, place, said) not in _told:
        _told.add((criterion, place, said))
        log.exception(
            *("criterion %s fails at %s, which is left out: %s", criterion, place, said),
            extra={"component": "brokerage", "fingerprint": f"{criterion} {said}"},
        )
    return said
