"""Whether the agent that would move something on works at all: without it nothing that is promised comes true."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.database import Transaction
from core.why.reason import Reason, Responsible

AGENT_PATIENCE_S = 60
"""An agent that is late for longer says why nothing moves."""

# primary key
_AGENT = "SELECT greatest(last_run, next_run) AS due, last_run FROM agent_runs WHERE name = %(name)s"


def rests_since(transaction: Transaction, name: str, as_of: datetime) -> datetime | None:
    """When an agent last ran that should have run again since; None for one that works, or never ran here."""
    row = transaction.fetch_one(_AGENT, {"name": name})
    if row is None or row["last_run"] is None or as_of - row["due"] <= timedelta(seconds=AGENT_PATIENCE_S):
        return None
    last: datetime = row["last_run"]
    return last


def unless_it_rests(reason: Reason, transaction: Transaction, name: str, as_of: datetime) -> Reason:
    """The reason as it is, or who has to start the agent first that would carry on. Its clause stays."""
    last = rests_since(transaction, name, as_of)
    if last is None:
        return reason
    return replace(
        reason,
        responsible=Responsible.OPERATORS,
        sentence=f"{reason.sentence} The agent for that ({name}) last ran at {last:%Y-%m-%d %H:%M} UTC.",
        next_step="nothing, until the agents run again",
        next_time=None,
        advice=("see `panda status`, and start the agents", *reason.advice),
        numbers={**reason.numbers, "agent": name, "agent_last_run": last},
    )
