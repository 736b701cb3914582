"""The silences that deeds begin and end, and how an undo takes that back. Knows the rows, not the reasons that end them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.database import Transaction
from logger import silences
from logger.life import Act


def silence_incident(
    transaction: Transaction, incident_id: int, parameters: Mapping[str, Any], act: Act, now: datetime
) -> int:
    """Silence an incident as the parameters of a deed say; returns the number of the silence."""
    kind, said = str(parameters["until_kind"]), str(parameters["until"])
    moment = datetime.fromisoformat(said) if said else None
    until = silences.read_until(transaction, kind, moment if kind == "time" else None, (), now)
    if kind == "shift" and moment is not None:
        # when the shift changes was settled by the preview
        until = replace(until, time=moment)
    return int(silences.silence(transaction, incident_id, until, act, now)["silence_id"])


def take_back_silence(transaction: Transaction, silence_id: int, act: Act, now: datetime) -> None:
    """End a silence that should not have been; the caller puts the state back."""
    silences.close(transaction, silence_id, "taken back", act, now)
