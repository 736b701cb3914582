"""What a submitter says of input that is not there, or not yet: waited for, followed, left out, not needed. Knows keys only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.taskengine.dialects import fields


def arrival(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the definition: waitInput, runUntilClosed, allowEmptyInput, ignoreMissingInDS (domain.md 3.4).

    Raises InvalidInput naming the key that is neither true nor false.
    """
    return {
        "waits_for_input": fields.flag(parameters, "waitInput"),
        "runs_until_closed": fields.flag(parameters, "runUntilClosed"),
        "allows_empty_input": fields.flag(parameters, "allowEmptyInput"),
        "ignores_missing_datasets": fields.flag(parameters, "ignoreMissingInDS"),
    }
