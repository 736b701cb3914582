"""The silences that deeds begin and end, and how an undo takes that back. Knows the rows, not the reasons that end them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.database import Transaction
from logger import silences
from logger.life import Act

# uq_silences_incident
_END_LIVE = """
UPDATE silences SET end_time = %(now)s, ended_by = %(who)s, end_reason = %(reason)s
WHERE incident_id = %(incident_id)s AND end_time IS NULL RETURNING silence_id
"""
# primary key
_TAKE_BACK = """
UPDATE silences SET end_time = %(now)s, ended_by = %(who)s, end_reason = 'taken back'
WHERE silence_id = %(silence_id)s AND end_time IS NULL
"""
_REVIVE = "UPDATE silences SET end_time = NULL, ended_by = '', end_reason = '' WHERE silence_id = %(silence_id)s"


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


def end_live_silence(transaction: Transaction, incident_id: int, who: str, reason: str, now: datetime) -> int | None:
    """End the silence of an incident whose state the caller changes; returns which, or None when there was none."""
    values = {"incident_id": incident_id, "who": who, "reason": reason, "now": now}
    found = transaction.fetch_one(_END_LIVE, values)
    return int(found["silence_id"]) if found else None


def take_back_silence(transaction: Transaction, silence_id: int, who: str, now: datetime) -> None:
    """End a silence that should not have been; the caller puts the state back."""
    transaction.execute(_TAKE_BACK, {"silence_id": silence_id, "who": who, "now": now})


def revive_silence(transaction: Transaction, silence_id: int) -> None:
    """Have a silence go on as if it had not been ended; the caller puts the state back."""
    transaction.execute(_REVIVE, {"silence_id": silence_id})
